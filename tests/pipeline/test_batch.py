"""batch: what is stacked, what is left over, and what cannot be stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


def test_batch_stacks_along_a_new_first_dimension_and_keeps_a_short_last_one(run: Run, same: Same) -> None:
    same(run(Dataset.range(5).batch(2)), [[np.array([0, 1]), np.array([2, 3]), np.array([4])]])
    same(run(Dataset.range(4).batch(2).batch(2)), [[np.array([[0, 1], [2, 3]])]])


def test_drop_remainder_drops_it_and_on_too_little_data_everything(run: Run, same: Same) -> None:
    same(run(Dataset.range(5).batch(2, drop_remainder=True)), [[np.array([0, 1]), np.array([2, 3])]])
    assert run(Dataset.range(5).batch(6, drop_remainder=True)) == [[]]


def test_batch_then_repeat_keeps_short_batches_and_repeat_then_batch_straddles(run: Run) -> None:
    assert [b.tolist() for b in run(Dataset.range(3).batch(2).repeat(2))[0]] == [[0, 1], [2], [0, 1], [2]]
    assert [b.tolist() for b in run(Dataset.range(3).repeat(2).batch(2))[0]] == [[0, 1], [2, 0], [1, 2]]


def test_batch_of_text_is_an_array_of_bytes(run: Run, same: Same) -> None:
    dataset = Dataset.from_tensor_slices(["a", "", "ccc"]).batch(2)
    same(run(dataset), [[np.array([b"a", b""], object), np.array([b"ccc"], object)]])


def test_batch_batches_every_component(run: Run, same: Same) -> None:
    dataset = Dataset.range(2).map(lambda i: {"a": (i, np.full(2, i)), "b": "x" * int(i)}).batch(2)
    expected = {"a": (np.array([0, 1]), np.array([[0, 0], [1, 1]])), "b": np.array([b"", b"x"], object)}
    same(run(dataset), [[expected]])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_of_any_size_hold_everything_in_order(run: Run, size: int) -> None:
    (got,) = run(Dataset.range(2500).map(lambda x: (x, str(x))).batch(size))
    assert np.concatenate([b[0] for b in got]).tolist() == list(range(2500))
    assert [len(b[1]) for b in got] == [size] * (2500 // size) + [2500 % size] * (2500 % size > 0)


@pytest.mark.parametrize("size", [0, -1, 1.5, None, "3"])
def test_a_batch_size_must_be_a_number_from_one_on(size: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="batch_size is"):
        Dataset.range(3).batch(size)


def test_elements_of_unequal_shapes_are_refused_as_tf_data_does_and_the_next_batch_goes_on() -> None:
    iterator = iter(Dataset.range(1, 7).map(lambda n: np.zeros(2 if n == 4 else 1)).batch(2))
    assert next(iterator).shape == (2, 1)
    with pytest.raises(
        InvalidArgumentError,
        match=r"Cannot batch tensors with different shapes in component 0\. "
        r"First element had shape \[1\] and element 1 had shape \[2\]\.",
    ):
        next(iterator)
    assert next(iterator).shape == (2, 1)
    assert list(iterator) == []


def test_elements_of_unequal_dtype_rank_or_structure_are_refused_by_component() -> None:
    cases: list[tuple[Any, Any, str]] = [
        ({"a": 1}, {"a": 1.0}, "component a is int32 in one element and float32 in another"),
        ((1, [1]), (1, [[1]]), "component 1 has rank 1 in one element and rank 2 in another|rank 1 .* 2"),
        ((1, 1), 1, "differ in structure"),
    ]
    for one, other, message in cases:
        with pytest.raises(InvalidArgumentError, match=message):
            list(Dataset.range(2).map(lambda i: other if i else one).batch(2))  # noqa: B023


def failing(*places: int) -> Callable[[Any], Any]:
    def fail(x: Any) -> Any:
        if x in places:
            raise ValueError(int(x))
        return x

    return fail


def outcomes(dataset: Dataset) -> list[Any]:
    """Batches as lists, and the failed elements, in the order in which they come."""
    iterator, got = iter(dataset), []
    while True:
        try:
            got.append(next(iterator).tolist())
        except hr.FunctionError as error:
            got.append(error.reason)
        except StopIteration:
            return got


def test_a_batch_loses_just_the_failing_element_and_the_failure_comes_where_it_was() -> None:
    assert outcomes(Dataset.range(7).map(failing(1)).batch(3)) == ["ValueError: 1", [0, 2, 3], [4, 5, 6]]
    assert outcomes(Dataset.range(4).map(failing(2, 3)).batch(2)) == [[0, 1], "ValueError: 2", "ValueError: 3"]


@pytest.mark.parametrize("place", [0, 1, 50, 333, 998, 999])
def test_a_failure_never_overtakes_the_full_batches_before_it(place: int) -> None:
    for size in (1, 2, 10):
        got = outcomes(Dataset.range(1000).map(failing(place)).batch(size))
        full = place // size
        assert got[full] == f"ValueError: {place}"
        assert [x for b in got[:full] for x in b] == list(range(full * size))
        assert [x for b in got if isinstance(b, list) for x in b] == [x for x in range(1000) if x != place]


def test_take_behind_a_batch_never_reaches_a_failure_that_lies_further_on() -> None:
    assert outcomes(Dataset.range(1000).map(failing(100)).batch(10).take(10)) == [
        list(range(i, i + 10)) for i in range(0, 100, 10)
    ]
