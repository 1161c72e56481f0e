"""Take while: the elements before the first for which a predicate is false."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset

from ..conftest import Run
from .resuming import outcomes, resumes_everywhere


def small(x: Any) -> Any:
    return x < 30


def fails_at_four(x: Any) -> Any:
    if x == 4:
        raise ValueError("four")
    return x < 7


def ints(elements: list[Any]) -> list[int]:
    return [int(each) for each in elements]


def test_it_ends_at_the_first_false_however_many_true_ones_are_behind(run: Run) -> None:
    numbers = Dataset.from_tensor_slices([1, 2, 9, 1, 2])
    assert ints(run(numbers.take_while(lambda x: x < 5))[0]) == [1, 2]
    assert run(numbers.take_while(lambda x: x > 5))[0] == []


def test_an_endless_dataset_ends(run: Run) -> None:
    squares = Dataset.range(10).repeat().enumerate().map(lambda n, _: n * n)
    assert ints(run(squares.take_while(small))[0]) == [0, 1, 4, 9, 16, 25]


def test_tuples_spread_over_the_arguments_and_elements_stay_as_they_are(run: Run) -> None:
    pairs = Dataset.range(9).map(lambda x: (x, np.full(int(x), x)))
    found = run(pairs.take_while(lambda x, row: row.sum() < 10).batch(1))[0]
    assert [int(x[0]) for x, _ in found] == [0, 1, 2, 3]
    assert found[3][1].tolist() == [[3, 3, 3]]


def test_behind_a_shuffle_it_ends_where_the_order_says(run: Run) -> None:
    shuffled = Dataset.range(3000).shuffle(64, seed=5)
    first, second = run(shuffled.take_while(lambda x: x < 2500), 2)
    for epoch, found in enumerate((first, second)):
        expected = ints(list(shuffled.iterate(epoch)))
        assert ints(found) == expected[: next(i for i, x in enumerate(expected) if x >= 2500)]


def test_inside_a_dataset_that_a_function_makes(run: Run) -> None:
    assert ints(run(Dataset.range(4).flat_map(lambda n: Dataset.range(9).take_while(lambda x: x < n)))[0]) == [
        0, 0, 1, 0, 1, 2,
    ]  # fmt: skip


def test_each_pass_of_a_repeat_begins_anew(run: Run) -> None:
    assert ints(run(Dataset.range(9).take_while(lambda x: x < 2).repeat(3))[0]) == [0, 1, 0, 1, 0, 1]


def test_an_element_whose_predicate_fails_raises_in_its_place() -> None:
    found = outcomes(iter(Dataset.range(20).take_while(fails_at_four)))
    assert [int(each) for each in found[:4] + found[5:]] == [0, 1, 2, 3, 5, 6]
    assert found[4] == (hr.FunctionError, "take_while(fails_at_four) raised ValueError: four")
    ignored = Dataset.range(20).take_while(fails_at_four).ignore_errors()
    assert ints(list(ignored)) == [0, 1, 2, 3, 5, 6]


def test_a_failure_behind_the_end_is_none() -> None:
    answers = [True, True, False]  # none for the fourth
    assert ints(list(Dataset.range(20).take_while(lambda x: answers[x]))) == [0, 1]


@pytest.mark.parametrize("answer", [1, None, np.array([True]), "yes"])
def test_what_is_no_boolean_is_refused(answer: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="must return one boolean"):
        list(Dataset.range(3).take_while(lambda x: answer))
    with pytest.raises(hr.InvalidArgumentError, match="needs a function, not int"):
        Dataset.range(3).take_while(3)  # type: ignore[arg-type]


def test_it_goes_on_from_every_element(service: hr.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Dataset:
        return Dataset.range(40).map(fails_at_four_of_ten).shuffle(5).take_while(lambda x: x < 14).shuffle(4)

    found = resumes_everywhere(make, service, monkeypatch)
    assert len(found) > 8
    assert any(isinstance(each, tuple) for each in found)


def fails_at_four_of_ten(x: Any) -> Any:
    if x % 10 == 4:
        raise ValueError("four")
    return x


def test_cardinality_and_spec() -> None:
    numbers = Dataset.range(10)
    assert numbers.take_while(small).cardinality() == hr.UNKNOWN_CARDINALITY
    assert numbers.repeat().take_while(small).cardinality() == hr.INFINITE_CARDINALITY
    assert numbers.batch(3).take_while(small).element_spec == numbers.batch(3).element_spec
