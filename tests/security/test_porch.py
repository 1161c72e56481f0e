"""The porch: those who do not say who they are make room for those who do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
import zmq

from headrace.pipeline.addresses import parse_address
from headrace.pipeline.sockets import bind, connect
from headrace.porch import Porch

from .conftest import SocketOf


class Door:
    """A ROUTER with a porch for four."""

    def __init__(self, router: zmq.Socket[bytes]) -> None:
        self.router, self.porch = router, Porch(router, room=4)
        self.address = bind(router, "tcp://127.0.0.1:*", insecure=True)

    def hear(self) -> bytes:
        """The next message."""
        assert self.router.poll(5000)
        frames = self.router.recv_multipart(copy=False)
        self.porch.entered(frames[-1])
        return bytes(frames[-1].buffer)

    def sweep_until(self, condition: Callable[[], bool]) -> None:
        """Sweep until that is so."""
        until = monotonic() + 10
        while not condition():
            assert monotonic() < until
            self.porch.socket.poll(50)
            self.porch.sweep()


@pytest.fixture
def door(socket_of: SocketOf) -> Iterator[Door]:
    """The door of a server."""
    door = Door(socket_of(zmq.ROUTER))
    yield door
    door.porch.close()
    door.porch.close()


@pytest.fixture
def stranger(door: Door) -> Iterator[Callable[[], socket.socket]]:
    """`stranger()`: one more who connects and says nothing."""
    address, made = parse_address(door.address), []

    def come() -> socket.socket:
        made.append(socket.create_connection((address.host, address.port), timeout=10))
        return made[-1]

    yield come
    for each in made:
        each.close()


def ended(connection: socket.socket) -> bool:
    """Whether the server has ended a connection; it begins each with a greeting of ten bytes."""
    connection.setblocking(False)
    try:
        return any(connection.recv(100) == b"" for _ in range(2))
    except BlockingIOError:
        return False


def test_where_there_is_no_room_who_has_waited_longest_is_shown_out(
    door: Door, stranger: Callable[[], socket.socket]
) -> None:
    came = [stranger() for _ in range(7)]
    door.sweep_until(lambda: all(map(ended, came[:3])))
    assert door.porch.waiting == 4
    assert not any(map(ended, came[3:]))


def test_who_has_been_heard_is_never_shown_out(
    door: Door, socket_of: SocketOf, stranger: Callable[[], socket.socket]
) -> None:
    peer = socket_of(zmq.DEALER)
    connect(peer, door.address)
    peer.send(b"hello")
    assert door.hear() == b"hello"
    assert door.porch.waiting == 0
    came = [stranger() for _ in range(20)]
    door.sweep_until(lambda: all(map(ended, came[:16])))
    peer.send(b"still here")
    assert door.hear() == b"still here"


def test_who_goes_makes_room(door: Door, stranger: Callable[[], socket.socket]) -> None:
    for _ in range(20):
        stranger().close()
    last = stranger()
    door.sweep_until(lambda: door.porch.waiting == 1)
    assert not ended(last)
