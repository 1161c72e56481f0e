"""Pipelines whose buffers hold what was made of other held elements, for the simulated cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset
from headrace.pipeline.files import TFRecordDataset

__all__ = ["NAMES", "hops"]

NAMES = (
    "hops of hops",
    "stacks of hops of stacks",
    "datasets of shuffled batches, shuffled",
    "unlike elements in one buffer",
    "smaller than their making",
    "zip of hops",
    "records behind two shuffles",
)


def hops(records: str) -> dict[str, Dataset]:
    """All of them by name."""
    numbers = Dataset.range(22)
    return {
        "hops of hops": numbers.shuffle(5).map(noisy).shuffle(4).filter(odd).map(noisy).shuffle(3).map(noisy).batch(2),
        "stacks of hops of stacks": numbers.batch(2).map(noisy).shuffle(4).padded_batch(2).map(noisy).shuffle(3),
        "datasets of shuffled batches, shuffled": numbers.shuffle(6).batch(2).flat_map(some).shuffle(7).map(noisy),
        "unlike elements in one buffer": (
            Dataset.range(9).concatenate(Dataset.range(9).shuffle(4).map(noisy)).shuffle(9).batch(3).map(noisy)
        ),
        "smaller than their making": Dataset.range(90).batch(15).map(np.sum).repeat(3).shuffle(5).map(noisy).batch(2),
        "zip of hops": Dataset.zip(numbers.shuffle(5).map(noisy), numbers.batch(2).unbatch()).shuffle(6).batch(2),
        "records behind two shuffles": TFRecordDataset([records]).shuffle(6).map(len).shuffle(5).batch(3).map(noisy),
    }


def noisy(x: Any, rng: np.random.Generator) -> Any:
    """Another result for each operator, epoch, pass and element: a wrong identity shows."""
    return x * 1000 + rng.integers(1000)


def odd(x: Any) -> bool:
    return bool(x % 3)


def some(batch: Any) -> Dataset:
    """Up to three elements, in an order of their own."""
    return Dataset.range(int(batch[0]) % 4).shuffle(3).map(lambda x: x + batch.sum()).map(noisy)
