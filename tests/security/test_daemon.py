"""The daemon itself over TCP: hostile peers, roles, keys that are taken away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

import headrace as hr
from headrace.client.visit import visit
from headrace.pipeline.addresses import parse_address
from headrace.pipeline.chunks import CHUNK_BYTES
from headrace.pipeline.errors import ProtocolError, ServiceError
from headrace.pipeline.frames import from_frames, to_frames
from headrace.pipeline.keys import AUTHORIZED, make_client_key, make_server_key, read_client_key
from headrace.pipeline.messages import AskStatus, Refused, Status, Stop
from headrace.pipeline.sockets import connect as connect_socket

from .attacks import ATTACKS, Connect
from .conftest import SocketOf

ROOT = Path(__file__).parents[2]
ALLOWED = 64 << 20


class Daemon:
    """A server of one worker with a TCP port, and keys for whom it lets in."""

    def __init__(self, place: Path, *options: str) -> None:
        self.keys, folder = place / "keys", place / "run"
        make_server_key(self.keys)
        folder.mkdir(mode=0o700)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        ready, told = os.pipe()
        command = ["server-process", f"--folder={folder}", "--workers=1", f"--ready={told}"]
        command += [f"--listen={self.address}", f"--keys={self.keys}", *options]
        self.process = subprocess.Popen([sys.executable, "-m", "headrace", *command], cwd=ROOT, pass_fds=[told])
        os.close(told)
        with os.fdopen(ready) as file:
            assert file.readline().startswith("ipc://")

    def key(self, name: str, *roles: str) -> Path:
        """The file of a new key."""
        return make_client_key(self.keys, name, roles)

    def forget(self, name: str) -> None:
        """Take the line of a key away."""
        path = self.keys / AUTHORIZED
        path.write_text("".join(f"{each}\n" for each in path.read_text().splitlines() if not each.endswith(f" {name}")))

    def change(self, what: str, into: str) -> None:
        """Change the list."""
        path = self.keys / AUTHORIZED
        path.write_text(path.read_text().replace(what, into))

    def ask(self, key: Path, within_s: float = 20.0) -> Status:
        """How it is."""
        answer = visit(self.address, AskStatus(), read_client_key(key), within_s)
        assert isinstance(answer, Status)
        return answer

    def memory(self, what: str) -> int:
        """`VmRSS` or, the most that it was, `VmHWM`; bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))

    def watch(self) -> int:
        """Begin to watch for the most; how much it is now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.memory("VmRSS")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """One for all of these tests: none of them may stop it."""
    with tempfile.TemporaryDirectory(prefix="hr-", dir="/tmp") as place:
        daemon = Daemon(Path(place))
        yield daemon
        assert daemon.process.poll() is None
        daemon.process.terminate()
        assert daemon.process.wait(30) == 0


@pytest.fixture(scope="module")
def ann(daemon: Daemon) -> Path:
    """The key of who may run anything."""
    return daemon.key("ann", "submit")


@pytest.fixture
def connect(daemon: Daemon) -> Iterator[Connect]:
    """`connect()`."""
    address, kept = parse_address(daemon.address), []

    def one() -> socket.socket:
        kept.append(socket.create_connection((address.host, address.port), timeout=5))
        return kept[-1]

    yield one
    for each in kept:
        each.close()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured with /proc")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_stranger_neither_fills_the_memory_nor_stops_the_daemon(
    daemon: Daemon, ann: Path, connect: Connect, attack: Callable[[Connect], None]
) -> None:
    daemon.ask(ann)
    before = daemon.watch()
    attack(connect)
    assert daemon.ask(ann, 30).data["pid"] == daemon.process.pid
    assert daemon.memory("VmHWM") - before < ALLOWED


def test_a_pipeline_over_tcp_gives_what_it_gives_in_process(daemon: Daemon, ann: Path) -> None:
    dataset = hr.Dataset.range(40).shuffle(40, seed=3).map(lambda x: np.full(1000, x)).batch(7)
    with hr.connect(daemon.address, key=ann) as service, service.iterate(dataset) as iterator:
        for mine, theirs in zip(iterator, dataset.iterate(0), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_an_element_of_many_chunks_crosses_tcp(daemon: Daemon, ann: Path) -> None:
    length = 5 * CHUNK_BYTES + 3
    dataset = hr.Dataset.range(3).map(lambda x: (np.arange(length) + x).astype(np.uint8)).batch(2)
    with hr.connect(daemon.address, key=ann) as service, service.iterate(dataset) as iterator:
        for mine, theirs in zip(iterator, dataset.iterate(0), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_functions_are_taken_from_who_may_submit_them_alone(daemon: Daemon) -> None:
    key = daemon.key("carl", "client")
    with hr.connect(daemon.address, key=key) as service:
        with service.iterate(hr.Dataset.range(5).batch(2)) as iterator:
            assert [each.tolist() for each in iterator] == [[0, 1], [2, 3], [4]]
        with (
            pytest.raises(
                ProtocolError, match="'carl' has the role client, and a pipeline with functions needs submit"
            ),
            service.iterate(hr.Dataset.range(5).map(lambda x: x)) as iterator,
        ):
            next(iterator)


def test_only_an_admin_stops_the_daemon(daemon: Daemon, ann: Path) -> None:
    with pytest.raises(ProtocolError, match="'ann' has the role submit, and Stop needs admin"):
        visit(daemon.address, Stop(0.0), read_client_key(ann))
    daemon.ask(ann)


def test_who_is_not_in_the_list_is_told_so(daemon: Daemon, tmp_path: Path) -> None:
    make_server_key(tmp_path / "elsewhere")
    key = make_client_key(tmp_path / "elsewhere", "eve", ["submit"])
    with pytest.raises(ServiceError, match=f"refused: .* has another key than the one in {key}"):
        daemon.ask(key)
    ours = daemon.key("eve", "submit")
    daemon.forget("eve")
    with pytest.raises(ServiceError, match=f"refused: the server does not know this key: .* {ours} "):
        daemon.ask(ours)


def test_who_has_no_key_is_told_how_to_make_one(daemon: Daemon) -> None:
    with pytest.raises(ServiceError, match=r"refused: .*headrace keys --add NAME"):
        visit(daemon.address, AskStatus())


def test_a_key_that_is_taken_away_is_refused_at_the_next_message(daemon: Daemon, socket_of: SocketOf) -> None:
    lock = read_client_key(daemon.key("bob", "client"))
    dealer = socket_of(zmq.DEALER, lock=lock)
    connect_socket(dealer, daemon.address)
    daemon.forget("bob")
    dealer.send_multipart(to_frames(AskStatus()))
    assert dealer.poll(10_000)
    answer = from_frames(dealer.recv_multipart())[0]
    assert isinstance(answer, Refused)
    assert answer.error["args"] == ["refused: this key is no longer in the server's authorized_keys"]


def test_a_training_loop_whose_key_is_taken_away_is_told_so(daemon: Daemon) -> None:
    key = daemon.key("dan", "submit")
    dataset = hr.Dataset.range(100_000).map(lambda x: x + 1).batch(10)
    with hr.connect(daemon.address, key=key) as service, service.iterate(dataset) as iterator:
        next(iterator)
        daemon.forget("dan")
        with pytest.raises(ServiceError, match="this key is no longer in the server's authorized_keys"):
            for _ in iterator:
                pass


def test_a_peer_of_another_version_is_told_which_is_older(daemon: Daemon, ann: Path, socket_of: SocketOf) -> None:
    dealer = socket_of(zmq.DEALER, lock=read_client_key(ann))
    connect_socket(dealer, daemon.address)
    dealer.send(b"\x96\xa5Hello\x01\xa6client\xa1c\x01\x80")  # ["Hello", 1, "client", "c", 1, {}]
    assert dealer.poll(10_000)
    answer = from_frames(dealer.recv_multipart())[0]
    assert isinstance(answer, Refused)
    assert answer.error["kind"] == "VersionMismatch"
