"""repeat, take, skip and prefetch: operators that count or change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [0, 1]), (3, [0, 1, 0, 1, 0, 1])])
def test_repeat_gives_the_data_so_many_times(run: Run, count: int, expected: list[int]) -> None:
    assert run(Dataset.range(2).repeat(count)) == [expected]


@pytest.mark.parametrize("count", [None, -1])
def test_repeat_for_ever_ends_with_take(run: Run, count: int | None) -> None:
    assert run(Dataset.range(3).repeat(count).take(7), epochs=2) == [[0, 1, 2, 0, 1, 2, 0]] * 2


def test_repeat_of_nothing_ends() -> None:
    assert list(Dataset.range(0).repeat()) == []
    assert list(Dataset.range(5).filter(lambda x: False).repeat()) == []
    assert list(Dataset.range(0).repeat(10**15)) == []


def test_a_finite_repeat_goes_on_behind_a_pass_that_gave_nothing(run: Run) -> None:
    dataset = (
        Dataset.range(1).with_options(hr.Options(seed=1)).filter(lambda x, rng: bool(rng.random() < 0.5)).repeat(20)
    )
    (got,) = run(dataset)
    assert 0 < len(got) < 20


def test_repeats_nest(run: Run) -> None:
    assert run(Dataset.range(2).repeat(2).take(3).repeat(2)) == [[0, 1, 0, 0, 1, 0]]


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, [0, 1]), (9, [0, 1, 2]), (-1, [0, 1, 2])])
def test_take_gives_the_first(run: Run, count: int, expected: list[int]) -> None:
    assert run(Dataset.range(3).take(count)) == [expected]


@pytest.mark.parametrize(("count", "expected"), [(0, [0, 1, 2]), (2, [2]), (9, []), (-1, [])])
def test_skip_leaves_the_first_out(run: Run, count: int, expected: list[int]) -> None:
    assert run(Dataset.range(3).skip(count)) == [expected]


def test_take_and_skip_over_shuffles_batches_and_maps(run: Run) -> None:
    dataset = Dataset.range(100).shuffle(50, seed=1).map(lambda x: x * 2).batch(3)
    (whole,) = run(dataset)
    for count in (1, 5, 33, 40):
        assert [b.tolist() for b in run(dataset.take(count))[0]] == [b.tolist() for b in whole[:count]]
        assert [b.tolist() for b in run(dataset.skip(count))[0]] == [b.tolist() for b in whole[count:]]


def test_take_does_not_count_failures_and_skip_raises_them() -> None:
    def fail(x: Any) -> Any:
        if x in (1, 4):
            raise ValueError(int(x))
        return x

    def outcomes(dataset: Dataset) -> list[Any]:
        iterator = iter(dataset)
        got: list[Any] = []
        while True:
            try:
                got.append(int(next(iterator)))
            except hr.FunctionError as error:
                got.append(error.reason)
            except StopIteration:
                return got

    dataset = Dataset.range(7).map(fail)
    assert outcomes(dataset.take(3)) == [0, "ValueError: 1", 2, 3]
    assert outcomes(dataset.skip(2)) == ["ValueError: 1", 3, "ValueError: 4", 5, 6]
    assert outcomes(dataset.repeat(2).take(6)) == [0, "ValueError: 1", 2, 3, "ValueError: 4", 5, 6, 0]


def test_what_take_does_not_reach_is_never_computed() -> None:
    seen: list[int] = []

    def see(x: Any) -> Any:
        seen.append(int(x))
        return x

    assert list(Dataset.range(1000).map(see).take(3)) == [0, 1, 2]
    assert seen == [0, 1, 2]


def test_prefetch_changes_nothing(run: Run) -> None:
    for size in (0, 1, 10, hr.AUTOTUNE, None):
        assert run(Dataset.range(5).prefetch(size).map(lambda x: x + 1).prefetch(size)) == [[1, 2, 3, 4, 5]]


@pytest.mark.parametrize("bad", ["2", 1.5, None])
def test_counts_must_be_whole_numbers(bad: Any) -> None:
    for method in (Dataset.range(3).take, Dataset.range(3).skip):
        with pytest.raises(InvalidArgumentError, match="count is"):
            method(bad)
    with pytest.raises(InvalidArgumentError, match="buffer_size is -2"):
        Dataset.range(3).prefetch(-2)


@pytest.mark.parametrize("three", [np.int64(3), np.array(3), True + 2])
def test_numpy_numbers_are_numbers(run: Run, three: Any) -> None:
    assert run(Dataset.range(5).take(three)) == [[0, 1, 2]]
    assert len(run(Dataset.range(9).batch(three))[0]) == 3
