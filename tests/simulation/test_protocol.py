"""The whole protocol in any weather: every element exactly once, in the order of the in-process run, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.pipeline.dataset import Dataset

from .cluster import IDLE_S, Cluster
from .graphs import NAMES
from .scenario import LEAST, Scenario, draw
from .seeds import play, run
from .weather import Faults

#: So many seeds are run with each change of the protocol, a few at a time.
SEEDS, CHUNK = 1000, 50
#: Runs that found something, each with what that was.
CORPUS = json.loads(Path(__file__).with_name("corpus.json").read_text())


def test_the_list_of_names_is_complete(pipelines: dict[str, Dataset]) -> None:
    assert tuple(pipelines) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_in_calm_weather_every_pipeline_runs_without_repeating_anything(
    pipelines: dict[str, Dataset], name: str
) -> None:
    cluster = Cluster(1, pipelines[name]).run()
    assert cluster.host.server is not None
    assert cluster.trainers[0].seen == [len(each) for each in cluster.trainers[0].elements]
    assert cluster.host.server.coordinator.repeated == 0 or cluster.crew.killings
    cluster.settle()


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_in_any_weather_every_element_comes_once_and_in_order(pipelines: dict[str, Dataset], first: int) -> None:
    tally = run(range(first, first + CHUNK), pipelines)
    assert not tally.failed, "\n".join(tally.lines())
    assert tally.seeds == CHUNK
    assert tally.crashes >= CHUNK, "hardly anything crashed: the weather was too good to show anything"
    assert tally.recoveries >= CHUNK // 10, "hardly anything was restored from a checkpoint that held elements"
    assert min(tally.compactions, tally.torn, tally.scalings) >= CHUNK


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: f"{entry['run']['pipeline']}, {entry['run']['seed']}")
def test_what_was_found_once_stays_found(pipelines: dict[str, Dataset], entry: dict[str, Any]) -> None:
    play(Scenario.from_data(entry["run"]), pipelines)


def test_a_scenario_is_the_same_after_it_was_written_down() -> None:
    for seed in range(50):
        drawn = draw(seed, NAMES)
        assert Scenario.from_data(json.loads(json.dumps(drawn.to_data()))) == drawn


def test_a_budget_of_one_byte_and_a_window_of_one_element_are_enough(pipelines: dict[str, Dataset]) -> None:
    for seed, dataset in enumerate(pipelines.values()):
        Cluster(seed, dataset, limits=LEAST, window=1, piece=1, slots=1, workers=1, epochs=1).run().settle()


@pytest.mark.parametrize("name", ["filtered images", "hop after shuffle", "records repeated"])
def test_a_run_whose_client_is_gone_is_stopped_and_goes_on_when_it_returns(
    pipelines: dict[str, Dataset], name: str
) -> None:
    parked = 0
    for seed in range(6):
        faults = Faults(client_crashes=0.3, client_away_s=12.0, client_cuts=0.2)
        cluster = Cluster(seed, pipelines[name], faults=faults, think_s=1.0, calm_after_s=60.0).run()
        cluster.settle()
        parked += cluster.host.parked
    assert parked >= 6


def test_the_run_of_a_client_that_is_busy_for_long_is_not_stopped(pipelines: dict[str, Dataset]) -> None:
    cluster = Cluster(1, pipelines["flat"], epochs=1, think_s=8 * IDLE_S).run(limit_s=1000.0)
    assert cluster.now > 50 * IDLE_S
    assert cluster.host.parked == 0


def test_the_same_seed_plays_the_same_run_again(pipelines: dict[str, Dataset]) -> None:
    faults = Faults(drop=0.1, double=0.1, late=0.03, server_crashes=0.5, worker_crashes=0.3, client_crashes=0.2)
    one, other = (Cluster(7, pipelines["filtered images"], faults=faults).run() for _ in range(2))
    assert (one.now, one.crashes, one.host.disk.facts) == (other.now, other.crashes, other.host.disk.facts)
