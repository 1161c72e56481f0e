"""Pipelines that leave out what fails, for the simulated cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.files import TextLineDataset, TFRecordDataset

from .poisoned import kills

__all__ = ["NAMES", "forgiving"]

NAMES = (
    "skipping",
    "skipping up to a budget",
    "skipping behind a hop",
    "skipping inside",
    "skipping damages",
    "skipping poison",
    "ignoring",
    "ignoring behind a hop",
)


def forgiving(text: str, damaged: str) -> dict[str, Dataset]:
    """All of them by name."""
    numbers = Dataset.range(24).map(fussy)
    failing = Dataset.range(18).filter(picky).shuffle(6, seed=1)
    pairs = Dataset.zip(numbers, Dataset.range(30).map(lambda x: -x))
    return {
        "skipping": _skip(numbers.filter(lambda x: bool(x % 4)).shuffle(5, seed=2).batch(3)),
        "skipping up to a budget": _skip(numbers.shuffle(5, seed=2), budget=2),
        "skipping behind a hop": _skip(pairs.shuffle(7).enumerate().map(fussy_second).repeat(2).batch(4)),
        "skipping inside": _skip(Dataset.range(9).flat_map(some).shuffle(4).batch(3)),
        "skipping damages": _skip(TFRecordDataset([damaged, damaged]).filter(lambda x: len(x) > 1).batch(4)),
        "skipping poison": _skip(Dataset.range(16).map(kills).shuffle(6, seed=1).batch(2)),
        "ignoring": TextLineDataset([text, text + ".missing", text]).map(short).ignore_errors().enumerate().shuffle(8),
        "ignoring behind a hop": _skip(failing.map(fussy).ignore_errors().enumerate().batch(4).ignore_errors()),
    }


def _skip(dataset: Dataset, budget: int | None = None) -> Dataset:
    return dataset.with_options(Options(on_error="skip", error_budget=budget))


def fussy(x: Any) -> Any:
    """Fails now and then."""
    if x % 7 == 3:
        raise ValueError(f"bad {x}")
    return x


def picky(x: Any) -> bool:
    """Fails at elements of its own, and leaves others out."""
    return bool(fussy(x + 1) % 3)


def fussy_second(place: Any, pair: Any) -> Any:
    """Fails now and then, too."""
    return fussy(pair[0] + pair[1] + place), place


def some(n: Any) -> Dataset:
    """What fails is the function, or what it makes does."""
    return Dataset.range(int(fussy(n))).map(lambda x, rng: fussy(x + n) * 100 + rng.integers(100))


def short(line: bytes, rng: np.random.Generator) -> Any:
    """Fails now and then."""
    if len(line) > 20:
        raise ValueError("too long")
    return line + b"%d" % rng.integers(100)
