"""Roles against a daemon's real sockets: each message is looked at when it comes, by the list as it is then."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

import headrace as hr
from headrace.pipeline.blobs import Sent
from headrace.pipeline.errors import FileError, ProtocolError, from_data
from headrace.pipeline.frames import from_frames, to_frames
from headrace.pipeline.graph import encode
from headrace.pipeline.keys import read_client_key
from headrace.pipeline.messages import (
    VERSION,
    AskStatus,
    Close,
    Fetch,
    Heartbeat,
    Hello,
    Message,
    Open,
    Pieces,
    Printed,
    Refused,
    Register,
    Registered,
    Stop,
    Upload,
    Welcome,
    WhatIs,
)
from headrace.pipeline.sockets import connect as connect_socket

from .conftest import SocketOf
from .test_daemon import Daemon


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A short folder."""
    with tempfile.TemporaryDirectory(prefix="hr-", dir="/tmp") as place:
        yield Path(place)


@pytest.fixture(scope="module")
def daemon(place: Path) -> Iterator[Daemon]:
    """One for all of these tests, that reads what lies in `place/data`, and whose clients may name one module's."""
    for name in ("data", "secret"):
        (place / name).mkdir()
        (place / name / "lines.txt").write_text("one\ntwo\n")
    (place / "data/out.txt").symlink_to(place / "secret/lines.txt")
    daemon = Daemon(place, f"--root={place}/data", "--module=numpy.lib")
    yield daemon
    daemon.process.terminate()
    assert daemon.process.wait(30) == 0


class Peer:
    """Whoever bears a key, and what it says."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket

    def say(self, message: Message, *buffers: bytes) -> Message:
        """The answer."""
        self.socket.send_multipart(to_frames(message, buffers))
        assert self.socket.poll(10_000), f"no answer to {type(message).__name__}"
        return from_frames(self.socket.recv_multipart())[0]

    def refused(self, message: Message, *buffers: bytes) -> str:
        """Why not."""
        answer = self.say(message, *buffers)
        assert isinstance(answer, Refused), answer
        return str(from_data(answer.error))


@pytest.fixture
def peer(daemon: Daemon, socket_of: SocketOf) -> Any:
    """`peer(key)`: connected, and welcome."""

    def come(key: Path, role: str = "client", name: str = "") -> Peer:
        name = name or f"peer-{os.urandom(4).hex()}"
        socket = socket_of(zmq.DEALER, name, lock=read_client_key(key))
        connect_socket(socket, daemon.address)
        found = Peer(socket)
        assert isinstance(found.say(Hello(VERSION, role, name, 1, {})), Welcome)
        return found

    return come


#: What each role must not say, and who could.
WRONG = [
    ("worker", Register("k", encode(hr.Dataset.range(3).node, Sent()), 0), "client or submit"),
    ("worker", Open(1, 1, 1, 0), "client or submit"),
    ("worker", Close(1, 1), "client or submit or admin"),
    ("worker", Stop(0.0), "admin"),
    ("client", Pieces(1, 1, 0, 1, True), "worker"),
    ("client", WhatIs(1), "worker"),
    ("client", Fetch("a" * 40, 0), "worker"),
    ("client", Printed("w", "boo"), "worker"),
    ("client", Stop(0.0), "admin"),
    ("submit", Stop(0.0), "admin"),
    ("admin", Register("k", b"", 0), "client or submit"),
    ("admin", Upload("a" * 40, 0, 1), "client or submit"),
    ("admin", Pieces(1, 1, 0, 1, True), "worker"),
]


@pytest.mark.parametrize(("role", "message", "needed"), WRONG, ids=lambda each: getattr(each, "__name__", None))
def test_what_a_role_may_not_say_is_refused_by_name(
    daemon: Daemon, peer: Any, tmp_path: Path, role: str, message: Message, needed: str
) -> None:
    name = f"{role}-{os.urandom(4).hex()}"
    told = peer(daemon.key(name, role)).refused(message)
    assert told.startswith(f"the key '{name}' has the role {role}, and {type(message).__name__} needs {needed}: ")


@pytest.mark.parametrize(
    ("role", "message"),
    [("client", AskStatus()), ("submit", Upload("a" * 40, 0, 1)), ("worker", Heartbeat()), ("admin", AskStatus())],
)
def test_a_peer_whose_key_is_taken_away_is_refused_at_its_next_message(
    daemon: Daemon, peer: Any, role: str, message: Message
) -> None:
    name = f"gone-{os.urandom(4).hex()}"
    there = peer(daemon.key(name, role), role="worker" if role == "worker" else "client", name=name)
    daemon.forget(name)
    assert there.refused(message) == "refused: this key is no longer in the server's authorized_keys"


def test_a_role_that_is_changed_counts_from_the_next_message_on(daemon: Daemon, peer: Any) -> None:
    there = peer(daemon.key("maud", "client"))
    register = Register("k", encode(hr.Dataset.range(3).node, Sent()), 0)
    assert isinstance(there.say(register), Registered)
    daemon.change("client maud", "worker maud")
    assert "Register needs client or submit" in there.refused(register)
    daemon.change("worker maud", "client maud")
    assert isinstance(there.say(register), Registered)


def test_a_job_cannot_be_had_or_closed_by_another_key(daemon: Daemon, peer: Any) -> None:
    mine, other = peer(daemon.key("mia", "client")), peer(daemon.key("oli", "client"))
    register = Register("k", encode(hr.Dataset.range(3).node, Sent()), 0)
    (job, theirs) = (each.say(register).job for each in (mine, other))
    assert job != theirs
    for message in (Open(1, job, 9, 0), Close(job, 9)):
        assert "a job that belongs to the key 'mia'" in other.refused(message)
    assert mine.say(register).job == job, "it is still there"


def test_files_in_the_roots_are_read_and_others_are_not(daemon: Daemon, place: Path) -> None:
    for role in ("client", "submit"):
        key = daemon.key(f"reader-{role}", role)
        with hr.connect(daemon.address, key=key) as service:

            def read(name: str, service: hr.Service = service) -> list[Any]:
                with service.iterate(hr.TextLineDataset(str(place / name))) as iterator:
                    return list(iterator)

            assert read("data/lines.txt") == [b"one", b"two"]
            for name in ("secret/lines.txt", "data/../secret/lines.txt", "data/out.txt"):
                with pytest.raises(FileError, match=f"{place}/{name}: "):
                    read(name)

            def cached(name: str, service: hr.Service = service) -> list[int]:
                with service.iterate(hr.Dataset.range(3).cache(place / name)) as iterator:
                    return [int(each) for _ in range(2) for each in iter(iterator)]

            assert cached(f"data/{role}") == [0, 1, 2, 0, 1, 2]
            assert (place / f"data/{role}.cache.json").exists()
            for name in (f"secret/{role}", f"data/../secret/{role}"):
                with pytest.raises(FileError, match=f"{place}/{name}.cache.tfrecord: "):
                    cached(name)
            assert not list((place / "secret").glob("*.cache.*"))


def test_a_file_that_may_not_be_read_fails_alone(daemon: Daemon, place: Path) -> None:
    names = [str(place / name / "lines.txt") for name in ("data", "secret", "data")]
    with (
        hr.connect(daemon.address, key=daemon.key("lea", "client")) as service,
        service.iterate(hr.TextLineDataset(names)) as iterator,
    ):
        assert [next(iterator), next(iterator)] == [b"one", b"two"]
        with pytest.raises(FileError, match="lies outside"):
            next(iterator)
        assert list(iterator) == [b"one", b"two"]


def test_functions_of_a_listed_module_run_by_their_names(daemon: Daemon) -> None:
    with hr.connect(daemon.address, key=daemon.key("nan", "client")) as service:
        with (
            pytest.raises(ProtocolError, match=r"or let map\(abs\) be the text MODULE:FUNCTION, of numpy.lib"),
            service.iterate(hr.Dataset.range(2).map(abs)) as iterator,
        ):
            next(iterator)
        with service.iterate(hr.Dataset.range(4).map("numpy.lib.scimath:sqrt").batch(4)) as iterator:
            np.testing.assert_allclose(next(iterator), np.sqrt(np.arange(4)))


def test_an_admin_has_any_job_forgotten_by_the_command_and_others_only_their_own(daemon: Daemon, peer: Any) -> None:
    owner, other, chief = (
        daemon.key(name, role) for name, role in (("olga", "client"), ("otto", "client"), ("cleo", "admin"))
    )
    register = Register("k", encode(hr.Dataset.range(3).node, Sent()), 0)
    job = peer(owner).say(register).job

    def stop(key: Path, number: int = job) -> tuple[int, str]:
        command = [sys.executable, "-m", "headrace", "stop", f"--server={daemon.address}", f"--key={key}"]
        ended = subprocess.run([*command, f"--job={number}"], capture_output=True, text=True, timeout=60)
        return ended.returncode, ended.stdout + ended.stderr

    code, said = stop(other)
    assert (code, "a job that belongs to the key 'olga'" in said) == (2, True)
    assert stop(chief) == (0, f"job {job} is forgotten\n")
    code, said = stop(chief)
    assert (code, f"job {job}: there is none of that number" in said) == (2, True)
    assert peer(owner).say(register).job != job
    assert daemon.process.poll() is None
