"""Workers killed, stopped, stuck; a server killed; functions that kill: the same bytes, or a typed error."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr

from .killing import epoch_with_kills
from .numbers import noisy, numbered

Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]
Folder = Callable[[hr.Service], Path]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def test_workers_are_killed_again_and_again_and_the_bytes_are_the_same(
    processes: Processes, run_folder: Folder, same: Same, tmp_path: Path, eventually: Eventually
) -> None:
    path = numbered(tmp_path / "a.tfrecord", 6000)
    dataset = hr.TFRecordDataset([path, path]).map(lambda record: int(record)).map(noisy).shuffle(500, seed=1)
    dataset = dataset.batch(20).map(lambda x, y: (x, y.sum(axis=1)))
    # A small budget: the workers never are far ahead of this slow consumer.
    with hr.serve(workers=2, split_bytes=20_000, budget_bytes=100_000) as service:
        folder, iterator = run_folder(service), service.iterate(dataset)
        got, killed = epoch_with_kills(iterator, lambda: processes(folder, "worker"), eventually)
    same(got, list(dataset.iterate(0)))
    assert killed > 10
    assert iterator.summary().ledger["repeated"] > 10, "the kills hit nobody at work"


def test_a_worker_stopped_past_its_lease_and_continued_changes_nothing(
    processes: Processes, run_folder: Folder, same: Same, tmp_path: Path, eventually: Eventually
) -> None:
    path = numbered(tmp_path / "a.tfrecord", 3000)
    dataset = hr.TFRecordDataset(path).map(lambda record: int(record)).map(noisy).shuffle(100, seed=1).batch(20)
    expected = list(dataset.iterate(0))
    with hr.serve(workers=2, lease_s=1.5, split_bytes=4_000, budget_bytes=100_000) as service:
        iterator = service.iterate(dataset)
        got = [next(iterator)]
        both = eventually(lambda: len(found := processes(run_folder(service), "worker")) == 2 and found)
        os.kill(both[0], signal.SIGSTOP)
        # The stopped one's lease runs out before this ends, as its split stands in the way.
        got += [next(iterator) for _ in range(100)]
        os.kill(both[0], signal.SIGCONT)
        got += list(iterator)
    same(got, expected)


def exits(x: Any) -> Any:
    if x == 37:
        os._exit(7)
    return x


def kills_itself(x: Any) -> Any:
    if x == 37:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def crashes(x: Any) -> Any:
    if x == 37:
        ctypes.string_at(8)
    return x


@pytest.mark.parametrize(
    ("poison", "cause"),
    [(exits, "exited with status 7"), (kills_itself, "killed by SIGKILL"), (crashes, "killed by SIGSEGV")],
)
def test_a_poison_record_is_an_error_at_its_place(outcomes: Outcomes, poison: Any, cause: str) -> None:
    dataset = hr.Dataset.range(60).map(poison)
    with hr.serve(workers=2) as service:
        found = outcomes(service.iterate(dataset))
        kind, text = found.pop(37)
        assert kind is hr.PoisonError
        assert "element 37" in text
        assert cause in text
        assert found == [each for each in range(60) if each != 37]
        batches = outcomes(service.iterate(dataset.shuffle(30, seed=1).batch(10)))
        assert [each[0] for each in batches if isinstance(each, tuple)] == [hr.PoisonError]
        assert sorted(np.concatenate([b for b in batches if not isinstance(b, tuple)])) == found


def test_a_poison_record_of_a_file_is_named(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.tfrecord", 50)
    with hr.serve(workers=1) as service:
        iterator = service.iterate(hr.TFRecordDataset(path).map(lambda record: exits(int(record))))
        assert [next(iterator) for _ in range(37)] == list(range(37))
        with pytest.raises(hr.PoisonError) as caught:
            next(iterator)
        assert path in str(caught.value)
        assert f"byte {37 * 24}" in str(caught.value)
        assert list(iterator) == list(range(38, 50))


def test_a_function_that_never_returns_is_an_error_at_its_place(outcomes: Outcomes) -> None:
    def endless(x: Any) -> Any:
        while x == 5:
            pass
        return x

    with hr.serve(workers=2, lease_s=1.0) as service:
        found = outcomes(service.iterate(hr.Dataset.range(8).map(endless)))
    kind, text = found.pop(5)
    assert kind is hr.PoisonError
    assert "did not return within the lease of 1 s" in text
    assert "element 5" in text
    assert found == [0, 1, 2, 3, 4, 6, 7]


def test_a_killed_server_is_an_error_and_no_hang(
    processes: Processes, run_folder: Folder, eventually: Eventually
) -> None:
    with hr.serve(workers=1) as service:
        folder = run_folder(service)
        iterator = service.iterate(hr.Dataset.range(10_000_000).map(lambda x: np.full(1000, x)))
        next(iterator)
        (server,) = processes(folder, "server")
        os.kill(server, signal.SIGKILL)
        with pytest.raises(hr.ServiceError, match=f"server process {server} has ended"):
            list(iterator)
        with pytest.raises(hr.ServiceError):
            next(iterator)
        with pytest.raises(hr.ServiceError):
            next(service.iterate(hr.Dataset.range(3)))
        assert "has ended" in repr(service)
        eventually(lambda: not processes(folder))
    assert not folder.exists()


def test_workers_that_cannot_start_are_an_error_and_no_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "import os, sys\nos.register_at_fork(after_in_child=lambda: os._exit(9))\n"
    broken += "if 'worker-process' in sys.orig_argv:\n    os._exit(9)\n"
    (tmp_path / "sitecustomize.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    with hr.serve(workers=2) as service, pytest.raises(hr.ServiceError, match="exited with status 9"):
        next(service.iterate(hr.Dataset.range(3)))


class KillsWhereItIsLoaded:
    """A function that no worker survives to load."""

    def __reduce__(self) -> Any:
        return os._exit, (4,)

    def __call__(self, x: Any) -> Any:
        return x


def test_a_function_that_kills_whoever_loads_it_is_an_error_and_no_hang() -> None:
    with hr.serve(workers=2) as service, pytest.raises(hr.ServiceError, match="exited with status 4"):
        next(service.iterate(hr.Dataset.range(3).map(KillsWhereItIsLoaded())))


def test_memory_stays_bounded_while_the_consumer_takes_nothing(
    processes: Processes, run_folder: Folder, eventually: Eventually, tmp_path: Path
) -> None:
    calls, each, budget = tmp_path / "calls", 100_000, 8 << 20

    def large(x: Any) -> Any:
        with calls.open("ab") as file:
            file.write(b".")
        return np.full(each, x, np.uint8)

    def settled() -> bool:
        """Whether the workers have stopped: no call for a number of looks in a row."""
        before = calls.stat().st_size
        for _ in range(25):
            threading.Event().wait(0.02)
            if calls.stat().st_size != before:
                return False
        return True

    with hr.serve(workers=2, budget_bytes=budget) as service:
        folder = run_folder(service)
        iterator = service.iterate(hr.Dataset.range(20_000).map(large).prefetch(2))
        next(iterator)
        idle = {pid: memory_of(pid) for pid in processes(folder)}
        eventually(settled, within_s=30)
        ahead = calls.stat().st_size * each
        assert ahead < 4 * budget, "what was computed ahead is bounded by the budget, and not by the data"
        for pid in processes(folder):
            assert memory_of(pid) < idle[pid] + 4 * budget
        # And it goes on where it was.
        assert [int(next(iterator)[0]) for _ in range(300)] == [number % 256 for number in range(1, 301)]


def memory_of(pid: int) -> int:
    """Bytes of a process's own memory, without files that it has mapped."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))
