"""Hostile peers that speak the protocol; those that do not are in `test_daemon`. Memory is that of a real process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from headrace.pipeline.chunks import CHUNK_BYTES
from headrace.pipeline.keys import ClientLock

from .conftest import Knock, NewKey

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
ALLOWED = 64 * MIB

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured with /proc")


class Served:
    """A server in a process of its own, whose memory is watched."""

    def __init__(self, keys: Path) -> None:
        command = [sys.executable, "-m", "tests.security.serving", str(keys)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def memory(self, what: str) -> int:
        """`VmRSS` or, the most that it was, `VmHWM`; bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))

    def watch(self) -> int:
        """Begin to watch for the most; how much it is now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.memory("VmRSS")

    def close(self) -> None:
        """End it in good order."""
        assert self.process.poll() is None
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0


@pytest.fixture
def served(keys: Path) -> Iterator[Served]:
    """A server that lets in whom `keys` lists."""
    served = Served(keys)
    yield served
    served.close()


def test_strangers_with_keys_that_are_not_in_the_list(served: Served, knock: Knock, new_key: NewKey) -> None:
    ann = new_key("ann", "client")
    friend = knock(served.address, ann)
    assert friend.ask() == b"ann"
    before = served.watch()
    for _ in range(100):
        public, secret = (each.decode() for each in zmq.curve_keypair())
        stranger = knock(served.address, ClientLock(public, secret, ann.server))
        assert "does not know this key" in (stranger.verdict("refused: ") or "")
        stranger.close()
    assert friend.ask() == b"ann"
    assert served.memory("VmHWM") - before < ALLOWED


def test_a_frame_too_large_of_a_peer_with_a_key_ends_its_connection(
    served: Served, knock: Knock, new_key: NewKey
) -> None:
    ann = new_key("ann", "client")
    friend, foe = knock(served.address, ann), knock(served.address, new_key("bob", "client"))
    assert (friend.ask(), foe.ask()) == (b"ann", b"bob")
    assert foe.bell.verdict() is None
    before = served.watch()
    foe.socket.send(bytes(128 * MIB))
    assert foe.bell.socket.poll(20_000)
    assert (foe.bell.verdict() or "").startswith("unreachable: ")
    assert friend.ask() == b"ann"
    assert served.memory("VmHWM") - before < ALLOWED


def test_a_message_without_end_of_a_peer_with_a_key_is_forgotten_with_it(
    served: Served, knock: Knock, new_key: NewKey
) -> None:
    """libzmq keeps the frames of a message until its last one: a key is trust not to send one without end."""
    ann = new_key("ann", "client")
    friend, foe = knock(served.address, ann), knock(served.address, new_key("bob", "client"))
    assert (friend.ask(), foe.ask()) == (b"ann", b"bob")
    for _ in range(32 * MIB // CHUNK_BYTES):
        foe.socket.send(bytes(CHUNK_BYTES), zmq.SNDMORE)
    foe.close()
    assert friend.ask() == b"ann"
    assert knock(served.address, ann).ask() == b"ann"
