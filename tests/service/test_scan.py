"""scan in a service: one worker at a time, whatever dies, and from wherever it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import headrace as hr

from .killing import epoch_with_kills

Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]
Folder = Callable[[hr.Service], Path]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def mixed(state: Any, x: Any, rng: np.random.Generator) -> Any:
    """A state that depends on every element and their order, and 400 bytes."""
    state = (state * np.uint64(31) + np.uint64(x) + rng.integers(1000, dtype=np.uint64)) % np.uint64(10**9 + 7)
    return state, (x, np.full(50, state))


def fails_now_and_then(state: Any, x: Any) -> Any:
    if x % 97 == 5:
        raise ValueError(f"{x} is bad")
    return state + x, state + x


def test_workers_are_killed_again_and_again_and_the_state_goes_on(
    processes: Processes, run_folder: Folder, same: Same, eventually: Eventually
) -> None:
    numbers = hr.Dataset.range(6000).shuffle(300, seed=1).scan(np.uint64(1), mixed)
    dataset = numbers.map(lambda x, y: (x, y + 1)).shuffle(50, seed=2).batch(20).with_options(hr.Options(seed=5))
    # A small budget: the workers never are far ahead of this slow consumer.
    with hr.serve(workers=2, budget_bytes=100_000) as service:
        folder, iterator = run_folder(service), service.iterate(dataset)
        got, killed = epoch_with_kills(iterator, lambda: processes(folder, "worker"), eventually)
    same(got, list(dataset.iterate(0)))
    assert killed >= 4


def test_it_goes_on_elsewhere_from_any_batch(
    service: hr.Service, daemon: hr.Service, same: Same, outcomes: Outcomes
) -> None:
    numbers = hr.Dataset.range(4000).shuffle(100).scan(np.int64(0), fails_now_and_then)
    dataset = numbers.shuffle(30).batch(8).with_options(hr.Options(seed=3, on_error="skip"))
    expected = list(dataset.iterate(0))
    got: list[Any] = []
    token: dict[str, Any] | None = None
    for where, count in [(None, 37), (service, 61), (daemon, 150), (None, 3), (daemon, 1), (service, None)]:
        iterator = dataset.iterate(0) if where is None else where.iterate(dataset)
        if token is not None:
            iterator.load_state_dict(token)
        got += islice(iterator, count)
        token = json.loads(json.dumps(iterator.state_dict()))
        iterator.close()
    same(got, expected)
