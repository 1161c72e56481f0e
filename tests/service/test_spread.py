"""What cannot be split: one worker reads it, all run what is mapped behind it, and nothing else changes."""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

import headrace as hr

from .numbers import noisy, numbered

Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]
#: What of a ledger is a property of the stream.
STREAM = ("filtered", "skipped", "failed", "count", "checksum")


def packed(folder: Path, count: int, name: str = "a.gz") -> str:
    """A compressed file of records that hold their number."""
    path = Path(numbered(folder / name, count))
    path.write_bytes(gzip.compress(path.read_bytes()))
    return str(path)


def table(folder: Path, count: int) -> str:
    path = folder / "a.csv"
    path.write_text("".join(f'"{i}"\n' for i in range(count)))
    return str(path)


SOURCES: dict[str, Callable[[Path], hr.Dataset]] = {
    "a generator": lambda _: hr.Dataset.from_generator(lambda: iter(range(600))),
    "a gzip file": lambda at: hr.TFRecordDataset(packed(at, 600), "GZIP"),
    "a table with quotes": lambda at: hr.CsvDataset(table(at, 600), [np.int64]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_all_workers_map_what_one_of_them_reads(service: hr.Service, name: str, tmp_path: Path) -> None:
    here, together = os.getpid(), tmp_path / "together"
    together.mkdir()

    def meet(x: Any) -> Any:
        """The number, and who got it: nobody goes on before two have come."""
        (together / str(os.getpid())).touch()
        until = monotonic() + 60
        while os.getpid() != here and len(list(together.iterdir())) < 2:
            assert monotonic() < until, "the other workers do nothing"
            threading.Event().wait(0.005)
        return int(x), os.getpid()

    with service.iterate(SOURCES[name](tmp_path).map(meet)) as iterator:
        found = list(iterator)
    assert [int(x) for x, _ in found] == list(range(600))
    assert len({int(pid) for _, pid in found}) == 2


def mixed(folder: Path) -> hr.Dataset:
    """What one reads of two files, one of them damaged, and of a generator; with failures, which are counted."""
    paths = [packed(folder, 900), packed(folder, 700, "b.gz")]
    cut = Path(paths[0])
    cut.write_bytes(cut.read_bytes()[:-9])
    records = hr.TFRecordDataset(paths, "GZIP").map(picky).ignore_errors().filter(lambda x: bool(x % 3)).map(noisy)
    numbers = hr.Dataset.from_generator(lambda: iter(range(1200))).map(lambda x: picky(x + 3)).map(noisy)
    return hr.Dataset.zip(records, numbers).shuffle(50).batch(4).with_options(hr.Options(seed=3, on_error="skip"))


def picky(x: Any) -> Any:
    if int(x) % 97 == 5:
        raise ValueError(f"{x} is not to my liking")
    return int(x)


def test_it_goes_on_elsewhere_from_any_batch(
    service: hr.Service, daemon: hr.Service, same: Same, tmp_path: Path
) -> None:
    dataset = mixed(tmp_path)
    here = dataset.iterate(0)
    expected, got = list(here), list[Any]()
    token: dict[str, Any] | None = None
    for where, count in [(None, 37), (service, 61), (daemon, 50), (None, 3), (daemon, 1), (service, None)]:
        iterator = dataset.iterate(0) if where is None else where.iterate(dataset)
        if token is not None:
            iterator.load_state_dict(token)
        got += islice(iterator, count)
        ledger, token = iterator.summary().ledger, iterator.state_dict()
        if where is not None:
            iterator.close()
    same(got, expected)
    whole = here.summary().ledger
    assert whole["skipped"] > 10
    assert whole["filtered"] > 100
    assert [ledger[each] for each in STREAM] == [whole[each] for each in STREAM]


def test_whoever_dies_the_bytes_are_the_same(same: Same, tmp_path: Path) -> None:
    here = os.getpid()

    def die(name: str) -> None:
        """Once."""
        if os.getpid() != here and not (tmp_path / name).exists():
            (tmp_path / name).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def numbers() -> Iterator[int]:
        for number in range(1500):
            if number == 700:
                die("reading")
            yield number

    def deadly(x: Any, rng: np.random.Generator) -> Any:
        if x == 1000:
            die("mapping")
        return noisy(int(x), rng)

    records = hr.TFRecordDataset(packed(tmp_path, 1500), "GZIP")
    dataset = hr.Dataset.zip(hr.Dataset.from_generator(numbers).map(deadly), records.map(noisier)).batch(20)
    with hr.serve(workers=2, budget_bytes=100_000) as service, service.iterate(dataset) as iterator:
        got = list(iterator)
        ledger = iterator.summary().ledger
    same(got, list(dataset.iterate(0)))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.gz", "mapping", "reading"]
    assert ledger["repeated"] >= 2


def noisier(record: bytes, rng: np.random.Generator) -> Any:
    return record + bytes([rng.integers(256)])


def test_failures_name_file_and_record_as_in_process(service: hr.Service, outcomes: Outcomes, tmp_path: Path) -> None:
    path = packed(tmp_path, 300)
    for dataset in (
        hr.TFRecordDataset([path, str(tmp_path / "none")], "GZIP").map(picky),
        hr.Dataset.from_generator(lambda: iter(range(300))).map(picky),
    ):
        expected = outcomes(dataset.iterate(0))
        with service.iterate(dataset) as iterator:
            assert outcomes(iterator) == expected
        told = [each[1] for each in expected if isinstance(each, tuple)]
        assert "is not to my liking" in told[0]
        assert (f"map(picky), the record at byte {5 * 24} of {path}" if len(told) > 4 else "element 5") in told[0]
