"""The whole protocol in any weather: every element exactly once, in the order of the in-process run, bit for bit."""

from __future__ import annotations

import pytest

from headrace.pipeline.dataset import Dataset

from .cluster import IDLE_S, Cluster
from .graphs import FIRST, NAMES
from .seeds import LEAST, run
from .weather import Faults

#: So many seeds are drawn anew with each change of the protocol, a few at a time.
SEEDS, CHUNK = 500, 25
#: Seeds that found something while the protocol was made.
CORPUS = (3, 53, 60, 64, 82, 131)


def test_the_list_of_names_is_complete(pipelines: dict[str, Dataset]) -> None:
    assert tuple(pipelines) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_in_calm_weather_every_pipeline_runs_without_repeating_anything(
    pipelines: dict[str, Dataset], name: str
) -> None:
    cluster = Cluster(1, pipelines[name]).run()
    assert cluster.server is not None
    assert cluster.seen == [len(each) for each in cluster.expected]
    assert cluster.server.coordinator.repeated == 0
    cluster.settle()


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_in_any_weather_every_element_comes_once_and_in_order(pipelines: dict[str, Dataset], first: int) -> None:
    tally = run(range(first, first + CHUNK), list(pipelines.values()))
    assert tally.seeds == CHUNK
    assert tally.crashes >= CHUNK, "hardly anything crashed: the weather was too good to show anything"
    assert tally.recoveries >= CHUNK // 10, "hardly anything was restored from a checkpoint that held elements"
    assert tally.compactions >= CHUNK


def test_seeds_that_found_something_stay_found(pipelines: dict[str, Dataset]) -> None:
    run(CORPUS, [pipelines[name] for name in FIRST])


def test_a_budget_of_one_byte_and_a_window_of_one_element_are_enough(pipelines: dict[str, Dataset]) -> None:
    for seed, dataset in enumerate(pipelines.values()):
        Cluster(seed, dataset, limits=LEAST, window=1, piece=1, slots=1, workers=1).run().settle()


@pytest.mark.parametrize("name", ["filtered images", "hop after shuffle", "records repeated"])
def test_a_run_whose_client_is_gone_is_stopped_and_goes_on_when_it_returns(
    pipelines: dict[str, Dataset], name: str
) -> None:
    parked = 0
    for seed in range(6):
        faults = Faults(client_crashes=0.3, client_away_s=12.0, client_cuts=0.2)
        cluster = Cluster(seed, pipelines[name], faults=faults, think_s=1.0, calm_after_s=60.0).run()
        cluster.settle()
        parked += cluster.parked
    assert parked >= 6


def test_the_run_of_a_client_that_is_busy_for_long_is_not_stopped(pipelines: dict[str, Dataset]) -> None:
    cluster = Cluster(1, pipelines["flat"], epochs=1, think_s=8 * IDLE_S).run(limit_s=1000.0)
    assert cluster.now > 50 * IDLE_S
    assert cluster.parked == 0


def test_the_same_seed_plays_the_same_run_again(pipelines: dict[str, Dataset]) -> None:
    faults = Faults(drop=0.1, double=0.1, late=0.03, server_crashes=0.5, worker_crashes=0.3, client_crashes=0.2)
    one, other = (Cluster(7, pipelines["filtered images"], faults=faults).run() for _ in range(2))
    assert (one.now, one.crashes, one.disk.facts) == (other.now, other.crashes, other.disk.facts)
