"""Pipelines of datasets inside datasets, for the simulated cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset
from headrace.pipeline.files import TextLineDataset, TFRecordDataset

__all__ = ["NAMES", "nested"]

NAMES = (
    "flat map",
    "flat map of files",
    "flat map of everything",
    "flat map of shuffled batches",
    "interleave",
    "interleave of failing ones",
    "interleaved files",
    "interleave behind a shuffle",
    "unbatch",
    "generator",
    "failing generator",
)


def nested(text: str, records: str, damaged: str) -> dict[str, Dataset]:
    """All of them by name."""
    files = [records, damaged, records, text + "missing", records]
    return {
        "flat map": Dataset.range(14).flat_map(some).map(noisy).batch(5),
        "flat map of files": Dataset.from_tensor_slices([text, text + "missing", text])
        .flat_map(lines)
        .shuffle(9)
        .take(24),
        "flat map of everything": Dataset.range(4)
        .shuffle(3, seed=2)
        .flat_map(everything)
        .map(noisy)
        .repeat(2)
        .take(20),
        "flat map of shuffled batches": Dataset.range(14).shuffle(8).batch(3).flat_map(rows).map(noisy).batch(4),
        "interleave": Dataset.range(9).interleave(some, 4, 2).map(noisy).batch(3),
        "interleave of failing ones": Dataset.range(11).interleave(failing, 3).shuffle(6, seed=1),
        "interleaved files": TFRecordDataset(files, num_parallel_reads=3).batch(2),
        "interleave behind a shuffle": Dataset.range(8).shuffle(5).interleave(everything, 2, 3).repeat(2).take(20),
        "unbatch": Dataset.range(24).map(ragged).padded_batch(7).unbatch().map(noisy_rows).shuffle(6),
        "generator": Dataset.from_generator(counted, args=[17]).map(noisy).shuffle(8).batch(4),
        "failing generator": Dataset.from_generator(counted, args=[9]).flat_map(some).concatenate(broken()),
    }


def noisy(x: Any, rng: np.random.Generator) -> Any:
    """Another result for each operator, epoch, pass and element: a wrong identity shows."""
    return x * 1000 + rng.integers(1000)


def noisy_rows(x: Any, rng: np.random.Generator) -> Any:
    return x + rng.integers(1000, size=x.shape)


def some(n: Any) -> Dataset:
    """No to four elements, random ones among them."""
    return Dataset.range(int(n) % 5).map(lambda x: x + 10 * n).map(noisy)


def lines(name: Any) -> Dataset:
    return TextLineDataset(name).skip(3)


def everything(n: Any) -> Dataset:
    """Shuffles with a seed and without, filters, failures, a dataset inside."""
    inner = Dataset.range(int(n) + 4).filter(lambda x: bool(x % 3)).map(fussy).flat_map(some)
    return inner.shuffle(5, seed=int(n)).concatenate(Dataset.range(3).shuffle(3)).map(noisy)


def fussy(x: Any) -> Any:
    if x % 7 == 5:
        raise ValueError(f"bad {x}")
    return x


def failing(n: Any) -> Dataset:
    """The function fails, or what it makes does."""
    if n % 4 == 2:
        raise KeyError(f"nothing for {n}")
    return Dataset.range(int(n)).map(fussy).map(noisy)


def rows(batch: Any) -> Dataset:
    return Dataset.from_tensor_slices(batch).repeat(2).shuffle(4)


def ragged(x: Any) -> Any:
    return np.full(int(x) % 4, x)


def counted(count: Any) -> Iterator[int]:
    yield from range(int(count))


def broken() -> Dataset:
    """A generator that gives two elements of a wrong type among its own, and then fails."""

    def made() -> Iterator[Any]:
        yield from (1, 2.5, 3, "four", 5)
        raise OSError("gone")

    return Dataset.from_generator(made, output_types=np.int64).batch(2).unbatch()
