"""Datasets inside datasets while workers die: the same bytes; and elements inside that kill, each in its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import Dataset

from .killing import epoch_with_kills
from .numbers import noisy

Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]
Folder = Callable[[hr.Service], Path]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def inside(n: Any) -> Dataset:
    """From no to 200 elements, in an order of their own."""
    return Dataset.range(int(n) * 7 % 200).shuffle(20).map(noisy)


PIPELINES = {
    "flat_map": Dataset.range(80).flat_map(inside),
    "interleave": Dataset.range(80).interleave(inside, 5, 2),
    "unbatch": Dataset.range(8000).map(noisy).batch(13).unbatch(),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_workers_are_killed_again_and_again_and_the_bytes_are_the_same(
    name: str, processes: Processes, run_folder: Folder, same: Same, eventually: Eventually
) -> None:
    dataset = PIPELINES[name].shuffle(300, seed=1).batch(20).map(lambda x, y: (x, y.sum(axis=1)))
    with hr.serve(workers=2, budget_bytes=100_000) as service:
        folder, iterator = run_folder(service), service.iterate(dataset)
        got, killed = epoch_with_kills(iterator, lambda: processes(folder, "worker"), eventually)
    same(got, list(dataset.iterate(0)))
    assert killed > 4
    assert iterator.summary().ledger["repeated"] > 2, "the kills hit nobody at work"


def kills(x: Any) -> Any:
    if x == 7:
        os._exit(7)
    return x


def named(n: Any) -> Dataset:
    return Dataset.range(10).map(lambda x: x + 5 * n).map(kills).batch(2)


def ends(n: Any) -> Dataset:
    if n == 2:
        os._exit(7)
    return Dataset.range(2)


def test_an_element_inside_that_kills_is_an_error_in_its_place(outcomes: Outcomes) -> None:
    with hr.serve(workers=2) as service:
        found = outcomes(service.iterate(Dataset.range(3).flat_map(named).unbatch()))
        assert [each for each in found if not isinstance(each, tuple)] == [
            *(x for x in range(10) if x != 7),
            *(x for x in range(5, 15) if x != 7),
            *range(10, 20),
        ]
        first, second = (text for _, text in filter(lambda each: isinstance(each, tuple), found))
        assert "element 7" in first
        assert "element 2" in second


def test_a_function_that_kills_loses_just_its_dataset(outcomes: Outcomes) -> None:
    with hr.serve(workers=2) as service:
        found = outcomes(service.iterate(Dataset.range(4).flat_map(ends)))
        assert found[:4] + found[5:] == [0, 1, 0, 1, 0, 1]
        assert found[4][0] is hr.PoisonError
        found = outcomes(service.iterate(Dataset.range(4).flat_map(lambda n: Dataset.range(n)).map(kills_two)))
        assert found[:5] == [0, 0, 1, 0, 1]
        assert found[5][0] is hr.PoisonError
        assert len(found) == 6


def kills_two(x: Any) -> Any:
    if x == 2:
        os._exit(7)
    return x


def test_a_generator_that_kills_ends_there(outcomes: Outcomes) -> None:
    def dies() -> Iterator[int]:
        yield from range(5)
        os._exit(7)

    with hr.serve(workers=2) as service:
        found = outcomes(service.iterate(Dataset.from_generator(dies)))
        assert found[:5] == [0, 1, 2, 3, 4]
        assert found[5][0] is hr.PoisonError
        assert "element 5" in found[5][1]
        assert len(found) == 6
