"""A server killed and started again in the middle of epochs: trainers go on by themselves, with the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr

from .numbers import noisy, numbered
from .serving import Daemon

Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Not started yet; ended afterwards."""
    made = Daemon(tmp_path_factory.mktemp("d"))
    yield made
    made.stop()


@pytest.fixture
def children() -> Callable[[int], set[int]]:
    """`children(pid)`: the living workers of a launcher, which are forks of its nursery."""

    def of(pid: int) -> set[int]:
        return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    return lambda pid: {worker for nursery in of(pid) for worker in of(nursery)}


def test_the_server_is_killed_again_and_again_in_the_middle_of_epochs_and_the_bytes_are_the_same(
    daemon: Daemon, same: Same, tmp_path: Path, processes: Processes, eventually: Eventually
) -> None:
    path = numbered(tmp_path / "a.tfrecord", 3000)
    dataset = hr.TFRecordDataset([path, path]).map(lambda record: int(record)).map(noisy).shuffle(500, seed=1)
    dataset = dataset.batch(20).map(lambda x, y: (x, y.sum(axis=1)))
    expected = [list(dataset.iterate(epoch)) for epoch in range(2)]
    daemon.start()
    with hr.connect(daemon.address) as service:
        iterator = service.iterate(dataset)
        for epoch in range(2):
            got = []
            for batch in iterator:
                got.append(batch)
                if len(got) in (60, 180):
                    workers = processes(daemon.folder, "worker")
                    assert workers
                    daemon.kill()
                    eventually(lambda: not processes(daemon.folder))
                    daemon.start()
                    assert not set(workers) & set(processes(daemon.folder, "worker")), "workers die with their server"
            same(got, expected[epoch])
            # A run that began anew has computed no more than what was not acknowledged, and what a buffer held.
            assert iterator.summary().ledger["delivered"] == 300
            assert iterator.summary().ledger["computed"] < 6000 + 6000
    assert daemon.lives == 5


def test_a_trainer_waits_while_the_server_is_away(daemon: Daemon, same: Same) -> None:
    dataset = hr.Dataset.range(4000).map(noisy).shuffle(300, seed=2).batch(16)
    daemon.start()
    with hr.connect(daemon.address) as service:
        iterator = service.iterate(dataset)
        got = [next(iterator) for _ in range(5)]
        daemon.kill()
        later = threading.Timer(1.0, daemon.start)
        later.start()
        got += list(iterator)
        later.join()
    same(got, list(dataset.iterate(0)))


def test_a_server_that_was_ended_in_good_order_is_gone_on_with_by_the_next(daemon: Daemon, same: Same) -> None:
    dataset = hr.Dataset.range(4000).map(noisy).shuffle(300, seed=2).batch(16)
    daemon.start("--no-slabs")
    with hr.connect(daemon.address) as service:
        iterator = service.iterate(dataset)
        got = [next(iterator) for _ in range(100)]
        daemon.stop()
        daemon.start("--no-slabs", "--workers=1")
        got += list(iterator)
    same(got, list(dataset.iterate(0)))


def test_two_trainers_find_their_own_jobs_again(daemon: Daemon, same: Same) -> None:
    one = hr.Dataset.range(900).map(noisy).shuffle(50, seed=3).batch(10)
    other = hr.Dataset.range(600).map(lambda x: -x).batch(10)
    daemon.start()
    with hr.connect(daemon.address) as service:
        first, second = service.iterate(one), service.iterate(other)
        got, more = [next(first) for _ in range(20)], [next(second) for _ in range(30)]
        daemon.kill()
        daemon.start()
        # The second comes first, and would have another number were numbers given anew.
        more += list(second)
        got += list(first)
    same(got, list(one.iterate(0)))
    same(more, list(other.iterate(0)))


@pytest.fixture
def elsewhere(daemon: Daemon) -> Iterator[subprocess.Popen[bytes]]:
    """Two workers that the server did not start."""
    command = [sys.executable, "-m", "headrace", "worker", f"--server={daemon.address}", "--workers=2"]
    daemon.start("--workers=0")
    with subprocess.Popen(command) as launcher:
        yield launcher
        launcher.terminate()
        launcher.wait(30)


def test_workers_that_others_started_come_back_by_themselves(
    daemon: Daemon, elsewhere: subprocess.Popen[bytes], same: Same, children: Callable[[int], set[int]]
) -> None:
    dataset = hr.Dataset.range(3000).map(noisy).shuffle(300, seed=2).batch(10).map(lambda x, y: (x, y.sum(axis=1)))
    with hr.connect(daemon.address) as service:
        iterator = service.iterate(dataset)
        got = [next(iterator)]
        workers = children(elsewhere.pid)
        assert len(workers) == 2
        for _ in range(2):
            got += [next(iterator) for _ in range(100)]
            daemon.kill()
            daemon.start("--workers=0")
        got += list(iterator)
    same(got, list(dataset.iterate(0)))
    assert children(elsewhere.pid) == workers


def test_an_element_that_kills_is_not_tried_anew_by_each_server(
    daemon: Daemon, tmp_path: Path, eventually: Eventually, outcomes: Outcomes
) -> None:
    tries = tmp_path / "tries"
    tries.touch()

    def deadly(x: Any) -> Any:
        if x == 37:
            with tries.open("ab") as file:
                file.write(b".")
            gate = Path(f"{tries}-{tries.stat().st_size}")
            while not gate.exists():
                pass
            os._exit(7)
        return x

    def begun(count: int) -> None:
        eventually(lambda: tries.stat().st_size == count, within_s=30)

    def die(count: int) -> None:
        Path(f"{tries}-{count}").touch()

    daemon.start()
    with hr.connect(daemon.address) as service:
        found: list[Any] = []
        iterator = service.iterate(hr.Dataset.range(60).map(deadly))
        trainer = threading.Thread(target=lambda: found.extend(outcomes(iterator)))
        trainer.start()
        begun(1)
        die(1)
        begun(2)  # so the server knows of the first death, and has said so to a worker
        daemon.kill()
        daemon.start()
        begun(3)
        die(3)
        begun(4)  # the third try, alone in a fresh process
        daemon.kill()
        daemon.start()
        begun(5)
        die(5)
        trainer.join()
    assert tries.stat().st_size == 5, "three deaths, and two tries that ended with their server"
    kind, text = found.pop(37)
    assert kind is hr.PoisonError
    assert "3 workers were lost" in text
    assert found == [each for each in range(60) if each != 37]


def test_a_second_server_with_the_same_state_is_refused_by_name(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start()
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    command = [sys.executable, "-m", "headrace", "server-process", f"--folder={other}", f"--state={daemon.state}"]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert daemon.process is not None
    assert f"another server, process {daemon.process.pid}, uses {daemon.state}/journal.sqlite" in ended.stderr
    with hr.connect(daemon.address) as service:
        assert list(service.iterate(hr.Dataset.range(3))) == [0, 1, 2]
