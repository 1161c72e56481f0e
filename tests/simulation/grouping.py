"""Pipelines of operators that look at tags, and of windows, for the simulated cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset, Options

__all__ = ["grouping"]


def grouping() -> dict[str, Dataset]:
    """All of them by name."""
    numbers = Dataset.range(26).map(fussy)
    ragged = numbers.shuffle(7).map(lambda x: (x, np.full(int(x) % 5, x)))
    made = {
        "take while": numbers.shuffle(5).take_while(lambda x: x < 24).repeat(2).map(noisy).batch(3),
        "take while, inside": Dataset.range(9).flat_map(few).shuffle(4),
        "buckets": ragged.bucket_by_sequence_length(lambda x, row: len(row), [2, 4], [3, 2, 4]).shuffle(3),
        "buckets to boundaries": (
            ragged.filter(lambda x, row: x % 4 > 0)
            .bucket_by_sequence_length(
                lambda x, row: len(row), [2, 4], [2, 2, 2], padded_shapes=([], [None]), pad_to_bucket_boundary=True
            )
            .map(lambda x, row: (x, row.sum()))
        ),
        "resampled": numbers.rejection_resample(lambda x: x % 3 // 2, [1, 1])
        .map(lambda c, x: x + c)
        .repeat(3)
        .batch(4),
        "windows": numbers.shuffle(6).window(3, 2).map(passed).shuffle(3).flat_map(lambda w: w.map(noisy).batch(2)),
        "overlapping windows, shuffled": numbers.window(4, 1, 2, True).shuffle(5).flat_map(lambda w: w.batch(4)),
        "groups": ragged.group_by_window(lambda x, row: x % 3, padded, 3).shuffle(3),
        "groups of their own sizes": (
            numbers.shuffle(9).group_by_window(lambda x: x % 4, taken, window_size_func=lambda key: key + 1).map(noisy)
        ),
    }
    return {name: each.with_options(Options(seed=5)) for name, each in made.items()}


def noisy(x: Any, rng: np.random.Generator) -> Any:
    """Another result for each operator, epoch, pass and element: a wrong identity shows."""
    return x * 1000 + rng.integers(1000)


def fussy(x: Any) -> Any:
    """Fails now and then."""
    if x % 9 == 5:
        raise ValueError(f"bad {x}")
    return x


def few(n: Any) -> Dataset:
    """As many as its number says, of an endless one."""
    return Dataset.range(4).repeat().enumerate().take_while(lambda i, x: i < n).map(lambda i, x: noisy_of(x + i))


def noisy_of(x: Any) -> Any:
    return fussy(x) * 3


def passed(window: Any) -> Any:
    """A window as it came."""
    return window


def padded(key: Any, window: Dataset) -> Dataset:
    """A batch behind its key."""
    return window.padded_batch(2).map(lambda x, row: (key, x, row))


def taken(key: Any, window: Dataset) -> Dataset:
    """Up to two."""
    return window.shuffle(2).take(2)
