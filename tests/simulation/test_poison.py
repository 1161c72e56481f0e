"""Elements that kill: told from workers that die of other things, and delivered as an error in their place."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.broker.run import Limits
from headrace.coordinator.machine import Coordinator, Record
from headrace.coordinator.strikes import Cleared, Fact, Strikes
from headrace.pipeline.dataset import Dataset, Options

from .cluster import Cluster
from .poisoned import DEADLY, kills
from .weather import Faults, Lost

DATASET = Dataset.range(24).map(kills).shuffle(6, seed=1).with_options(Options(seed=5))
LIMITS = Limits(rows_each=9, splits_least=1)


def test_in_calm_weather_an_element_kills_three_workers_and_no_more() -> None:
    cluster = Cluster(1, DATASET, limits=LIMITS, epochs=2).run()
    each = 3 * len(DEADLY)
    assert 2 * each <= cluster.crew.killings <= 3 * each, "of two epochs, and what was begun of the third"
    cluster.settle()


#: So many deaths must be enough for an element, whatever happens to the server in between: the disk counts them.
RESTARTS = Faults(server_crashes=1.0, compactions=0.2, client_crashes=0.2)


def run(seed: int) -> Cluster:
    return Cluster(seed, DATASET, faults=RESTARTS, limits=LIMITS, workers=3).run()


@pytest.mark.parametrize("seed", range(8))
def test_no_element_costs_a_fourth_worker_however_often_the_server_restarts(seed: int) -> None:
    cluster = run(seed)
    assert cluster.host.incarnation > 3, "hardly a restart"
    assert sum(count == 3 for count in cluster.host.disk.struck.values()) == len(DEADLY), "in the last epoch"
    cluster.settle()


def forgetting_in_compaction(strikes: Strikes) -> list[Fact]:
    return []


def forgetting_at_once(coordinator: Coordinator, fact: Fact) -> Record:
    coordinator.strikes.apply(fact)
    return Record(Cleared(0, None))  # something else is journaled in its place


@pytest.mark.parametrize(
    ("kind", "name", "forgetful"),
    [(Strikes, "facts", forgetting_in_compaction), (Coordinator, "_record", forgetting_at_once)],
)
def test_where_strikes_do_not_survive_the_server_elements_go_on_killing(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str, forgetful: Any
) -> None:
    monkeypatch.setattr(kind, name, forgetful)
    wrong = 0
    for seed in range(20):
        try:
            run(seed)
        except Lost:
            wrong += 1
    assert wrong >= 3


@pytest.mark.parametrize("seed", range(12))
def test_in_any_weather_just_the_elements_that_kill_fail(seed: int) -> None:
    faults = Faults(drop=0.05, late=0.02, server_crashes=0.1, worker_crashes=0.2, worker_stops=0.05, client_crashes=0.1)
    cluster = Cluster(seed, DATASET, faults=faults, limits=LIMITS, workers=3).run()
    assert cluster.crew.killings >= 3 * len(DEADLY) * 2
    cluster.settle()


def odd_kills(x: Any) -> Any:
    """The same for the rows that stand at these positions of a view of all odd numbers."""
    return kills((int(x) - 1) // 2)


@pytest.mark.parametrize("seed", range(4))
def test_where_leaves_are_cut_it_is_the_row_that_is_poison_and_not_its_position(seed: int) -> None:
    dataset = Dataset.range(60).shard(2, 1).take(24).map(odd_kills).shuffle(6, seed=1).with_options(Options(seed=5))
    cluster = Cluster(seed, dataset, faults=RESTARTS, limits=LIMITS, workers=3).run()
    assert {offset for (*_, offset, _), count in cluster.host.disk.struck.items() if count == 3} == {7, 23}
