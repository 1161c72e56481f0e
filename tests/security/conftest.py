"""What tests of admission share: a folder of keys, a server's door, and knocking at it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias

import pytest
import zmq

from headrace.pipeline.doorbell import Doorbell
from headrace.pipeline.keys import ClientLock, make_client_key, make_server_key, read_client_key
from headrace.pipeline.sockets import open_socket

from .serving import Serving

__all__ = ["Knock", "Knocking", "NewKey", "Serve", "SocketOf"]

#: `serve(keys)`: a door that is served by a thread until the test ends; keys None: an insecure one.
Serve: TypeAlias = Callable[[Path | None], Serving]
#: `new_key(name, *roles)`: the lock of a new key that the server in `keys` lets in.
NewKey: TypeAlias = Callable[..., ClientLock]


class Knocking:
    """A peer of one door."""

    def __init__(self, address: str, lock: ClientLock | None = None) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = open_socket(self.context, zmq.DEALER, lock=lock)
        self.bell = Doorbell(self.socket, address, lock)
        self.socket.connect(address)

    def verdict(self, holds: str = "", within_s: float = 15.0) -> str | None:
        """What became of it, once that is known, or holds these words, or we are in."""
        until = monotonic() + within_s
        while (found := self.bell.verdict()) is not None and (
            found.endswith("has not answered yet") or holds not in found
        ):
            assert self.bell.socket.poll(max(0, int(1000 * (until - monotonic())))), f"nothing new after {found!r}"
        return found

    def ask(self, within_s: float = 10.0) -> bytes | None:
        """By which name the server knows us; None where no answer comes."""
        if not self.socket.poll(int(1000 * within_s), zmq.POLLOUT):
            return None
        self.socket.send(b"who am I?", zmq.NOBLOCK)
        return self.socket.recv() if self.socket.poll(int(1000 * within_s)) else None

    def close(self) -> None:
        """Go away."""
        self.bell.close()
        self.socket.close()
        self.context.term()


#: `socket_of(kind, identity="", lock=None)`: one of headrace's sockets, which is closed when the test ends.
SocketOf: TypeAlias = Callable[..., zmq.Socket[bytes]]
#: `knock(address, lock=None)`: a peer that goes away when the test ends.
Knock: TypeAlias = Callable[..., Knocking]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the key of a server that lets nobody in yet."""
    folder = tmp_path / "keys"
    make_server_key(folder)
    return folder


@pytest.fixture
def new_key(keys: Path) -> NewKey:
    """`new_key(name, *roles)`."""
    return lambda name, *roles: read_client_key(make_client_key(keys, name, roles))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(keys)`."""
    served: list[tuple[Serving, threading.Thread]] = []

    def start(keys: Path | None) -> Serving:
        serving = Serving(keys)
        thread = threading.Thread(target=serving.loop, name=f"door-{os.getpid()}")
        thread.start()
        served.append((serving, thread))
        return serving

    yield start
    for serving, thread in served:
        serving.ended.set()
        thread.join()
        serving.close()


@pytest.fixture
def socket_of() -> Iterator[SocketOf]:
    """`socket_of(kind, identity="", lock=None)`."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets: list[zmq.Socket[bytes]] = []

    def make(*args: Any, **named: Any) -> zmq.Socket[bytes]:
        sockets.append(open_socket(context, *args, **named))
        return sockets[-1]

    yield make
    for socket in sockets:
        socket.close()
    context.term()


@pytest.fixture
def knock() -> Iterator[Knock]:
    """`knock(address, lock=None)`."""
    peers: list[Knocking] = []

    def start(address: str, lock: ClientLock | None = None) -> Knocking:
        peers.append(Knocking(address, lock))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()
