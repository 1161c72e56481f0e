"""padded_batch: elements of unequal shapes made equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


class Named(NamedTuple):
    """Token numbers and how many there are."""

    ids: Any
    length: Any


def counted(*lengths: int) -> Dataset:
    """[1], [2, 2], [3, 3, 3], ... of these lengths, as int64."""
    return Dataset.from_tensor_slices(np.array(lengths)).map(lambda n: np.full(n, n))


def test_each_batch_is_padded_to_its_own_longest(run: Run, same: Same) -> None:
    expected = [np.array([[1, 0], [2, 2]]), np.array([[3, 3, 3], [0, 0, 0]])]
    same(run(counted(1, 2, 3, 0).padded_batch(2)), [expected])


def test_every_dimension_is_padded(run: Run, same: Same) -> None:
    dataset = Dataset.range(1, 3).map(lambda n: np.full((n, 3 - n), n)).padded_batch(2)
    same(run(dataset), [[np.array([[[1, 1], [0, 0]], [[2, 0], [2, 0]]])]])


def test_scalars_and_equal_shapes_are_just_stacked(run: Run, same: Same) -> None:
    same(run(Dataset.range(3).padded_batch(2)), [[np.array([0, 1]), np.array([2])]])
    same(run(counted(2, 2).padded_batch(2)), [[np.full((2, 2), 2)]])


def test_a_constant_shape_pads_up_to_it_and_none_or_minus_one_mean_the_longest(run: Run) -> None:
    assert run(counted(1, 2).padded_batch(2, padded_shapes=[4]))[0][0].tolist() == [[1, 0, 0, 0], [2, 2, 0, 0]]
    for longest in (None, -1):
        assert run(counted(1, 2).padded_batch(2, padded_shapes=[longest]))[0][0].tolist() == [[1, 0], [2, 2]]
    dataset = Dataset.range(2).map(lambda n: np.ones((n, 1))).padded_batch(2, padded_shapes=(None, 2))
    assert run(dataset)[0][0].tolist() == [[[0, 0]], [[1, 0]]]


def test_an_element_longer_than_its_constant_is_data_loss_and_the_next_batch_goes_on() -> None:
    iterator = iter(counted(1, 3, 2, 2).padded_batch(2, padded_shapes=[2]))
    with pytest.raises(hr.DataLossError, match=r"component 0.*\[3\].*\[2\]"):
        next(iterator)
    assert next(iterator).tolist() == [[2, 2], [2, 2]]


def test_padding_values_fill_the_gaps(run: Run, same: Same) -> None:
    same(run(counted(1, 2).padded_batch(2, padding_values=np.int64(-1))), [[np.array([[1, -1], [2, 2]])]])
    dataset = Dataset.range(2).map(lambda n: np.ones(n, np.float32)).padded_batch(2, padding_values=0.5)
    same(run(dataset), [[np.array([[0.5], [1.0]], np.float32)]])


@pytest.mark.parametrize("value", [np.int32(1), 1, 1.0, "", np.uint64(0)])
def test_a_padding_value_must_have_the_components_dtype(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"padding value .* component 0 .* int64: give np.int64"):
        list(counted(1, 2).padded_batch(2, padding_values=value))


def test_text_is_padded_with_empty_text_or_what_was_given(run: Run, same: Same) -> None:
    words = Dataset.from_tensor_slices(["a b", "c"]).map(lambda line: (np.array(line.split()),))
    same(run(words.padded_batch(2)), [[(np.array([[b"a", b"b"], [b"c", b""]], object),)]])
    same(run(words.padded_batch(2, padding_values="<p>")), [[(np.array([[b"a", b"b"], [b"c", b"<p>"]], object),)]])
    with pytest.raises(InvalidArgumentError, match=r"give b'\.\.\.'"):
        list(words.padded_batch(2, padding_values=0))


def test_shapes_and_values_nest_like_the_elements(run: Run) -> None:
    dataset = Dataset.range(1, 3).map(lambda n: {"a": np.full(n, n), "b": (n, np.full((n, 1), 0.5))})
    shapes = {"a": [3], "b": ([], [None, 2])}
    values = {"a": None, "b": (None, np.float64(-1))}
    (batch,) = run(dataset.padded_batch(2, shapes, values))[0]
    assert batch["a"].tolist() == [[1, 0, 0], [2, 2, 0]]
    assert batch["b"][0].tolist() == [1, 2]
    assert batch["b"][1].tolist() == [[[0.5, -1], [-1, -1]], [[0.5, -1], [0.5, -1]]]


def test_named_tuples_take_shapes_and_values_by_name(run: Run) -> None:
    dataset = Dataset.range(1, 3).map(lambda n: Named(np.full(n, n), n))
    (batch,) = run(dataset.padded_batch(2, Named([3], []), Named(np.int64(9), None)))[0]
    assert batch.ids.tolist() == [[1, 9, 9], [2, 2, 9]]
    assert batch.length.tolist() == [1, 2]


def test_one_padding_value_stands_for_all_components(run: Run) -> None:
    dataset = Dataset.range(1, 3).map(lambda n: (np.full(n, n), np.full(n, n)))
    (batch,) = run(dataset.padded_batch(2, padding_values=np.int64(7)))[0]
    assert batch[0].tolist() == batch[1].tolist() == [[1, 7], [2, 2]]


@pytest.mark.parametrize("shapes", [([3], [3]), {"a": [3]}, [], [2, 2]])
def test_shapes_that_do_not_fit_the_elements_are_refused(shapes: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="padded_shapes"):
        list(counted(1, 2).padded_batch(2, shapes))


@pytest.mark.parametrize("shapes", ["abc", [1.5], {"a": "x"}])
def test_what_is_no_shape_is_refused_at_once(shapes: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="padded_shapes"):
        counted(1).padded_batch(2, shapes)
    with pytest.raises(InvalidArgumentError, match="padding_values must be scalars"):
        counted(1).padded_batch(2, padding_values=np.zeros(2))


def test_elements_of_unequal_rank_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="rank 1 in one element and 2 in another"):
        list(Dataset.range(1, 3).map(lambda n: np.zeros([1] * int(n))).padded_batch(2))


def test_remainders_and_failures_are_as_in_batch(run: Run) -> None:
    assert [len(b) for b in run(counted(1, 2, 3).padded_batch(2))[0]] == [2, 1]
    assert [len(b) for b in run(counted(1, 2, 3).padded_batch(2, drop_remainder=True))[0]] == [2]
    iterator = iter(Dataset.range(4).map(lambda n: np.ones(n - 1)).padded_batch(2))
    with pytest.raises(hr.FunctionError, match="negative"):
        next(iterator)
    assert [each.shape for each in iterator] == [(2, 1), (1, 2)]


def test_padding_over_lengths_that_multiply_to_more_than_memory_is_a_typed_error() -> None:
    dataset = Dataset.range(2).map(lambda n: np.zeros((1 << 24, 0, 1) if n else (0, 1 << 24, 1 << 8))).padded_batch(2)
    with pytest.raises(hr.ResourceExhaustedError, match="are the most for one element or batch"):
        list(dataset)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3).flatmap(
        lambda rank: st.lists(st.lists(st.integers(0, 4), min_size=rank, max_size=rank), min_size=1, max_size=5)
    ),
    st.booleans(),
)
def test_any_shapes_are_padded_as_plain_numpy_pads_them(shapes: list[list[int]], text: bool) -> None:
    arrays = [np.arange(int(np.prod(shape))).reshape(shape) + 1 for shape in shapes]
    if text:
        arrays = [np.array([str(x).encode() for x in a.ravel()] + [None], object)[:-1].reshape(a.shape) for a in arrays]
    target = np.max(shapes, axis=0)
    padded = [np.full(target, b"" if text else 0, a.dtype) for a in arrays]
    for to, array in zip(padded, arrays, strict=True):
        to[tuple(slice(n) for n in array.shape)] = array
    (got,) = Dataset.range(len(arrays)).map(lambda i: arrays[i]).padded_batch(len(arrays))
    np.testing.assert_array_equal(got, np.stack(padded))
