"""The server's sockets: who has spoken over which, and what they sent, as the machine knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import zmq

from .gate import ALL, Gate, Rules, User
from .pipeline.authorized import Authorized
from .pipeline.errors import ProtocolError, ServiceError, to_data
from .pipeline.frames import from_frames, to_frames
from .pipeline.keys import AUTHORIZED, read_server_key
from .pipeline.messages import Message, Refused
from .pipeline.sharing import ServerMemory
from .pipeline.sockets import address_in, bind, name_of, open_socket, send
from .porch import Porch, allow_descriptors
from .users import peer_name

__all__ = ["Door", "Heard", "Peers", "open_doors"]

#: Messages taken from one socket before something else has its turn.
TURN = 256
#: For our last words to get to those who asked us to end.
LAST_MS = 200
#: Peers remembered.
MOST = 4096
#: Another process can have the name of one that has been silent for so long: its connection has ended.
SILENT_S = 6.0


@dataclass(frozen=True, slots=True)
class Door:
    """A socket that peers come in by; with a gate, each message is its user's."""

    socket: zmq.Socket[bytes]
    gate: Gate | None = None
    porch: Porch | None = None

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """All that are to be polled."""
        return [self.socket, *(each.socket for each in (self.gate, self.porch) if each is not None)]

    def tend(self, ready: Mapping[Any, int]) -> None:
        """See to those who want to come in."""
        if self.gate is not None and self.gate.socket in ready:
            self.gate.answer()
        if self.porch is not None and self.porch.socket in ready:
            self.porch.sweep()

    def close(self) -> None:
        """Nobody comes in any more."""
        if self.porch is not None:
            self.porch.close()
        self.socket.close(linger=LAST_MS)
        if self.gate is not None:
            self.gate.close()


@dataclass(frozen=True, slots=True)
class Heard:
    """A peer said something, and may."""

    peer: str
    message: Message
    buffers: Sequence[Any]
    admin: bool = True  #: Whether it may end what is others'.


@dataclass(slots=True)
class Peers:
    """Who is behind which door. A name counts only together with the user who bears it."""

    doors: Sequence[Door]
    memory: ServerMemory
    known: dict[str, tuple[zmq.Socket[bytes], bytes]] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)  #: When each of these spoke last.

    def hear(self, door: Door) -> Iterator[Heard]:
        """Whatever has come, but not so much that time stands still. What nobody may say is refused here."""
        for _ in range(TURN):
            try:
                frames = door.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if (heard := self._read(door, frames)) is not None:
                yield heard

    def _read(self, door: Door, frames: Sequence[Any]) -> Heard | None:
        identity = bytes(frames[0].buffer)
        if door.porch is not None:
            door.porch.entered(frames[-1])
        user: User | None = None
        if door.gate is not None and (user := door.gate.user_of(frames[-1])) is None:
            _turn_out(door, identity, "this key is no longer in the server's authorized_keys")
            return None
        name = name_of(identity)
        peer = peer_name(None if user is None else user.name, name)
        if not self._remember(peer, door.socket, identity):
            _turn_out(door, identity, f"another process is connected as {name}")
            return None
        try:
            message, came = from_frames([frame.buffer for frame in frames[1:]])
            if door.gate is not None and user is not None and (why := door.gate.allowed(user, message)) is not None:
                raise ProtocolError(why)
        except ProtocolError as error:
            self.send(peer, Refused(to_data(error)))
            return None
        heard, buffers, answers = self.memory.received(peer, message, came)
        for answer in answers:
            self.send(peer, answer)
        return None if heard is None else Heard(peer, heard, buffers, user is None or "admin" in user.roles)

    def say_news(self) -> None:
        """Tell peers on this host which of their memory is no longer used."""
        for peer, message in self.memory.news():
            self.send(peer, message)

    def _remember(self, peer: str, socket: zmq.Socket[bytes], identity: bytes) -> bool:
        """Whether it is who bears this name."""
        now = monotonic()
        before = self.known.pop(peer, None)
        if before is not None and before[1] != identity and now - self.heard[peer] < SILENT_S:
            self.known[peer] = before
            return False
        self.known[peer], self.heard[peer] = (socket, identity), now
        if len(self.known) > MOST:
            silent = next(iter(self.known))  # for longest
            del self.known[silent], self.heard[silent]
            self.memory.forget(silent)
        return True

    def send(self, peer: str, message: Message, buffers: Sequence[Any] = ()) -> bool:
        """Send, or say that the peer is gone or does not read."""
        if peer not in self.known:
            return False
        socket, identity = self.known[peer]
        message, buffers = self.memory.sent(peer, message, buffers)
        try:
            send(socket, to_frames(message, buffers), to=identity)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            # Not forgotten: it may be back without a word, and is looked for now and then.
            self.memory.forget(peer)
            return False
        return True


def _turn_out(door: Door, identity: bytes, why: str) -> None:
    """Tell a peer that it is not heard any more."""
    with suppress(zmq.ZMQError):  # it may be gone as well
        send(door.socket, to_frames(Refused(to_data(ServiceError(f"refused: {why}")))), to=identity)


def open_doors(
    context: zmq.Context[zmq.Socket[bytes]],
    folder: Path,
    listen: Sequence[str],
    keys: Path | None,
    insecure: bool,
    rules: Rules = ALL,
) -> tuple[list[Door], list[str]]:
    """The socket in the run directory and, where TCP addresses are given, one for them; and where they listen.

    Raises:
        ServiceError: one of them cannot be listened at, or TCP without keys is not meant.
        InvalidArgumentError: what is no address.
    """
    plain = open_socket(context, zmq.ROUTER)
    doors, found = [Door(plain)], [bind(plain, address_in(folder))]
    if listen:
        # Gate and porch are there before anyone can knock.
        gate = Gate(context, Authorized(keys / AUTHORIZED), rules) if keys is not None else None
        lock = read_server_key(keys) if keys is not None else None
        socket = open_socket(context, zmq.ROUTER, lock=lock)
        doors.append(Door(socket, gate, Porch(socket)))
        found += [bind(doors[-1].socket, address, insecure=insecure) for address in listen]
        allow_descriptors()
    return doors, found
