"""cache(filename): elements in files that are believed once all of them are there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.cache_files import CacheFiles, Look, Marker, Undo
from headrace.pipeline.element_records import encode
from headrace.pipeline.errors import FileError, to_data
from headrace.pipeline.roots import Roots

from ..conftest import assert_same
from .counted import Counted
from .resuming import resumes_everywhere

Outcomes = Callable[[Iterator[Any]], list[Any]]


def described(x: Any, rng: np.random.Generator) -> dict[str, Any]:
    if x == 5:
        raise ValueError("five")
    return {"x": x, "text": b"z" * int(x), "drawn": rng.integers(1 << 30), "list": np.arange(x % 3)}


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def pipeline(filename: Path | str = "") -> Dataset:
    below = Dataset.range(9).shuffle(5).map(described).filter(lambda each: bool(each["x"] != 7))
    behind = below.cache(filename).shuffle(3).map(lambda each, rng: (each, rng.integers(1 << 30))).repeat(2)
    return behind.with_options(hr.Options(seed=8))


def test_it_gives_the_same_as_memory_and_as_a_service_does_however_it_comes(
    service: hr.Service, daemon: hr.Service, tmp_path: Path, outcomes: Outcomes
) -> None:
    """In the epoch that writes, in those that read, and read elsewhere."""
    expected = [outcomes(pipeline().iterate(epoch)) for epoch in range(3)]
    assert [len(each) for each in expected] == [16] * 3
    for name, where in (("here", None), ("service", service), ("daemon", daemon)):
        dataset = pipeline(tmp_path / name)
        if where is None:
            got = [outcomes(dataset.iterate(epoch)) for epoch in range(3)]
        else:
            with where.iterate(dataset) as iterator:
                got, ledgers = [], []
                for _ in range(3):
                    got.append(outcomes(iter(iterator)))
                    ledgers.append(iterator.summary().ledger)
            assert [each["filtered"] for each in ledgers] == [2, 2, 2]
        assert_same([brief(each) for each in got], [brief(each) for each in expected])
    assert names(tmp_path) == sorted(
        f"{name}.cache.{kind}" for name in ("here", "service", "daemon") for kind in ("json", "tfrecord")
    )
    with daemon.iterate(pipeline(tmp_path / "here"), epoch=2) as iterator:
        assert_same(brief(outcomes(iterator)), brief(expected[2]))


def brief(found: list[Any]) -> list[Any]:
    """Of errors the kind and the first line."""
    return [(each[0], each[1].partition("\n")[0]) if type(each[0]) is type else each for each in found]


def test_the_input_is_computed_once_whoever_reads(tmp_path: Path) -> None:
    count, again = Counted(), Counted()
    assert [int(x) for x in Dataset.range(5).map(count).cache(tmp_path / "a").repeat(2)] == [0, 1, 4, 9, 16] * 2
    assert [int(x) for x in Dataset.range(5).map(again).cache(str(tmp_path / "a"))] == [0, 1, 4, 9, 16]
    assert (count.calls, again.calls) == (5, 0)


def test_what_is_there_is_read_whatever_the_pipeline_is_now(tmp_path: Path) -> None:
    list(Dataset.range(3).cache(tmp_path / "a"))
    assert [int(x) for x in Dataset.range(7, 12).cache(tmp_path / "a")] == [0, 1, 2]


def test_names_are_text_bytes_or_paths(tmp_path: Path) -> None:
    list(Dataset.range(3).cache(os.fsencode(tmp_path / "a")))
    assert names(tmp_path) == ["a.cache.json", "a.cache.tfrecord"]
    with pytest.raises(hr.InvalidArgumentError, match="the name of a file, or nothing, not 7"):
        Dataset.range(3).cache(7)  # type: ignore[arg-type]


def test_a_pass_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    numbers = Dataset.range(5000).cache(tmp_path / "a")
    assert [int(x) for x in islice(iter(numbers), 2)] == [0, 1]
    assert names(tmp_path) == []
    with numbers.iterate(0) as iterator:
        next(iterator)
        assert names(tmp_path) == ["a.cache.lock", "a.cache.part"]
    assert names(tmp_path) == []
    assert list(iterator) == []
    assert [int(x) for x in Dataset.range(3).cache(tmp_path / "b").take(3)] == [0, 1, 2]
    assert names(tmp_path) == ["b.cache.json", "b.cache.tfrecord"], "complete behind the last known element"


def test_the_lock_of_who_writes_is_a_typed_error(tmp_path: Path, outcomes: Outcomes) -> None:
    numbers = Dataset.range(2000).cache(tmp_path / "a")
    with numbers.iterate(0) as first:
        next(first)
        ((kind, text),) = outcomes(iter(numbers))
        assert kind is hr.FailedPreconditionError
        assert f"the process {os.getpid()}" in text
        assert len(list(first)) == 1999
    assert len(list(numbers)) == 2000


#: Holds a lock, as who writes a cache does.
HOLDS = """
import fcntl, os, signal, sys
name = sys.argv[1]
lock = open(name + ".cache.lock", "w+")
fcntl.flock(lock, fcntl.LOCK_EX)
print(f"the process {os.getpid()} on a host", file=lock, flush=True)
open(name + ".cache.part", "wb").write(b"half a record")
print("ready", flush=True)
signal.pause()
"""


def test_the_lock_of_who_was_killed_is_taken_over(tmp_path: Path) -> None:
    numbers = Dataset.range(9).cache(tmp_path / "a")
    with subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path / "a"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            with pytest.raises(hr.FailedPreconditionError, match=f"the process {process.pid}"):
                next(iter(numbers))
        finally:
            process.kill()
    assert names(tmp_path) == ["a.cache.lock", "a.cache.part"]
    assert [int(x) for x in numbers] == list(range(9))
    assert names(tmp_path) == ["a.cache.json", "a.cache.tfrecord"]


def test_files_that_are_damaged_are_said_to_be(tmp_path: Path, outcomes: Outcomes) -> None:
    numbers = Dataset.range(4).cache(tmp_path / "a")
    list(numbers)
    marker, data = tmp_path / "a.cache.json", tmp_path / "a.cache.tfrecord"
    good, records = json.loads(marker.read_text()), data.read_bytes()
    error = to_data(hr.InvalidArgumentError("x"))
    wrong = [
        {**good, "bytes": 1},
        {**good, "headrace_cache": 2},
        {**good, "count": -1},
        {**good, "count": "4"},
        {**good, "failures": [[4, error]]},
        {**good, "failures": [[1, error], [1, error]]},
        {**good, "failures": [[1, {"kind": "none"}]]},
        {"headrace_cache": 1},
        [],
    ]
    for each in (*map(json.dumps, wrong), "", "{"):
        marker.write_text(each)
        ((kind, text),) = outcomes(iter(numbers))
        assert kind is hr.DataLossError
        assert "a.cache.json: is the marker of no cache" in text
    marker.write_text(json.dumps(good))
    data.write_bytes(records[:-1])
    assert [each[0] for each in outcomes(iter(numbers))] == [hr.DataLossError]
    at = len(records) // 2 + 20
    data.write_bytes(records[:at] + bytes([records[at] ^ 1]) + records[at + 1 :])
    found = outcomes(iter(numbers))
    assert [type(each) is tuple for each in found].count(True) == 1
    data.write_bytes(records)
    assert [int(x) for x in numbers] == [0, 1, 2, 3]


def test_what_cannot_be_written_is_said_and_elements_come_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outcomes: Outcomes
) -> None:
    (tmp_path / "file").write_text("")
    ((kind, text),) = outcomes(iter(Dataset.range(3).cache(tmp_path / "file" / "a")))
    assert kind is FileError
    assert "Not a directory" in text

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headrace.pipeline.cache_files.TFRecordWriter.write", full)
    assert [int(x) for x in Dataset.range(3).cache(tmp_path / "b")] == [0, 1, 2]
    assert "cannot be written: No space left on device" in capsys.readouterr().err
    assert names(tmp_path) == ["file"]


def test_it_goes_on_behind_each_element(tmp_path: Path, service: hr.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is written, and while it is read."""

    def reading() -> Dataset:
        return Dataset.range(5).map(lambda x: 10 // (x - 2)).cache(tmp_path / "b").shuffle(2)

    read = resumes_everywhere(reading, service, monkeypatch)
    assert sum(type(each) is tuple for each in read) == 1
    assert sorted(int(each) for each in read if type(each) is not tuple) == [-10, -5, 5, 10]
    count = Counted()
    dataset = Dataset.range(9).map(count).cache(tmp_path / "c")
    first = dataset.iterate(0)
    assert [int(x) for x in islice(first, 4)] == [0, 1, 4, 9]
    token = first.state_dict()
    del first
    again = dataset.iterate(0)
    again.load_state_dict(token)
    assert [int(x) for x in again] == [16, 25, 36, 49, 64]


def test_files_lie_in_the_roots_of_a_server(tmp_path: Path) -> None:
    """Where there are any; a link that leads out does not help."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "b.cache.tfrecord").symlink_to(outside / "b")
    roots, files = Roots((str(inside),)), CacheFiles()
    for number, name in enumerate(("outside/a", "inside/../a", "inside/link/a", "inside/b")):
        assert isinstance(files.look(Look(number, str(tmp_path / name)), roots), FileError)
    assert isinstance(files.look(Look(7, str(inside / "a")), Roots(())), FileError)
    assert files.look(Look(8, str(inside / "new" / "a")), roots) is None
    assert files.do(Undo(8)) is None
    assert names(inside) == ["b.cache.tfrecord", "link", "new"]
    assert names(outside) == []


def test_the_format_is_records_and_a_marker(tmp_path: Path) -> None:
    elements = list(Dataset.range(3).map(lambda x: (x, b"a")).cache(tmp_path / "a"))
    records = list(hr.TFRecordDataset(str(tmp_path / "a.cache.tfrecord")))
    assert records == [encode(each) for each in elements]
    size = (tmp_path / "a.cache.tfrecord").stat().st_size
    assert json.loads((tmp_path / "a.cache.json").read_text()) == {
        "headrace_cache": 1,
        "count": 3,
        "bytes": size,
        "filtered": 0,
        "ignored": 0,
        "failures": [],
    }
    assert Marker.read(str(tmp_path / "a")) == Marker(3, size)
