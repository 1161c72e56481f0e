"""Sharing memory: how two processes find out that they are on one host, and what each then says of slabs.

The server's Welcome names a sealed memory file with a secret. A peer that can read it answers with the
secret, and with a file of its own that holds it, too; when the server can read that, both may lend.
"""

from __future__ import annotations

import os
import secrets
import select
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .columns import Array
from .errors import MalformedMessage, ServiceError
from .mapping import Mapping, open_memory, pid_of
from .messages import Bye, Close, Deliver, Freed, Hello, Message, Pieces, Retired, Shares, Sharing, Welcome
from .slabs import SUPPORTED, Pool, memory_file

__all__ = ["PeerMemory", "Proof", "ServerMemory"]

_SECRET_BYTES = 32
#: So many regions are named in one message.
MOST_FREED = 1000


class Proof:
    """A memory file with a secret, which who can read it is on this host, and of this user."""

    def __init__(self, secret: str = "") -> None:
        self.secret = secret or secrets.token_hex(_SECRET_BYTES // 2)
        self.name, self._fd = memory_file(_SECRET_BYTES)
        os.pwrite(self._fd, self.secret.encode(), 0)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)

    @staticmethod
    def read(name: str) -> str | None:
        """The secret of a peer's proof; None where it cannot be read: it is on another host, or somebody else's."""
        try:
            fd = open_memory(name)
        except (MalformedMessage, ServiceError):
            return None
        secret = os.pread(fd, _SECRET_BYTES, 0).decode("ascii", "replace")
        os.close(fd)
        return secret


@dataclass(slots=True)
class _Both:
    """What is lent to a peer, and what it lends."""

    pool: Pool
    mapping: Mapping

    def news(self) -> Iterator[Message]:
        """What the peer has to know."""
        unused = self.mapping.unused()
        for low in range(0, len(unused), MOST_FREED):
            yield Freed(unused[low : low + MOST_FREED])

    def received(self, message: Message, buffers: Sequence[Any]) -> Sequence[Any]:
        """The buffers of a message, with what it names in shared memory; MalformedMessage or ServiceError if none."""
        if isinstance(message, Pieces | Deliver) and message.slab is not None:
            return [self.mapping.array(message.slab), *buffers]
        return buffers

    def sent(self, message: Message, buffers: Sequence[Any]) -> tuple[Message, Sequence[Any]]:
        """A message with its block named, where it has one and there is room."""
        if not isinstance(message, Pieces | Deliver) or not buffers or message.slab is not None:
            return message, buffers
        if not isinstance(buffers[0], np.ndarray) or (lent := self.pool.lend(buffers[0])) is None:
            return message, buffers
        return replace(message, slab=lent), buffers[1:]

    def heard(self, message: Freed | Retired) -> None:
        """The peer's word on slabs."""
        if isinstance(message, Retired):
            self.mapping.retired([each for each in message.slabs if isinstance(each, str)])
        else:
            self.pool.freed([(each[0], each[1], each[2]) for each in message.regions if _is_lent(each)])


def _is_lent(data: Any) -> bool:
    """Whether plain data names a region and when it was lent."""
    return isinstance(data, list) and [type(each) for each in data] == [str, int, int]


@dataclass(slots=True)
class PeerMemory:
    """A worker's or client's side. All that it says goes through `sent`, all that it hears through `received`."""

    both: _Both | None = None
    _proof: Proof | None = None
    _server: int = 0

    def allocate(self, nbytes: int) -> Array | None:
        """Room for a block that the server is to get; None where it travels as a frame."""
        return None if self.both is None else self.both.pool.allocate(nbytes)

    def received(self, message: Message, buffers: Sequence[Any]) -> tuple[Message | None, Sequence[Any], list[Message]]:
        """The message as it is to be heard, if at all, its buffers, and what to answer."""
        match message:
            case Welcome(nonce=nonce):
                self.both = self._proof = None  # another life of the server knows nothing of what the last one held
                return message, buffers, self._prove(nonce)
            case Sharing(limit, nonce):
                self._agreed(limit, nonce)
                return None, (), []
            case Freed() | Retired():
                if self.both is not None:
                    self.both.heard(message)
                return None, (), []
            case Pieces(slab=list()) | Deliver(slab=list()):
                try:
                    if self.both is None:
                        raise ServiceError("nothing is shared")
                    return message, self.both.received(message, buffers), []
                except (MalformedMessage, ServiceError):
                    self.both = None
                    return None, (), [Shares("", "")]  # it is asked for again, and comes as a frame
        return message, buffers, []

    def _prove(self, nonce: str) -> list[Message]:
        secret = Proof.read(nonce) if SUPPORTED and nonce else None
        if secret is None:
            return []
        try:
            self._proof, self._server = Proof(secret), pid_of(nonce)
        except OSError:
            return []
        return [Shares(secret, self._proof.name)]

    def _agreed(self, limit: int, nonce: str) -> None:
        if limit <= 0:
            self.both = None
        elif self._proof is not None and nonce == self._proof.name:  # else it answers an earlier word
            self.both = _Both(Pool(limit), Mapping(self._server))

    def sent(self, message: Message, buffers: Sequence[Any]) -> tuple[Message, Sequence[Any]]:
        """The message as it is to travel."""
        return (message, buffers) if self.both is None else self.both.sent(message, buffers)

    def news(self) -> list[Message]:
        """What to say of memory, now and then."""
        return [] if self.both is None else list(self.both.news())

    def rest(self) -> list[Message]:
        """There is nothing to do: give back what is empty. What to say then."""
        names = [] if self.both is None else self.both.pool.retire()
        return [Retired(names)] if names else []


@dataclass(slots=True)
class ServerMemory:
    """The server's side, for all of its peers.

    Workers may place `worker_bytes` each, and `client_bytes` are placed for each client.
    """

    worker_bytes: int
    client_bytes: int
    enabled: bool = True
    _proof: Proof | None = None
    _workers: set[str] = field(default_factory=set)
    _both: dict[str, _Both] = field(default_factory=dict)
    _alive: dict[str, int] = field(default_factory=dict)  #: A descriptor that tells when the peer's process has ended.
    _poll: select.poll = field(default_factory=select.poll)

    def __post_init__(self) -> None:
        if self.enabled and SUPPORTED:
            with suppress(OSError):  # as where a sandbox forbids memfds: everything travels as frames
                self._proof = Proof()

    @property
    def nonce(self) -> str:
        """For Welcome: where peers find the proof; empty where nothing is shared."""
        return self._proof.name if self._proof is not None else ""

    def allocate(self, peer: str, nbytes: int) -> Array | None:
        """Room for a block that this peer is to get; None where it travels as a frame."""
        both = self._both.get(peer)
        return None if both is None else both.pool.allocate(nbytes)

    def received(
        self, peer: str, message: Message, buffers: Sequence[Any]
    ) -> tuple[Message | None, Sequence[Any], list[Message]]:
        """The message as it is to be heard, if at all, its buffers, and what to answer."""
        match message:
            case Hello(role=role):
                self.forget(peer)
                if role == "worker":
                    self._workers.add(peer)
            case Close() | Bye():
                self.forget(peer)
            case Shares(secret, nonce):
                return None, (), self._agree(peer, secret, nonce)
            case Freed() | Retired():
                if peer in self._both:
                    self._both[peer].heard(message)
                return None, (), []
            case Pieces(slab=list()):
                try:
                    if peer not in self._both:
                        raise ServiceError("nothing is shared")
                    return message, self._both[peer].received(message, buffers), []
                except (MalformedMessage, ServiceError):
                    self.forget(peer)
                    return None, (), [Sharing(0)]  # the worker sends it again, as a frame
        return message, buffers, []

    def _agree(self, peer: str, secret: str, nonce: str) -> list[Message]:
        """Share with a peer that has read our proof, when we can read its own."""
        limit = self.worker_bytes if peer in self._workers else self.client_bytes
        self.forget(peer)
        if self._proof is None or not secrets.compare_digest(secret.encode(), self._proof.secret.encode()):
            return []
        try:
            # First the descriptor, then the proof: so it is of the process that has the proof.
            alive = os.pidfd_open(pid_of(nonce))
        except (MalformedMessage, OSError):
            return []
        if Proof.read(nonce) != secret:
            os.close(alive)
            return []
        self._both[peer], self._alive[peer] = _Both(Pool(limit), Mapping(pid_of(nonce))), alive
        self._poll.register(alive, select.POLLIN)
        return [Sharing(limit, nonce)]

    def sent(self, peer: str, message: Message, buffers: Sequence[Any]) -> tuple[Message, Sequence[Any]]:
        """The message as it is to travel."""
        if isinstance(message, Welcome):
            return replace(message, nonce=self.nonce), buffers
        return self._both[peer].sent(message, buffers) if peer in self._both else (message, buffers)

    def news(self) -> Iterator[tuple[str, Message]]:
        """What to say of memory to whom, now and then. Peers whose process has ended are forgotten."""
        ended = {fd for fd, _ in self._poll.poll(0)} if self._alive else set()
        for peer in [each for each, fd in self._alive.items() if fd in ended]:
            self.forget(peer)
        for peer, both in list(self._both.items()):
            yield from ((peer, message) for message in both.news())

    def forget(self, peer: str) -> None:
        """This peer is gone, or begins anew. What lies in its slabs can be read as long as it is held."""
        self._both.pop(peer, None)
        self._workers.discard(peer)
        if (alive := self._alive.pop(peer, None)) is not None:
            self._poll.unregister(alive)
            os.close(alive)

    def close(self) -> None:
        """Forget all."""
        for peer in list(self._alive):
            self.forget(peer)
