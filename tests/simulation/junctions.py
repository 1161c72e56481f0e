"""Pipelines of several inputs and of views, for the simulated cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset
from headrace.pipeline.files import TextLineDataset, TFRecordDataset

__all__ = ["NAMES", "junctions"]

NAMES = (
    "zip",
    "zip of unlike portions",
    "zip of failing ones",
    "zip behind shuffles",
    "zip of one thing twice",
    "concatenate",
    "concatenate of zips",
    "enumerate",
    "enumerate of what is counted",
    "shards of files",
    "cuts",
    "items",
    "items shuffled",
    "failing items shuffled",
)


def junctions(text: str, records: str, damaged: str) -> dict[str, Dataset]:
    """All of them by name."""
    numbers, lines = Dataset.range(24), TextLineDataset([text])
    noised, few = Dataset.range(16).map(noisy), Dataset.range(6).map(noisy)
    return {
        "zip": Dataset.zip(numbers.map(noisy), lines.map(lambda line: line[::-1])).batch(3),
        "zip of unlike portions": Dataset.zip(
            {"few": numbers.filter(third), "many": (numbers.batch(2), lines.repeat())}
        ).map(lambda each: (each["few"], each["many"][0].sum())),
        "zip of failing ones": Dataset.zip(
            numbers.map(fussy), numbers.map(fussier), TFRecordDataset([damaged, records])
        ),
        "zip behind shuffles": Dataset.zip(numbers.shuffle(9, seed=1), noised.shuffle(7).repeat(2)).shuffle(6).batch(4),
        "zip of one thing twice": Dataset.zip(noised, noised).map(both).repeat(2).take(25),
        "concatenate": noised.concatenate(noised).concatenate(numbers.map(noisy)).shuffle(12).batch(5),
        "concatenate of zips": Dataset.zip(few, lines).concatenate(Dataset.zip(few, lines)).repeat(2).batch(3),
        "enumerate": numbers.map(fussy).enumerate(3).shuffle(8, seed=2).repeat(2).take(36),
        "enumerate of what is counted": lines.shuffle(11).enumerate().map(lambda i, line: (i, len(line))).shuffle(4),
        "shards of files": TFRecordDataset([records, records]).map(tagged).shard(3, 1).shuffle(6).padded_batch(2),
        "cuts": numbers.skip(3).shard(2, 1).map(noisy).concatenate(numbers.shuffle(5).shard(7, 3)).batch(4),
        "items": Dataset.from_indexable(Words()).shuffle(9, seed=4).padded_batch(4),
        "items shuffled": Dataset.from_indexable(Words())
        .shuffle(100)
        .skip(4)
        .map(spread)
        .repeat(2)
        .shuffle(7)
        .batch(3),
        "failing items shuffled": Dataset.from_indexable(Holes()).shuffle(22, seed=3).enumerate().take(18).repeat(2),
    }


class Words:
    """Items of unequal lengths."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        return np.full(index % 5, index)


class Holes(Words):
    """Some items cannot be had."""

    def __len__(self) -> int:
        return 22

    def __getitem__(self, index: int) -> Any:
        if index % 6 == 1:
            raise KeyError(f"no {index}")
        return index


def noisy(x: Any, rng: np.random.Generator) -> Any:
    """Another result for each operator, epoch, pass and element: a wrong identity shows."""
    return x * 1000 + rng.integers(1000)


def tagged(record: bytes, rng: np.random.Generator) -> Any:
    """The same for strings."""
    return np.frombuffer(record, np.uint8).astype(np.int64) * 1000 + rng.integers(1000)


def spread(word: Any, rng: np.random.Generator) -> Any:
    """The same for words."""
    return word.sum() * 1000 + rng.integers(1000)


def both(x: Any, y: Any, rng: np.random.Generator) -> Any:
    """The same for pairs."""
    return x, y, rng.integers(1000)


def third(x: Any) -> bool:
    """Leaves out two of three."""
    return bool(x % 3 == 1)


def fussy(x: Any) -> Any:
    """Fails now and then."""
    if x % 7 == 3:
        raise ValueError(f"bad {x}")
    return x


def fussier(x: Any) -> Any:
    """Fails elsewhere, and now and then in the same place."""
    if x % 5 == 0:
        raise ValueError(f"worse {x}")
    return x
