"""Who is who at a server's door: a name is borne by one process at a time, over whichever connection it comes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq

from headrace import peers as module
from headrace.peers import Peers, open_doors
from headrace.pipeline.errors import ServiceError, from_data
from headrace.pipeline.frames import from_frames, to_frames
from headrace.pipeline.messages import Bye, Heartbeat, Message, Refused
from headrace.pipeline.sharing import ServerMemory
from headrace.pipeline.sockets import connect, open_socket, send

Peer: TypeAlias = "zmq.Socket[bytes]"


class House:
    """A door, those who know who came, and sockets that come."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[Peer] = zmq.Context()
        doors, (self.address, *_) = open_doors(self.context, folder, (), None, False)
        self.peers = Peers(doors, ServerMemory(0, 0, enabled=False))
        self.come: list[Peer] = []

    def enter(self, name: str, identity: bytes | None = None) -> Peer:
        """Somebody of this name; with an identity, over another connection of the same process."""
        socket = open_socket(self.context, zmq.DEALER, name)
        if identity is not None:
            socket.setsockopt(zmq.IDENTITY, identity)
        connect(socket, self.address)
        self.come.append(socket)
        return socket

    def say(self, socket: Peer, message: Message) -> list[tuple[str, Message]]:
        """Who is heard, with what, when this is said."""
        door = self.peers.doors[0]
        send(socket, to_frames(message))
        assert door.socket.poll(10_000)
        return [(heard.peer, heard.message) for heard in self.peers.hear(door)]

    def close(self) -> None:
        for socket in (*self.come, *(door.socket for door in self.peers.doors)):
            socket.close(linger=0)
        self.context.term()


@pytest.fixture
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="hr-", dir="/tmp") as folder:  # a short path
        made = House(Path(folder))
        yield made
        made.close()


def answer(socket: Peer) -> Message:
    assert socket.poll(10_000)
    return from_frames(socket.recv_multipart())[0]


def test_a_process_that_connects_anew_is_heard_though_its_old_connection_still_stands(house: House) -> None:
    first = house.enter("worker-1")
    assert house.say(first, Heartbeat()) == [("worker-1", Heartbeat())]
    identity = first.getsockopt(zmq.IDENTITY)
    assert isinstance(identity, bytes)
    again = house.enter("worker-1", identity)
    assert house.say(again, Heartbeat()) == [("worker-1", Heartbeat())]
    assert house.peers.send("worker-1", Bye())
    assert answer(again) == Bye()


def test_a_second_process_of_a_name_is_refused(house: House) -> None:
    first, second = house.enter("worker-1"), house.enter("worker-1")
    assert house.say(first, Heartbeat()) == [("worker-1", Heartbeat())]
    assert house.say(second, Heartbeat()) == []
    refused = answer(second)
    assert isinstance(refused, Refused)
    error = from_data(refused.error)
    assert isinstance(error, ServiceError)
    assert "another process is connected as worker-1" in str(error)
    assert house.peers.send("worker-1", Bye())
    assert answer(first) == Bye()


def test_who_has_been_silent_for_long_loses_the_name(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = house.enter("worker-1"), house.enter("worker-1")
    assert house.say(first, Heartbeat()) == [("worker-1", Heartbeat())]
    monkeypatch.setattr(module, "SILENT_S", 0.0)
    assert house.say(second, Heartbeat()) == [("worker-1", Heartbeat())]
    monkeypatch.setattr(module, "SILENT_S", 60.0)
    assert house.say(first, Heartbeat()) == []
    assert isinstance(answer(first), Refused)


def test_of_peers_that_are_not_known_any_more_nothing_is_known(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    forgotten: list[str] = []
    monkeypatch.setattr(ServerMemory, "forget", lambda memory, peer: forgotten.append(peer))
    for number in range(6):
        name = f"worker-{number}"
        assert house.say(house.enter(name), Heartbeat()) == [(name, Heartbeat())]
    assert forgotten == ["worker-0", "worker-1", "worker-2"]
    assert list(house.peers.known) == list(house.peers.heard) == ["worker-3", "worker-4", "worker-5"]
