"""Functions that have a state, in any weather: as in process, bit for bit."""

from __future__ import annotations

import pytest

from headrace.pipeline.dataset import Dataset

from .cluster import Cluster
from .scenario import LEAST, draw
from .seeds import play
from .sequential import sequential

#: So many seeds are run.
SEEDS = 8


@pytest.fixture(scope="module")
def scans() -> dict[str, Dataset]:
    """All pipelines by name."""
    return sequential()


@pytest.mark.parametrize("first", range(0, SEEDS, 4))
def test_in_any_weather_every_element_comes_once_and_in_order(scans: dict[str, Dataset], first: int) -> None:
    for seed in range(first, first + 4):
        play(draw(seed, tuple(scans)), scans)


def test_in_calm_weather_nothing_is_repeated_and_one_byte_of_budget_is_enough(scans: dict[str, Dataset]) -> None:
    for seed, dataset in enumerate(scans.values()):
        cluster = Cluster(seed, dataset).run()
        assert cluster.host.server is not None
        assert cluster.host.server.coordinator.repeated == 0
        cluster.settle()
        Cluster(seed, dataset, limits=LEAST, window=1, piece=1, slots=1, workers=1, epochs=1).run().settle()
