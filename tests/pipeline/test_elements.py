"""What an element may be, and the dtypes that Python values become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


class Point(NamedTuple):
    """Two coordinates."""

    x: Any
    y: Any


def only(dataset: Dataset) -> Any:
    (element,) = list(dataset)
    return element


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(1, "int32"), (2**31, "int64"), (-(2**31), "int32"), (1.5, "float32"), (True, "bool"), (1j, "complex128")],
)
def test_python_numbers_get_the_dtype_that_tf_data_gives_them(value: Any, dtype: str) -> None:
    element = only(Dataset.from_tensors(value))
    assert element.dtype == dtype
    assert element == value


@pytest.mark.parametrize("text", ["é", "", "a\0b"])
def test_text_becomes_utf_8_bytes(text: str) -> None:
    assert only(Dataset.from_tensors(text)) == text.encode()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([1, 2], "int32"), ([1, 2**40], "int64"), ([1, 2.5], "float32"), ([True], "bool"), ([np.int64(1)], "int64")],
)
def test_lists_of_python_numbers_are_narrow_and_those_of_numpy_values_stay_wide(values: list[Any], dtype: str) -> None:
    assert only(Dataset.from_tensors(values)).dtype == dtype


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint16", "uint32", "uint64", "float16", "float64", "complex64"]
)
def test_arrays_keep_their_dtype_through_map_shuffle_and_batch(run: Run, same: Same, dtype: str) -> None:
    rows = np.arange(12).reshape(6, 2).astype(dtype)
    dataset = Dataset.from_tensor_slices(rows).map(lambda row: row).shuffle(1).batch(6)
    same(run(dataset), [[rows]])


def test_arrays_in_foreign_byte_order_become_native_with_the_same_numbers(run: Run, same: Same) -> None:
    foreign = np.arange(4, dtype=np.dtype(np.int32).newbyteorder())
    both = Dataset.from_tensor_slices(foreign).map(lambda x: x)
    same(run(both.batch(4)), [[np.arange(4, dtype=np.int32)]])
    mixed = Dataset.range(2).map(lambda i: foreign if i else foreign.astype(np.int32)).batch(2)
    same(run(mixed), [[np.stack([np.arange(4, dtype=np.int32)] * 2)]])


@pytest.mark.parametrize("view", [np.s_[::2, ::-1], np.s_[:, 1], np.s_[::-1]])
def test_arrays_that_are_not_contiguous_arrive_whole(run: Run, same: Same, view: Any) -> None:
    array = np.arange(24).reshape(4, 6)[view]
    same(run(Dataset.from_tensors(array)), [[array]])
    same(run(Dataset.range(2).map(lambda i: array).batch(2)), [[np.stack([array, array])]])
    same(run(Dataset.from_tensor_slices(array)), [list(array)])


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3, 2)])
def test_arrays_of_no_items_keep_their_shape(run: Run, same: Same, shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, np.float32)
    dataset = Dataset.range(3).map(lambda i: empty)
    same(run(dataset), [[empty] * 3])
    same(run(dataset.batch(3)), [[np.stack([empty] * 3)]])


def test_arrays_of_text_are_arrays_of_bytes(run: Run, same: Same) -> None:
    texts = np.array([["a", "bc"], ["", "é"]], object)
    expected = np.array([[b"a", b"bc"], [b"", "é".encode()]], object)
    same(run(Dataset.from_tensors(texts)), [[expected]])
    same(run(Dataset.from_tensors(texts.astype(str))), [[expected]])
    same(run(Dataset.from_tensor_slices(texts).batch(2)), [[expected]])


def test_tuples_named_tuples_and_dicts_nest_and_come_back_as_they_were(run: Run, same: Same) -> None:
    element = ({"b": Point(np.int32(1), (b"two",)), "a": np.zeros(2)}, (np.float32(3),))
    same(run(Dataset.range(2).map(lambda i: element)), [[element, element]])
    (batch,) = run(Dataset.range(2).map(lambda i: element).batch(2))[0]
    assert type(batch[0]["b"]) is Point
    same(batch[0]["b"].x, np.array([1, 1], np.int32))
    same(batch[0]["b"].y[0], np.array([b"two", b"two"], object))


def test_elements_without_components_are_elements(run: Run) -> None:
    assert run(Dataset.range(3).map(lambda i: ())) == [[(), (), ()]]
    assert run(Dataset.range(2).map(lambda i: {})) == [[{}, {}]]


def test_a_list_at_the_top_of_a_result_is_a_tuple_and_one_inside_is_stacked(run: Run, same: Same) -> None:
    same(run(Dataset.range(1).map(lambda i: [1, "a"])), [[(np.int32(1), b"a")]])
    same(run(Dataset.range(1).map(lambda i: ([1, 2], "a"))), [[(np.array([1, 2], np.int32), b"a")]])


@pytest.mark.parametrize(
    "value",
    [None, object(), {1, 2}, lambda: 0, [[1], [2, 3]], np.datetime64("2020-01-01"), [None], 2**64, {1: 2, "a": 3}],
)
def test_what_is_no_element_is_refused_by_a_typed_error(value: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        Dataset.from_tensors(value)
    with pytest.raises(hr.HeadraceError, match=r"map\("):
        list(Dataset.range(1).map(lambda i: (value,)))


def test_elements_of_several_dtypes_or_structures_are_delivered_as_they_are(run: Run, same: Same) -> None:
    dataset = Dataset.range(4).map(lambda i: (1, 2) if i % 2 else 3)
    same(run(dataset), [[np.int32(3), (np.int32(1), np.int32(2))] * 2])
    shuffled = run(dataset.shuffle(4, seed=1).map(lambda *x: x))[0]
    assert sorted(map(len, shuffled)) == [1, 1, 2, 2]
