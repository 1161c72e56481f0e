"""Sharing memory: a server and its peers find out that they can, and go on with frames where they cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from headrace.pipeline import slabs
from headrace.pipeline.frames import from_frames, to_frames
from headrace.pipeline.messages import (
    VERSION,
    Bye,
    Close,
    Deliver,
    Freed,
    Hello,
    Message,
    Pieces,
    Retired,
    Shares,
    Sharing,
    Stale,
    Welcome,
)
from headrace.pipeline.sharing import PeerMemory, Proof, ServerMemory

pytestmark = pytest.mark.skipif(not slabs.SUPPORTED, reason="needs Linux")
MIB = 1 << 20
PIECES = Pieces(1, 1, 0, 1, False, [])
DELIVER = Deliver((1, 1, 1, 0, 0), 0, 1, [], 0)


def block(value: int, nbytes: int = MIB) -> npt.NDArray[np.uint8]:
    return np.full(nbytes, value, np.uint8)


class Wire:
    """A server and one peer, whose messages pass through the codec."""

    def __init__(self, role: str = "worker", *, enabled: bool = True) -> None:
        self.server = ServerMemory(8 * MIB, 4 * MIB, enabled=enabled)
        self.peer = PeerMemory()
        self.to_server(Hello(VERSION, role, "peer", 1, {}))
        self.to_peer(Welcome(1, 1.0))

    def to_server(self, message: Message, buffers: Any = ()) -> tuple[Message | None, list[Any]]:
        frames = to_frames(*self.peer.sent(message, buffers))
        heard, content, answers = self.server.received("peer", *from_frames([bytes(each) for each in frames]))
        for answer in answers:
            self.to_peer(answer)
        return heard, list(content)

    def to_peer(self, message: Message, buffers: Any = ()) -> tuple[Message | None, list[Any]]:
        frames = to_frames(*self.server.sent("peer", message, buffers))
        heard, content, answers = self.peer.received(*from_frames([bytes(each) for each in frames]))
        for answer in answers:
            self.to_server(answer)
        return heard, list(content)

    def news(self) -> list[Message]:
        """What each has to say to the other, said."""
        said = self.peer.news()
        for message in said:
            self.to_server(message)
        for _, message in list(self.server.news()):
            said.append(message)
            self.to_peer(message)
        return said


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.server.close()


def shared(message: Message | None) -> bool:
    """Whether a message's block came in shared memory."""
    assert isinstance(message, Pieces | Deliver)
    return message.slab is not None


def test_a_workers_block_lies_in_shared_memory_and_the_rest_follows(wire: Wire) -> None:
    message, buffers = wire.to_server(PIECES, [block(3), np.arange(4)])
    assert shared(message)
    assert (buffers[0] == 3).all()
    assert bytes(buffers[1]) == np.arange(4).tobytes()


def test_a_batch_lies_in_memory_that_its_client_may_write_to() -> None:
    wire = Wire("client")
    message, buffers = wire.to_peer(DELIVER, [block(3)])
    assert shared(message)
    buffers[0][0] = 9
    assert buffers[0][:2].tolist() == [9, 3]


def test_a_batch_gathered_into_shared_memory_is_not_copied_again() -> None:
    wire = Wire("client")
    room = wire.server.allocate("peer", MIB)
    assert room is not None
    _, buffers = wire.to_peer(DELIVER, [room])
    buffers[0][7] = 42
    assert room[7] == 42


def test_each_role_has_a_limit_of_its_own() -> None:
    for role, limit in (("worker", 8), ("client", 4)):
        wire = Wire(role)
        held = wire.server.allocate("peer", limit * MIB)
        assert held is not None
        assert wire.server.allocate("peer", MIB) is None


def test_what_the_server_no_longer_holds_the_worker_uses_again(wire: Wire) -> None:
    held = [wire.to_server(PIECES, [block(i)])[1][0] for i in range(4)]
    assert wire.news() == []
    del held[:2]
    (freed,) = wire.news()
    assert isinstance(freed, Freed)
    assert len(freed.regions) == 2
    assert [int(each[0]) for each in held] == [2, 3]


def test_small_blocks_and_other_messages_travel_as_they_are(wire: Wire) -> None:
    message, buffers = wire.to_server(PIECES, [block(1, 1000)])
    assert not shared(message)
    assert buffers == [bytes(block(1, 1000))]
    assert wire.to_server(Bye()) == (Bye(), [])


def test_a_server_without_slabs_shares_nothing() -> None:
    wire = Wire(enabled=False)
    message, _ = wire.to_server(PIECES, [block(1)])
    assert not shared(message)
    assert wire.server.allocate("peer", MIB) is None


def test_a_peer_that_cannot_read_the_proof_shares_nothing() -> None:
    peer = PeerMemory()
    for nonce in ("", "1/999999/0011223344556677", "../../etc/passwd"):
        _, _, answers = peer.received(Welcome(1, 1.0, nonce), ())
        assert answers == []
        assert peer.allocate(MIB) is None


def test_who_does_not_know_the_secret_is_not_shared_with(wire: Wire) -> None:
    other = Proof()
    assert wire.server.received("stranger", Shares(other.secret, other.name), ()) == (None, (), [])
    assert wire.server.received("stranger", Shares(other.secret, "../../etc/passwd"), ()) == (None, (), [])
    assert wire.server.received("stranger", Shares("é" * 32, ""), ()) == (None, (), [])
    assert wire.server.allocate("stranger", MIB) is None


def test_who_knows_the_secret_but_lies_elsewhere_is_not_shared_with(wire: Wire) -> None:
    secret = Proof.read(wire.server.nonce)
    assert secret is not None
    assert wire.server.received("stranger", Shares(secret, Proof().name), ()) == (None, (), [])
    assert wire.server.received("stranger", Shares(secret, "1/0/0011223344556677"), ()) == (None, (), [])


def test_nobody_reads_a_proof_that_is_none(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+b") as file:
        assert Proof.read(f"{os.getpid()}/{file.fileno()}/0011223344556677") is None
    assert Proof.read("/dev/shm/../../etc/passwd") is None


def test_a_worker_that_names_what_cannot_be_goes_on_with_frames(wire: Wire) -> None:
    bad = Pieces(1, 1, 0, 1, False, [], None, [wire.server.nonce, 0, 1 << 40, 1])
    heard, _, answers = wire.server.received("peer", bad, ())
    assert heard is None
    assert answers == [Sharing(0)]
    wire.to_peer(answers[0])
    message, buffers = wire.to_server(PIECES, [block(5)])
    assert not shared(message)
    assert buffers == [bytes(block(5))]


def test_a_client_that_cannot_open_a_slab_asks_for_frames() -> None:
    wire = Wire("client")
    bad = Deliver((1, 1, 1, 0, 0), 0, 1, [], 0, None, ["1/2/0011223344556677", 0, 1, 1])
    heard, _, answers = wire.peer.received(bad, ())
    assert heard is None
    assert answers == [Shares("", "")]
    wire.to_server(answers[0])
    message, buffers = wire.to_peer(DELIVER, [block(5)])
    assert not shared(message)
    assert buffers == [bytes(block(5))]


def test_who_shares_nothing_and_is_sent_a_slab_asks_for_frames() -> None:
    peer = PeerMemory()
    heard, _, answers = peer.received(
        Deliver((1, 1, 1, 0, 0), 0, 1, [], 0, None, ["1/2/0011223344556677", 0, 1, 1]), ()
    )
    assert (heard, answers) == (None, [Shares("", "")])


def test_another_life_of_the_server_begins_anew_and_what_the_old_one_lent_can_still_be_read(wire: Wire) -> None:
    client = Wire("client")
    _, buffers = client.to_peer(DELIVER, [block(3)])
    client.server.close()
    client.server = ServerMemory(8 * MIB, 4 * MIB)
    client.to_server(Hello(VERSION, "client", "peer", 1, {}))
    client.to_peer(Welcome(2, 1.0))
    _, fresh = client.to_peer(DELIVER, [block(4)])
    assert (buffers[0] == 3).all()
    assert (fresh[0] == 4).all()
    del buffers
    assert client.news() == [], "the old one is not there to be told"


def test_a_late_answer_of_an_earlier_handshake_is_passed_over(wire: Wire) -> None:
    late = Sharing(MIB, "1/2/0011223344556677")
    before = wire.peer.allocate(2 * MIB)
    wire.to_peer(late)
    assert before is not None
    assert wire.peer.allocate(2 * MIB) is not None, "the limit is not that of the late answer"


def test_words_of_memory_from_who_shares_none_are_passed_over() -> None:
    server, peer = ServerMemory(MIB, MIB), PeerMemory()
    for message in (Freed([["1/2/0011223344556677", 0, 1]]), Freed([1, [], None]), Retired([None, {}, "x"])):
        assert server.received("stranger", message, ()) == (None, (), [])
        assert peer.received(message, ()) == (None, (), [])


def test_words_of_memory_that_are_nonsense_change_nothing(wire: Wire) -> None:
    _, buffers = wire.to_server(PIECES, [block(3)])
    for message in (Freed([1, [], None, [None, 0, 1], [{}, 0, 1], [[], [], []]]), Retired([None, {}, "x", [1]])):
        wire.to_server(message)
        wire.to_peer(message)
    assert (buffers[0] == 3).all()


def test_a_worker_with_nothing_to_do_gives_its_slabs_back(wire: Wire) -> None:
    wire.to_server(PIECES, [block(3)])
    assert wire.peer.rest() == [], "the server has not said that it is done"
    wire.news()
    (retired,) = wire.peer.rest()
    assert isinstance(retired, Retired)
    assert wire.to_server(retired) == (None, [])
    assert wire.peer.rest() == []
    assert shared(wire.to_server(PIECES, [block(4)])[0])


def mapped() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:headrace-")


@pytest.mark.parametrize("last", [Bye(), Close(1, 1)])
def test_a_peer_that_leaves_has_its_memory_unmapped(last: Message) -> None:
    before = mapped()
    wire = Wire("client")
    wire.to_peer(DELIVER, [block(3)])
    assert mapped() == before + 2
    wire.to_server(last)
    assert mapped() == before + 1, "the client's own mapping"
    wire.peer = PeerMemory()
    assert mapped() == before


PEER = """
import sys
from headrace.pipeline.messages import Welcome
from headrace.pipeline.sharing import PeerMemory
memory = PeerMemory()
_, _, (shares,) = memory.received(Welcome(1, 1.0, sys.argv[1]), ())
print(shares.secret, shares.nonce, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def process() -> Iterator[Any]:
    """`process(server)`: another process that has read a server's proof, and its answer."""
    made: list[subprocess.Popen[str]] = []

    def start(server: ServerMemory) -> tuple[subprocess.Popen[str], Shares]:
        command = [sys.executable, "-c", PEER, server.nonce]
        made.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert made[-1].stdout is not None
        secret, nonce = made[-1].stdout.readline().split()
        return made[-1], Shares(secret, nonce)

    yield start
    for each in made:
        each.kill()
        each.communicate()


def test_a_peer_that_is_killed_is_noticed_and_its_memory_given_back(process: Any) -> None:
    server, before = ServerMemory(8 * MIB, 4 * MIB), mapped()
    child, shares = process(server)
    assert server.received("peer", shares, ())[2] == [Sharing(4 * MIB, shares.nonce)]
    server.sent("peer", DELIVER, [block(3)])
    assert list(server.news()) == []
    assert mapped() == before + 1
    child.kill()
    child.wait()
    assert list(server.news()) == []
    assert mapped() == before
    assert server.allocate("peer", MIB) is None


def test_no_descriptor_is_left_of_peers_that_come_and_go() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    wire = Wire()
    for _ in range(3):
        wire.to_server(Hello(VERSION, "worker", "peer", 1, {}))
        wire.to_peer(Welcome(1, 1.0))
        assert shared(wire.to_server(PIECES, [block(3)])[0])
    wire.to_server(Stale(1))
    wire.server.close()
    del wire
    assert count() == before
