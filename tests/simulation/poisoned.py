"""Pipelines with elements that end the process that executes them, for the simulated cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset
from headrace.pipeline.files import TextLineDataset

from .worker import ends_its_process

__all__ = ["DEADLY", "NAMES", "kills", "poisoned"]

NAMES = (
    "poison",
    "poison behind a shuffle",
    "poison in lines",
    "poison inside",
    "poison in a generator",
)

DEADLY = frozenset({3, 11})


def poisoned(text: str) -> dict[str, Dataset]:
    """All of them by name."""
    return {
        "poison": Dataset.range(16).map(kills).shuffle(6, seed=1).batch(2),
        "poison behind a shuffle": Dataset.range(14).map(noisy).shuffle(8).enumerate().map(kills_second),
        "poison in lines": TextLineDataset([text, text]).filter(spares).batch(4),
        "poison inside": Dataset.range(6).flat_map(some).shuffle(5).repeat(2).take(20),
        "poison in a generator": Dataset.from_generator(made).map(noisy),
    }


def noisy(x: Any, rng: np.random.Generator) -> Any:
    return x * 1000 + rng.integers(1000)


def kills(x: Any) -> Any:
    """A number's square, if one lives to see it."""
    if int(x) in DEADLY:
        ends_its_process(x)
    return x * x


def kills_second(place: Any, x: Any) -> Any:
    if x // 1000 == 11:
        ends_its_process(x)
    return place, x


def spares(line: bytes) -> bool:
    if line.startswith(b"line 9"):
        ends_its_process(line)
    return len(line) % 3 > 0


def some(n: Any) -> Dataset:
    """The function kills, or what it makes does."""
    if n == 2:
        ends_its_process(n)
    return Dataset.range(int(n)).map(kills)


def made() -> Iterator[int]:
    yield from range(9)
    ends_its_process("the tenth")
