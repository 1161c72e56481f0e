"""Operators that bring several datasets together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace import Dataset

from .chain import Chain, Dice, Files
from .functions import digest
from .kinds import NUMBER, Nest
from .operators import Operator

__all__ = ["JOINS"]


def _concatenate(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if chain.files:
        return None
    other = _branch(dice, chain.dataset)
    made = chain.dataset.concatenate(other)
    return chain.then("concatenate(branch)", made, most=2 * chain.most, leaves=2 * chain.leaves)


def _branch(dice: Dice, dataset: Dataset) -> Dataset:
    """Elements of the same kind that come otherwise."""
    branches: tuple[Callable[[], Dataset], ...] = (
        lambda: dataset,
        lambda: dataset.skip(2),
        lambda: dataset.shuffle(6),
        lambda: dataset.take(3).repeat(2),
        lambda: dataset.filter(never),
        lambda: dataset.shard(2, 1).prefetch(1),
    )
    return dice.choice(branches)()


def never(*parts: Any) -> bool:
    """Keeps nothing."""
    return False


def _zip(dice: Dice, files: Files, chain: Chain) -> Chain:
    alike = not chain.files and dice.choice((True, False))
    other, kind = (_branch(dice, chain.dataset), chain.kind) if alike else (Dataset.range(20).shuffle(7), NUMBER)
    parts, leaves = (chain.kind, kind), chain.leaves * 2 if alike else chain.leaves + 1
    if dice.choice((True, False)):
        made = Dataset.zip(chain.dataset, other)
        return chain.then("zip(tuple)", made, kind=Nest("tuple", parts), leaves=leaves)
    made = Dataset.zip({"a": chain.dataset, "b": other})
    return chain.then("zip(dict)", made, kind=Nest("dict", parts, ("a", "b")), leaves=leaves)


def _sample(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if chain.files:
        return None
    inputs = [chain.dataset, *(_branch(dice, chain.dataset) for _ in range(dice.randint(1, 2)))]
    way = dice.choice(("none", "fixed", "drawn"))
    weights: Any = [dice.randint(1, 4) / 4 for _ in inputs] if way == "fixed" else None
    if way == "drawn":
        count = len(inputs)
        weights = Dataset.range(40).map(lambda x: np.full(count, 0.5) + np.eye(count)[x % count])
    seed, stop, anew = dice.choice((None, 6)), dice.choice((True, False)), dice.choice((True, False))
    made = Dataset.sample_from_datasets(inputs, weights, seed, stop, anew)
    words = f"sample({len(inputs)}, {weights if way == 'fixed' else way}, {seed}, {stop}, {anew})"
    return chain.then(words, made, most=len(inputs) * chain.most, leaves=len(inputs) * chain.leaves)


def _choose(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if chain.files:
        return None
    inputs, stop = [chain.dataset, _branch(dice, chain.dataset)], dice.choice((True, False))
    choices = Dataset.range(40).map(lambda x: np.int64(digest(x, 3) % 2))
    made = Dataset.choose_from_datasets(inputs, choices, stop)
    return chain.then(f"choose({stop})", made, most=2 * chain.most, leaves=2 * chain.leaves)


JOINS: tuple[Operator, ...] = (_concatenate, _zip, _sample, _choose)
