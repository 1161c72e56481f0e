"""Operators that look at tags, and windows, in any weather: as in process, bit for bit."""

from __future__ import annotations

import pytest

from headrace.pipeline.dataset import Dataset

from .grouping import grouping
from .scenario import draw
from .seeds import play

#: So many seeds are run.
SEEDS = 20


@pytest.fixture(scope="module")
def groups() -> dict[str, Dataset]:
    """All pipelines by name."""
    return grouping()


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_in_any_weather_every_element_comes_once_and_in_order(groups: dict[str, Dataset], first: int) -> None:
    for seed in range(first, first + 10):
        play(draw(seed, tuple(groups)), groups)
