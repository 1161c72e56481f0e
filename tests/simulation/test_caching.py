"""Caches in memory, in any weather: as in process, bit for bit, in the epoch that fills them and in those that read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.pipeline.dataset import Dataset, Options

from .cluster import Cluster
from .scenario import draw
from .seeds import play

#: So many seeds are run.
SEEDS = 4


def fussy(x: Any) -> Any:
    if x % 7 == 3:
        raise ValueError(f"worse {x}")
    return x


def drawn(x: Any, rng: np.random.Generator) -> Any:
    return x * 1000 + rng.integers(1000)


@pytest.fixture(scope="module")
def caches() -> dict[str, Dataset]:
    """All pipelines by name."""
    numbers = Dataset.range(24)
    made = {
        "cache": numbers.shuffle(6).map(drawn).cache().shuffle(5).map(drawn).batch(2),
        "failing cache": numbers.map(fussy).map(drawn).cache().repeat(2).shuffle(4).ignore_errors().batch(3),
        "cache of a cache": numbers.shuffle(5).cache().map(drawn).batch(4).cache().repeat(2).unbatch().map(drawn),
        "too small a cache": numbers.map(drawn).cache().shuffle(3).with_options(Options(buffer_bytes=200)),
        "caches in turn": Dataset.zip(numbers.cache().repeat(2), numbers.batch(2).cache().repeat()).shuffle(4),
    }
    return {name: each.with_options(Options(seed=5)) for name, each in made.items()}


@pytest.mark.parametrize("first", range(0, SEEDS, 4))
def test_in_any_weather_every_element_comes_once_and_in_order(caches: dict[str, Dataset], first: int) -> None:
    for seed in range(first, first + 4):
        play(draw(seed, tuple(caches)), caches)


def test_in_calm_weather_nothing_is_repeated(caches: dict[str, Dataset]) -> None:
    for seed, dataset in enumerate(caches.values()):
        cluster = Cluster(seed, dataset).run()
        assert cluster.host.server is not None
        assert cluster.host.server.coordinator.repeated == 0
        cluster.settle()
