"""Pipelines with functions that have a state, for the simulated cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset, Options

__all__ = ["sequential"]


def sequential() -> dict[str, Dataset]:
    """All of them by name."""
    numbers, one = Dataset.range(24), np.int64(1)
    made = {
        "scan": numbers.shuffle(6).scan(one, mixed).shuffle(5).batch(2),
        "scan of scans": numbers.scan(one, mixed).scan((one, one), shifted).map(lambda x: x + 1).shuffle(4),
        "failing scan": numbers.map(fussy).scan(one, fails_sometimes).ignore_errors().batch(2).repeat(2).shuffle(3),
        "scans in turn": Dataset.zip(numbers.scan(one, mixed), numbers.batch(1).scan(one, last).shuffle(3)).shuffle(4),
    }
    return {name: each.with_options(Options(seed=5)) for name, each in made.items()}


def mixed(state: Any, x: Any, rng: np.random.Generator) -> Any:
    """Depends on every element before and their order."""
    state = (state * 31 + x + rng.integers(100)) % 1009
    return state, state * 1000 + x


def shifted(states: Any, x: Any) -> Any:
    """Each element but one comes out a place later, beside the one before that."""
    older, old = states
    return (old, x), older * 7 + x


def fails_sometimes(state: Any, x: Any) -> Any:
    if x % 5 == 2:
        raise ValueError(f"bad {x}")
    return mixed(state, x, np.random.default_rng(int(x)))


def fussy(x: Any) -> Any:
    if x % 7 == 3:
        raise ValueError(f"worse {x}")
    return x


def last(state: Any, batch: Any) -> Any:
    return state + batch[0], state
