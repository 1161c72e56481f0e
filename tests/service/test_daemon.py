"""A server that runs by itself: workers that come and go, trainers that come back, what is printed, how it ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace.client.visit import visit
from headrace.pipeline.messages import AskStatus, Status, Stop, Stopping

from ..daemons import Daemon
from .numbers import noisy

Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def pipeline(count: int) -> hr.Dataset:
    return hr.Dataset.range(count).map(noisy).shuffle(100, seed=1).batch(20).prefetch(2)


def status(address: str) -> dict[str, Any]:
    answer = visit(address, AskStatus())
    assert isinstance(answer, Status)
    return answer.data


@pytest.fixture
def alone() -> Iterator[Daemon]:
    """A server over TCP without workers."""
    with Daemon(("--workers=0", "--lease=2 s"), tcp=True) as daemon:
        yield daemon


def test_workers_join_and_leave_in_the_middle_of_an_epoch(alone: Daemon, same: Same, eventually: Eventually) -> None:
    dataset = pipeline(12_000)
    expected = list(dataset.iterate(0))
    with alone.connect() as service:
        batches = iter(service.iterate(dataset))
        first = alone.join(1)
        got = [next(batches) for _ in range(50)]
        alone.join(1)
        eventually(lambda: len(status(alone.ipc)["workers"]) == 2)
        got += [next(batches) for _ in range(100)]
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
        eventually(lambda: len(status(alone.ipc)["workers"]) == 1)
        got += list(batches)
    same(got, expected)


def test_a_launcher_that_is_killed_takes_its_workers_with_it_and_others_go_on(
    alone: Daemon, same: Same, processes: Processes, eventually: Eventually
) -> None:
    dataset = pipeline(6000)
    expected = list(dataset.iterate(0))
    with alone.connect() as service:
        batches = iter(service.iterate(dataset))
        first = alone.join(2)
        got = [next(batches) for _ in range(20)]
        workers = processes(f"server={alone.address}", "worker-process")
        assert len(workers) == 2
        first.kill()
        first.wait()
        eventually(lambda: not set(workers) & set(processes(f"server={alone.address}", "worker-process")))
        alone.join(1)
        got += list(batches)
    same(got, expected)


def crashes(x: Any) -> Any:
    if x == 37:
        os.kill(os.getpid(), signal.SIGSEGV)
    return x


def test_a_record_that_kills_workers_of_another_host_is_poison(alone: Daemon, outcomes: Outcomes) -> None:
    alone.join(2)
    with alone.connect() as service:
        found = outcomes(service.iterate(hr.Dataset.range(60).map(crashes)))
    kind, text = found.pop(37)
    assert kind is hr.PoisonError
    assert "killed by SIGSEGV" in text
    assert found == [each for each in range(60) if each != 37]


def test_a_function_that_never_returns_on_another_host_is_an_error_at_its_place(
    alone: Daemon, outcomes: Outcomes
) -> None:
    def endless(x: Any) -> Any:
        while x == 5:
            pass
        return x

    alone.join(2)
    with alone.connect() as service:
        found = outcomes(service.iterate(hr.Dataset.range(8).map(endless)))
    kind, text = found.pop(5)
    assert kind is hr.PoisonError
    assert "did not return within the lease of 2 s" in text


def test_a_trainer_is_shown_what_workers_print_and_who_printed_it(
    alone: Daemon, capfd: pytest.CaptureFixture[str]
) -> None:
    def speaks(x: Any) -> Any:
        if x == 3:
            print("three it is")
        return x

    alone.join(1)
    with alone.connect() as service:
        assert list(service.iterate(hr.Dataset.range(5).map(speaks))) == [0, 1, 2, 3, 4]
        # What was printed may come a moment after the elements.
        list(service.iterate(hr.Dataset.range(2000).batch(1)))
    shown = [line for line in capfd.readouterr().err.splitlines() if line.endswith("three it is")]
    assert any(line.startswith("[host/worker-0") for line in shown), shown


def test_arrays_and_functions_reach_workers_that_share_no_folder_with_the_trainer(alone: Daemon, same: Same) -> None:
    rows = np.random.default_rng(1).integers(0, 1000, (3000, 500))
    dataset = hr.Dataset.from_tensor_slices({"rows": rows}).map(lambda row: row["rows"] * 2).batch(100)
    alone.join(1)
    with alone.connect() as service:
        for _ in range(2):
            same(list(service.iterate(dataset)), list(dataset.iterate(0)))
    kept = alone.place / "state" / "blobs"
    assert list(kept.iterdir()) == [], "nobody needs them any more"


def test_without_workers_it_waits_and_says_why_and_goes_on_when_one_comes(
    alone: Daemon, eventually: Eventually
) -> None:
    with alone.connect() as service:
        found: list[Any] = []
        loop = threading.Thread(target=lambda: found.extend(service.iterate(hr.Dataset.range(3))), daemon=True)
        loop.start()
        eventually(lambda: any("there is no worker" in (job["waiting"] or "") for job in status(alone.ipc)["jobs"]))
        alone.join(1)
        loop.join(60)
        assert found == [0, 1, 2]


def test_several_trainers_at_once_each_get_their_own(same: Same) -> None:
    with Daemon() as daemon, daemon.connect() as one, daemon.connect() as other:
        datasets = [pipeline(2000), hr.Dataset.range(500).map(lambda x: -x).shuffle(50, seed=3).batch(7)]
        first, second = iter(one.iterate(datasets[0])), iter(other.iterate(datasets[1]))
        got: tuple[list[Any], list[Any]] = ([], [])
        for batch in second:
            got[1].append(batch)
            got[0].append(next(first))
        got[0].extend(first)
        same(got[0], list(datasets[0].iterate(0)))
        same(got[1], list(datasets[1].iterate(0)))


def test_stopping_lets_the_running_epoch_end_and_begins_no_other(same: Same) -> None:
    dataset = pipeline(4000)
    with Daemon() as daemon:
        with daemon.connect(patience_s=10.0) as service:
            iterator = service.iterate(dataset)
            got = [next(iterator)]
            assert visit(daemon.address, Stop(60.0)) == Stopping(60.0)
            got += list(iterator)
            same(got, list(dataset.iterate(0)))
            with pytest.raises(hr.ServiceError, match="it said that it ends"):
                list(iterator)
        assert daemon.wait() == 0
        assert not Path(daemon.ipc.removeprefix("ipc://")).exists()


def test_an_epoch_that_does_not_end_in_time_goes_on_with_the_next_server(same: Same) -> None:
    dataset = pipeline(4000)
    with Daemon() as daemon, daemon.connect() as service:
        iterator = service.iterate(dataset)
        got = [next(iterator) for _ in range(30)]
        assert visit(daemon.address, Stop(0.2)) == Stopping(0.2)
        assert daemon.wait() == 0
        daemon.start()
        got += list(iterator)
        same(got, list(dataset.iterate(0)))


def test_a_server_that_never_comes_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hr.ServiceError, match="nobody listens"):
        hr.connect("tcp://127.0.0.1:1", timeout_s=1.0)
    monkeypatch.setenv("HEADRACE_RUN_DIR", str(tmp_path))
    monkeypatch.delenv("HEADRACE_SERVER", raising=False)
    with pytest.raises(hr.ServiceError, match="headrace serve --detach"):
        hr.connect()


def test_the_environment_says_where_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with Daemon() as daemon:
        monkeypatch.setenv("HEADRACE_RUN_DIR", str(daemon.place))
        monkeypatch.delenv("HEADRACE_SERVER", raising=False)
        with hr.connect() as service:
            assert list(service.iterate(hr.Dataset.range(3))) == [0, 1, 2]
        monkeypatch.setenv("HEADRACE_RUN_DIR", "/nowhere")
        monkeypatch.setenv("HEADRACE_SERVER", daemon.address)
        with hr.connect() as service:
            assert list(service.iterate(hr.Dataset.range(3))) == [0, 1, 2]
