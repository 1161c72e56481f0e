"""What a run held is freed when it is stopped, and not when Python looks for circles, which it does rarely.

Else each trainer that is killed would leave a slab and its descriptor behind, for an hour maybe.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from headrace.broker.lanes import LaneStream
from headrace.broker.machine import Gone, Tick
from headrace.broker.run import Run
from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.messages import Close
from headrace.pipeline.store import Store

from .house import SESSION, House, consume, shuffled


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    """Whoever is in a circle stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def alive() -> list[Any]:
    """What there is of runs, their streams and stores. Others may not even like to be asked what they are."""
    return [each for each in gc.get_objects() if issubclass(type(each), Run | LaneStream | Store)]


def unequal() -> Dataset:
    """Every batch fails, in the broker."""
    return Dataset.range(40).map(lambda x: np.zeros(x, np.uint8)).batch(4).with_options(Options(seed=5))


def merged() -> Dataset:
    """Streams behind streams."""
    batches = Dataset.range(40).cache().shuffle(8, seed=3).batch(2)
    return Dataset.zip((batches.map(lambda x: x + 1), shuffled().repeat(2))).with_options(Options(seed=5))


@pytest.mark.parametrize("make", [shuffled, unequal, merged])
@pytest.mark.parametrize("gone", [True, False])
def test_nothing_of_a_stopped_run_is_left(make: Any, gone: bool) -> None:
    house = House(make())
    house.broker.idle_s = 1.0
    assert not alive()
    house.open()
    consume(house, SESSION, 0, 9)
    assert len(house.replies) > 9
    house.working = False
    if gone:
        for _ in range(4):
            house.tell(Gone("client"))
            house.tell(Tick(house.broker.now + 1.0))
    else:
        house.say(Close(1, 9))
    assert not house.broker.runs
    house.replies.clear()
    assert not alive()
