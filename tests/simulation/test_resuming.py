"""Tokens from the simulated cluster: gone on with elsewhere, by others, in another weather, and in process."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from headrace.pipeline.dataset import Dataset
from headrace.pipeline.errors import HeadraceError
from headrace.pipeline.token import Token

from .graphs import NAMES
from .reference import in_short, plain, reference
from .scenario import draw, elsewhere
from .seeds import play
from .trainer import Saved
from .weather import Faults

SEEDS, CHUNK = 12, 4


def rest_in_process(dataset: Dataset, saved: Saved) -> list[object]:
    """What the in-process run gives from there on."""
    iterator = dataset.iterate(0)
    told = iterator.state_dict()
    token = Token(
        fingerprint=told["fingerprint"],
        seed=told["seed"],
        epoch=saved.epoch,
        element=saved.element,
        state=saved.state,
    )
    iterator.load_state_dict(token.to_dict())
    found: list[object] = []
    while True:
        try:
            found.append(plain(next(iterator)))
        except StopIteration:
            return found
        except Exception as error:
            found.append(in_short(error))


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_what_was_saved_in_any_weather_goes_on_anywhere(pipelines: dict[str, Dataset], first: int) -> None:
    tokens = 0
    for seed in range(first, first + CHUNK):
        dice = random.Random(seed)
        scenario = draw(seed, NAMES)
        saved = play(scenario.saving(), pipelines).saved
        tokens += len(saved)
        for token in dice.sample(saved, min(1, len(saved))):
            dataset = pipelines[scenario.pipeline]
            assert rest_in_process(dataset, token) == reference(dataset, token.epoch)[token.element :], seed
            play(elsewhere(scenario, token, seed + 1000), pipelines)
    assert tokens >= CHUNK


def test_what_was_saved_in_process_goes_on_in_a_cluster(pipelines: dict[str, Dataset]) -> None:
    for seed, (name, dataset) in enumerate(list(pipelines.items())[::4]):
        iterator = dataset.iterate(0)
        for _ in range(random.Random(seed).randrange(1 + len(reference(dataset, 0)))):
            with suppress(HeadraceError):
                next(iterator)
        token = Token.from_dict(iterator.state_dict())
        saved = Saved(token.epoch, token.element, token.state)
        play(elsewhere(draw(seed, [name]), saved, seed), pipelines)


def test_scripts_that_load_what_one_of_them_saved_go_on_together(pipelines: dict[str, Dataset]) -> None:
    loaded = 0
    for seed in range(5):
        faults = Faults(saves=1.0, rewinds=0.3, server_crashes=0.2, client_crashes=0.1)
        cluster = play(draw(seed, ["filtered images", "lines"]).in_(faults, consumers=3), pipelines)
        loaded += sum(trainer.loads for trainer in cluster.trainers)
    assert loaded >= 15
