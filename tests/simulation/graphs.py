"""Pipelines that the simulated cluster runs: each bends the protocol another way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.files import TextLineDataset, TFRecordDataset
from headrace.pipeline.records import TFRecordWriter, scan_records

from .forgiving import NAMES as FORGIVING
from .forgiving import forgiving
from .hops import NAMES as HOPS
from .hops import hops
from .junctions import NAMES as JUNCTIONS
from .junctions import junctions
from .nested import NAMES as NESTED
from .nested import nested
from .poisoned import NAMES as POISONED
from .poisoned import poisoned

__all__ = ["NAMES", "graphs"]

NAMES = (
    "filtered images",
    "hop after shuffle",
    "repeat within",
    "ragged strings",
    "failing elements",
    "flat",
    "lines",
    "a file twice",
    "records",
    "records repeated",
    "a damaged file",
    "a missing file",
    "hop after batch",
    "failing shuffle",
    "failing hop over files",
    "many files",
    "nested",
    "takes",
    "empty",
    *JUNCTIONS,
    *NESTED,
    *POISONED,
    *FORGIVING,
    *HOPS,
)


def graphs(folder: Path) -> dict[str, Dataset]:
    """All of them by name; the files that they read are written to `folder`."""
    text, records, damaged = _text(folder), _records(folder, 13), _damaged(folder)
    made = {
        "filtered images": _filtered(Dataset.range(30).map(noisy)),
        "hop after shuffle": Dataset.range(20).shuffle(8).map(noisy).batch(3).map(lambda batch: batch.sum()),
        "repeat within": Dataset.range(7).map(noisy).repeat(3).shuffle(7).batch(5, drop_remainder=True),
        "ragged strings": Dataset.range(18).map(lambda x: b"x" * int(x % 5)).padded_batch(4),
        "failing elements": Dataset.range(24).map(fussy).skip(2).take(18).batch(3),
        "flat": Dataset.range(18).filter(lambda x: bool(x > 3)).prefetch(2),
        "lines": TextLineDataset([text]).map(lambda line: line[::-1]).shuffle(9, seed=3).batch(4),
        "a file twice": TextLineDataset([text, text]).filter(lambda line: len(line) % 3 > 0).shuffle(20),
        "records": TFRecordDataset([records]).map(tagged).shuffle(6, seed=2).padded_batch(3, drop_remainder=True),
        "records repeated": TFRecordDataset([records, records]).repeat(2).shuffle(11).take(40).batch(8),
        "a damaged file": TFRecordDataset([damaged, records]).map(tagged).shuffle(5, seed=1),
        "a missing file": TextLineDataset([text, str(folder / "missing"), text]).skip(3).batch(5),
        "hop after batch": Dataset.range(26).batch(4).map(noisy).shuffle(5, seed=4).batch(2, drop_remainder=True),
        "failing shuffle": Dataset.range(20).map(fussy).shuffle(9, seed=6).repeat(2).map(fussier).batch(4),
        "failing hop over files": TextLineDataset([text, text]).shuffle(15).map(short).batch(3),
        "many files": TextLineDataset(_many(folder)).map(lambda line: line + b"!"),
        "nested": Dataset.range(20).map(lambda x: {"a": x, "b": (np.arange(x % 4), b"y" * int(x % 3))}).shuffle(9),
        "takes": Dataset.range(200).map(noisy).skip(11).take(16).repeat(2).shuffle(9, seed=9).skip(5).take(22),
        "empty": Dataset.range(12).filter(lambda x: bool(x > 99)).shuffle(4).batch(2),
        **junctions(text, records, damaged),
        **nested(text, records, damaged),
        **poisoned(text),
        **forgiving(text, damaged),
        **hops(records),
    }
    return {name: each.with_options(Options(seed=5)) for name, each in made.items()}


def _filtered(dataset: Dataset) -> Dataset:
    return dataset.filter(lambda x: bool(x % 3)).shuffle(16, seed=1).batch(4)


def noisy(x: Any, rng: np.random.Generator) -> Any:
    """Another result for each operator, epoch, pass and element: a wrong identity shows."""
    return x * 1000 + rng.integers(1000)


def tagged(record: bytes, rng: np.random.Generator) -> Any:
    """The same for strings."""
    return np.frombuffer(record, np.uint8).astype(np.int64) * 1000 + rng.integers(1000)


def fussy(x: Any) -> Any:
    """Fails now and then."""
    if x % 7 == 3:
        raise ValueError(f"bad {x}")
    return x


def fussier(x: Any) -> Any:
    """Fails now and then, in place of elements that came through."""
    if x % 11 == 5:
        raise KeyError(f"worse {x}")
    return x


def short(line: bytes) -> bytes:
    """Fails now and then; the error names the line's file."""
    if len(line) > 20:
        raise ValueError("too long")
    return line


def _text(folder: Path) -> str:
    path = folder / "lines.txt"
    path.write_bytes(b"".join(b"line %d" % i * (i % 4) + (b"\r\n" if i % 5 else b"\n") for i in range(20)) + b"the end")
    return str(path)


def _many(folder: Path) -> list[str]:
    """Files of three lines, each a split of its own: positions alone do not tell them apart."""
    paths = [folder / f"{i:02}.txt" for i in range(12)]
    for path in paths:
        path.write_text(f"of {path.stem}\n" * 3)
    return list(map(str, paths))


def _records(folder: Path, count: int, name: str = "records.tfrecord") -> str:
    path = str(folder / name)
    with TFRecordWriter(path) as writer:
        for i in range(count):
            writer.write(bytes(range(i % 7)) + b"%d" % i)
    return path


def _damaged(folder: Path) -> str:
    """A file whose fifth record's data is wrong, and whose tenth's header: the first can be read past."""
    path = _records(folder, 12, "damaged.tfrecord")
    places = scan_records(path, 1)
    _flip(Path(path), places[4] + 12)
    _flip(Path(path), places[9])
    return path


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
