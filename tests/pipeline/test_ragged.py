"""Rows of unequal lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import Dataset
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.ragged import RaggedTensor
from tests.conftest import Run, assert_same

NESTED = RaggedTensor(RaggedTensor(np.array([1, 2, 3, 4]), np.array([0, 2, 2, 3, 4])), np.array([0, 3, 3, 4]))


@given(st.lists(st.lists(st.integers(-9, 9), max_size=5), max_size=6))
def test_rows_come_back_whatever_their_lengths(rows: list[list[int]]) -> None:
    flat = np.array([each for row in rows for each in row], np.int64)
    ragged = RaggedTensor.from_row_lengths(flat, np.array([len(row) for row in rows], np.int64))
    assert ragged.to_list() == rows
    assert ragged.nrows() == len(rows)
    longest = max(map(len, rows), default=0)
    assert ragged.bounding_shape().tolist() == [len(rows), longest]
    assert ragged.to_tensor(7).tolist() == [row + [7] * (longest - len(row)) for row in rows]
    assert ragged.to_tensor(7, [None, 2]).tolist() == [[*row, 7, 7][:2] for row in rows]
    assert_same(RaggedTensor.from_row_splits(flat, ragged.row_splits), ragged)


def test_rows_hold_rows() -> None:
    assert NESTED.to_list() == [[[1, 2], [], [3]], [], [[4]]]
    assert NESTED.bounding_shape().tolist() == [3, 3, 2]
    assert NESTED.to_tensor().tolist() == [[[1, 2], [0, 0], [3, 0]], [[0, 0]] * 3, [[4, 0], [0, 0], [0, 0]]]
    assert NESTED.to_tensor(-1, [2, 1, 3]).tolist() == [[[1, 2, -1]], [[-1, -1, -1]]]
    assert NESTED.to_tensor(-1, [4, None, 1]).shape == (4, 3, 1)


def test_rows_hold_arrays_and_bytes() -> None:
    pairs = RaggedTensor(np.arange(6).reshape(3, 2), np.array([0, 1, 3], np.int32))
    assert pairs.to_tensor().tolist() == [[[0, 1], [0, 0]], [[2, 3], [4, 5]]]
    texts = RaggedTensor.from_row_lengths(["a", b"b\0", ""], [2, 1])
    assert texts.to_list() == [[b"a", b"b\0"], [b""]]
    assert texts.to_tensor().tolist() == [[b"a", b"b\0"], [b"", b""]]
    assert texts.to_tensor(b"-").tolist() == [[b"a", b"b\0"], [b"", b"-"]]


def test_splits_keep_int32_and_are_int64_otherwise() -> None:
    for dtype, expected in (("int32", "int32"), ("int64", "int64"), ("uint8", "int64")):
        made = RaggedTensor.from_row_lengths([1], np.array([1, 0], dtype))
        assert [made.row_splits.dtype, made.row_lengths().dtype] == [np.dtype(expected)] * 2
        assert RaggedTensor.from_row_splits([1], np.array([0, 1], dtype)).row_splits.dtype == np.dtype(expected)


@pytest.mark.parametrize("splits", [[], [1, 2], [0, 2, 1], [0, 1], [0, 3], [[0, 2]], ["0", "2"], [0.0, 2.0]])
def test_splits_that_bound_no_rows_are_refused(splits: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="row_splits must"):
        RaggedTensor.from_row_splits([7, 8], splits)


@pytest.mark.parametrize("lengths", [[1], [3], [-1, 3], [1.5, 0.5]])
def test_lengths_that_are_not_those_of_the_values_are_refused(lengths: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="row_lengths must"):
        RaggedTensor.from_row_lengths([7, 8], lengths)


def test_a_shape_that_the_rows_cannot_have_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="rank 3"):
        NESTED.to_tensor(shape=[2, 2])
    with pytest.raises(InvalidArgumentError, match=r"ends with \[3\]"):
        RaggedTensor(np.zeros((3, 2)), np.array([0, 3])).to_tensor(shape=[None, None, 3])
    with pytest.raises(InvalidArgumentError, match="rank 1"):
        RaggedTensor.from_row_lengths(3, [3])


def test_ragged_elements_travel_as_they_are(run: Run) -> None:
    def made(i: Any) -> RaggedTensor:
        return RaggedTensor(RaggedTensor(np.arange(i), np.array([0, i])), np.array([0, 1, 1]))

    (got,) = run(Dataset.range(4).map(made))
    assert_same(got, [made(np.int64(i)) for i in range(4)])
