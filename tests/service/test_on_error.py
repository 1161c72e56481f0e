"""Errors as data in a service: the same elements, errors and counts as in process, whoever dies."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace.commands.target import ask_at
from headrace.pipeline.records import TFRecordWriter

from ..daemons import Daemon as Served
from .numbers import numbered
from .serving import Daemon

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]
Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]

#: What of a ledger is a property of the stream.
STREAM = ("filtered", "skipped", "failed", "delivered", "count", "checksum")


def picky(x: Any) -> Any:
    if x % 5 == 2:
        raise ValueError(f"{x} is not to my liking")
    return x


def with_policy(dataset: hr.Dataset, on_error: Any = "skip", budget: int | None = None) -> hr.Dataset:
    return dataset.with_options(hr.Options(on_error=on_error, error_budget=budget, seed=7))


def failing() -> hr.Dataset:
    return hr.Dataset.range(60).map(picky)


PIPELINES: dict[str, Callable[[], hr.Dataset]] = {
    "batches of a shuffle": lambda: failing().shuffle(9, seed=3).batch(4).map(lambda b: picky(b.sum())),
    "a filter between": lambda: (
        failing().filter(lambda x: bool(x % 3)).shuffle(9, seed=3).map(lambda x: x // 3 * 3 + 1)
    ),
    "zip": lambda: hr.Dataset.zip(failing(), hr.Dataset.range(60).map(lambda x: picky(x + 1))).enumerate(),
    "flat": lambda: hr.Dataset.range(9).flat_map(lambda n: hr.Dataset.range(picky(n)).map(picky)).batch(3),
    "interleave": lambda: hr.Dataset.range(9).interleave(lambda n: hr.Dataset.range(picky(n)).map(picky), 3, 2),
    "unlike shapes": lambda: hr.Dataset.range(12).map(lambda x: np.zeros(1 + int(x == 5))).batch(3),
    "ignored in a segment": lambda: failing().ignore_errors().map(lambda x: {}[x] if x == 3 else x).enumerate(),
    "ignored behind an operator": lambda: failing().shuffle(5, seed=1).batch(2).map(picky).ignore_errors().repeat(2),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_skipping_gives_the_same_in_every_way_of_running(run: Run, same: Same, name: str) -> None:
    dataset = with_policy(PIPELINES[name]())
    same(run(dataset, 2), [list(dataset.iterate(epoch)) for epoch in range(2)])


@pytest.mark.parametrize("name", PIPELINES)
def test_ledgers_agree_with_those_in_process(service: hr.Service, name: str) -> None:
    for on_error in ("skip", "raise"):
        dataset = with_policy(PIPELINES[name](), on_error)
        with service.iterate(dataset) as iterator:
            assert stream_of(iterator) == stream_of(dataset.iterate(0))


def stream_of(iterator: Any) -> dict[str, int]:
    """The ledger of an epoch that is taken to its end."""
    while True:
        try:
            next(iterator)
        except StopIteration:
            return {kind: iterator.summary().ledger[kind] for kind in STREAM}
        except hr.HeadraceError:
            continue


def test_what_is_over_the_budget_raises_in_its_place(service: hr.Service, outcomes: Outcomes, same: Same) -> None:
    dataset = with_policy(failing().shuffle(7, seed=1).batch(4), budget=5)
    expected = outcomes(dataset.iterate(0))
    assert sum(isinstance(each, tuple) for each in expected) == 12 - 5
    with service.iterate(dataset) as iterator:
        same(outcomes(iterator), expected)


def test_damaged_files_that_are_cut_into_splits(tmp_path: Path, same: Same) -> None:
    path, told = tmp_path / "long.tfrecord", tmp_path / "skipped.jsonl"
    with TFRecordWriter(path) as writer:
        for number in range(400):
            writer.write(b"%04d" % number)
    content = bytearray(path.read_bytes())
    content[50 * 20 + 13] ^= 64  # a record's data
    content[200 * 20 + 3] ^= 64  # a length
    path.write_bytes(content)
    dataset = with_policy(hr.TFRecordDataset([str(path)] * 2).map(int).batch(16), told)
    with hr.serve(workers=2, split_bytes=300) as service, service.iterate(dataset) as iterator:
        same(list(iterator), list(with_policy(dataset).iterate(0)))
        assert iterator.summary().ledger["skipped"] == 4
    places = [(50 * 20, False), (200 * 20, True)] * 2
    assert [(each["record"], each["rest"]) for each in lines(told)] == places


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# What is skipped is told.


def test_a_server_of_this_user_writes_where_the_path_says(service: hr.Service, tmp_path: Path) -> None:
    told = tmp_path / "skipped.jsonl"
    dataset = with_policy(failing().batch(4), told)
    with service.iterate(dataset) as iterator:
        list(iterator), list(iterator)
    found = lines(told)
    assert [(each["epoch"], each["number"]) for each in found] == [(e, n) for e in (0, 1) for n in range(1, 13)]
    assert len({each["run"] for each in found}) == 1
    list(dataset.iterate(0))
    assert [without_run(each) for each in lines(told)[24:]] == [without_run(each) for each in found[:12]]


def without_run(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "run"}


def test_who_comes_with_a_key_has_files_in_a_folder_of_the_state(tmp_path: Path) -> None:
    with Served(("--workers=1",), tcp=True) as daemon:
        with (
            daemon.connect() as service,
            service.iterate(with_policy(failing(), tmp_path / "../bad.jsonl")) as iterator,
        ):
            assert len(list(iterator)) == 48
        (found,) = Path(daemon.place, "state", "quarantine").rglob("*.jsonl")
        assert found.relative_to(daemon.place).parts[1:] == ("quarantine", "trainer", "bad.jsonl")
        assert len(lines(found)) == 12
    assert not (tmp_path / "../bad.jsonl").exists()


def test_where_it_cannot_be_written_the_trainer_is_told_and_goes_on(
    service: hr.Service, tmp_path: Path, capfd: pytest.CaptureFixture[str], eventually: Eventually
) -> None:
    folder = tmp_path / "gone"
    with service.iterate(with_policy(failing(), folder / "skipped.jsonl")) as iterator:
        assert next(iterator) == 0
        told = ""
        for _ in range(20):
            next(iterator)
            told += capfd.readouterr().err
        assert told.count("what is skipped cannot be written there") == 1
        folder.mkdir()
        list(iterator)
    eventually(lambda: len(lines(folder / "skipped.jsonl")) == 12)


# Whoever dies.


def flaky(folder: Path) -> Callable[[Any], Any]:
    """Fails at the first attempt at every seventh element, wherever that is made."""

    def once(x: Any) -> Any:
        number = int(x)
        if number % 7 == 3 and not (marker := folder / str(number)).exists():
            marker.touch()
            raise OSError("the disk was busy")
        return np.int64(number)

    return once


@pytest.fixture
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Not started yet; ended afterwards."""
    made = Daemon(tmp_path_factory.mktemp("d"))
    yield made
    made.stop()


@pytest.mark.parametrize("shuffled", [False, True])
def test_what_failed_once_stays_skipped_though_server_and_workers_are_killed(
    killable: Daemon, tmp_path: Path, processes: Processes, eventually: Eventually, shuffled: bool
) -> None:
    markers, told = tmp_path / "markers", tmp_path / "skipped.jsonl"
    markers.mkdir()
    records = hr.TFRecordDataset([numbered(tmp_path / "a.tfrecord", 1000)]).map(int).map(flaky(markers))
    dataset = with_policy((records.shuffle(100, seed=1) if shuffled else records).batch(8), told)
    killable.start()
    got: list[Any] = []
    with hr.connect(killable.address) as service:
        iterator = service.iterate(dataset)
        for batch in iterator:
            got.append(batch)
            if len(got) == 25:
                os.kill(processes(killable.folder, "worker")[0], signal.SIGKILL)
            if len(got) == 60:
                killable.kill()
                eventually(lambda: not processes(killable.folder))
                killable.start()
        ledger = iterator.summary().ledger
    assert killable.lives == 2
    skipped = [each["record"] // 24 for each in lines(told)]
    delivered = np.concatenate(got).tolist()
    assert len(skipped) == len(set(skipped)) == ledger["skipped"] > 50
    assert sorted([*delivered, *skipped]) == list(range(1000)), "each was delivered or skipped, and once"
    assert {each % 7 for each in skipped} == {3}
    if not shuffled:
        assert delivered == sorted(delivered)
        assert all(len(batch) == 8 for batch in got[:-1])


def test_a_record_that_costs_three_workers_is_skipped_as_any_other(tmp_path: Path) -> None:
    told = tmp_path / "skipped.jsonl"

    def deadly(x: Any) -> Any:
        if x == 11:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    dataset = with_policy(hr.Dataset.range(30).map(deadly), told)
    with hr.serve(workers=2) as service, service.iterate(dataset) as iterator:
        assert list(iterator) == [x for x in range(30) if x != 11]
        assert iterator.summary().ledger["skipped"] == 1
    (line,) = lines(told)
    assert (line["kind"], line["record"]) == ("PoisonError", 11)


# Ledgers.


def test_the_ledger_of_an_epoch_that_ended_outlives_the_server(killable: Daemon) -> None:
    killable.start()
    with hr.connect(killable.address) as service:
        iterator = service.iterate(with_policy(failing().filter(lambda x: bool(x % 2)).batch(4)))
        list(iterator)
        ledger = iterator.summary().ledger
        next(iter(iterator))
        killable.kill()
        killable.start()
        next(iterator)
        (job,) = ask_at(killable.address)["jobs"]
    assert job["ended_epochs"] == {"0": ledger}
    assert (ledger["filtered"], ledger["skipped"], ledger["delivered"]) == (24, 12, 6)
    assert job["epoch"] == 1
