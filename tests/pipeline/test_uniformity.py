"""Shuffles are uniform: chi-squared tests of what fixed seeds draw, so that they cannot flake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import factorial, sqrt
from typing import Any

import pytest

from headrace import Dataset


def uniform(found: Iterable[Any], kinds: int) -> bool:
    """Whether each of so many kinds came about as often: below the 99.9th percentile of chi-squared.

    Wilson and Hilferty's approximation of that percentile is within 1 % from 3 degrees of freedom on.
    """
    counts = Counter(found)
    expected, free = counts.total() / kinds, kinds - 1
    assert expected >= 5, "chi-squared needs more"
    away = sum((count - expected) ** 2 / expected for count in counts.values()) + (kinds - len(counts)) * expected
    return away < free * (1 - 2 / (9 * free) + 3.0902 * sqrt(2 / (9 * free))) ** 3


def ranks(order: Sequence[int], window: int) -> list[tuple[int, int]]:
    """Of each draw from a shuffled range how many were held, and which of them, by size, was drawn."""
    held, coming, found = list(range(min(window, len(order)))), window, []
    for each in order:
        found.append((len(held), held.index(each)))
        held.remove(each)
        if coming < len(order):
            held.append(coming)  # stays sorted: what comes is the largest
            coming += 1
    return found


def shuffled(count: int, window: int, seed: int, epoch: int = 0) -> list[int]:
    return [int(x) for x in Dataset.range(count).shuffle(window, seed=seed).iterate(epoch)]


@pytest.mark.parametrize("window", [2, 5, 16])
def test_each_draw_takes_any_element_of_the_window(window: int) -> None:
    full = [rank for held, rank in ranks(shuffled(20_000, window, seed=1), window) if held == window]
    assert len(full) == 20_000 - window + 1
    assert uniform(full, window)
    assert uniform(zip(full[::2], full[1::2], strict=False), window**2)  # whatever was drawn before


def test_behind_the_last_input_too_each_draw_takes_any_that_is_left() -> None:
    found = [each for seed in range(400) for each in ranks(shuffled(8, 5, seed), 5)]
    for left in (2, 3, 4):
        assert uniform((rank for held, rank in found if held == left), left)


@pytest.mark.parametrize("count", [4, 5])
def test_all_orders_of_a_full_window_are_as_likely_over_seeds_and_over_epochs(count: int) -> None:
    orders = factorial(count)
    assert uniform((tuple(shuffled(count, count, seed)) for seed in range(8 * orders)), orders)
    assert uniform((tuple(shuffled(count, count, 3, epoch)) for epoch in range(8 * orders)), orders)


def test_all_orders_of_a_global_shuffle_are_as_likely() -> None:
    def order(seed: int, epoch: int) -> tuple[int, ...]:
        return tuple(int(x) for x in Dataset.range(4).global_shuffle(seed=seed).iterate(epoch))

    assert uniform((order(seed, 0) for seed in range(240)), 24)
    assert uniform((order(9, epoch) for epoch in range(240)), 24)


def test_any_element_may_stand_anywhere_in_a_long_order() -> None:
    for global_shuffle in (False, True):
        data = Dataset.range(10_000)
        order = data.global_shuffle(seed=5) if global_shuffle else data.shuffle(10_000, seed=5)
        places = {int(x): at for at, x in enumerate(order)}
        assert sorted(places) == list(range(10_000))
        assert uniform(((x // 2500, at // 2500) for x, at in places.items()), 16)


def test_the_order_of_one_epoch_says_nothing_of_the_next() -> None:
    pairs = [(shuffled(3, 3, 7, epoch), shuffled(3, 3, 7, epoch + 1)) for epoch in range(0, 800, 2)]
    assert uniform((str(pair) for pair in pairs), 36)


def test_a_draw_that_is_not_uniform_is_noticed() -> None:
    """The test itself: one kind in five comes a tenth less often."""
    biased = [min(rank, 3) if at % 10 == 0 else rank for at, (_, rank) in enumerate(ranks(shuffled(20_000, 5, 1), 5))]
    assert not uniform(biased, 5)
