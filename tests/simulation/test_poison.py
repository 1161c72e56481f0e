"""Elements that kill: told from workers that die of other things, and delivered as an error in their place."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.errors import PoisonError

from .cluster import Cluster, Faults

DEADLY = frozenset({7, 23})


def kills(x: Any) -> Any:
    """In process nobody dies: there it says what the service has to say."""
    if int(x) in DEADLY:
        raise PoisonError(f"element {x}", 3, "the process ended")
    return x * x


DATASET = Dataset.range(40).map(kills).shuffle(6, seed=1).with_options(Options(seed=5))
LIMITS = Limits(rows_each=9, splits_least=1)


def test_in_calm_weather_an_element_kills_three_workers_and_no_more() -> None:
    cluster = Cluster(1, DATASET, limits=LIMITS, deadly=DEADLY, epochs=2).run()
    assert cluster.killings == 3 * len(DEADLY) * 2
    cluster.settle()


@pytest.mark.parametrize("seed", range(12))
def test_in_any_weather_just_the_elements_that_kill_fail(seed: int) -> None:
    faults = Faults(drop=0.05, late=0.02, server_crashes=0.1, worker_crashes=0.2, worker_stops=0.05, client_crashes=0.1)
    cluster = Cluster(seed, DATASET, faults=faults, limits=LIMITS, workers=3, deadly=DEADLY).run()
    assert cluster.killings >= 3 * len(DEADLY) * 2
    cluster.settle()
