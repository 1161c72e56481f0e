"""ragged_batch, and ragged values in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from headrace import Dataset, InvalidArgumentError, TensorSpec
from headrace.pipeline.ragged import RaggedTensor

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def letters(n: Any) -> Any:
    return {"x": np.arange(n), "n": n, "s": np.array([b"ab" * i for i in range(n)], object)}


def test_unequal_elements_become_rows(run: Run, same: Same) -> None:
    (got,) = run(
        Dataset.from_tensor_slices(np.array([2, 0, 3])).map(letters).ragged_batch(2, row_splits_dtype=np.int32)
    )
    splits = np.array([0, 2, 2], np.int32)
    texts = np.array([b"", b"ab"], object)
    first = {"n": np.array([2, 0]), "s": RaggedTensor(texts, splits), "x": RaggedTensor(np.array([0, 1]), splits)}
    same(got[0], first)
    assert got[1]["x"].to_list() == [[0, 1, 2]]
    assert got[1]["x"].row_splits.dtype == np.int32


def test_more_dimensions_vary_as_far_as_the_spec_leaves_them_open(run: Run) -> None:
    def tables() -> Iterator[Any]:
        yield from (np.full((n, n + 1), n, np.int32) for n in (1, 2))

    (got,) = run(Dataset.from_generator(tables).ragged_batch(2))
    assert got[0].to_list() == [[[1, 1]], [[2, 2, 2], [2, 2, 2]]]
    assert isinstance(got[0].values, RaggedTensor)
    boxes = Dataset.from_generator(lambda: iter([np.ones((1, 4)), np.ones((0, 4)), np.ones((3, 4))]),
                                   output_signature=TensorSpec((None, 4), np.float64))  # fmt: skip
    (batch,) = boxes.ragged_batch(3)
    assert batch.values.shape == (4, 4)
    assert batch.row_splits.tolist() == [0, 1, 1, 4]
    assert boxes.ragged_batch(3, drop_remainder=True).element_spec == (
        TensorSpec((None, 4), np.float64),
        TensorSpec((4,), np.int64),
    )


def test_what_is_of_one_known_shape_is_stacked(same: Same) -> None:
    same(list(Dataset.from_tensor_slices(np.ones((3, 2))).ragged_batch(2)), [np.ones((2, 2)), np.ones((1, 2))])


def test_the_rest_is_dropped_or_given(run: Run) -> None:
    rows = Dataset.range(5).map(lambda n: np.arange(n))
    assert [each.nrows() for each in run(rows.ragged_batch(2))[0]] == [2, 2, 1]
    assert len(rows.ragged_batch(2)) == 3
    assert [each.nrows() for each in rows.ragged_batch(2, drop_remainder=True)] == [2, 2]


def test_batches_of_ragged_values_have_a_dimension_more(run: Run) -> None:
    ragged = Dataset.range(1, 6).map(lambda n: np.arange(n)).ragged_batch(2)
    expected = [[[[0], [0, 1]], [[0, 1, 2], [0, 1, 2, 3]]], [[[0, 1, 2, 3, 4]]]]
    assert [each.to_list() for each in run(ragged.batch(2))[0]] == expected
    batches = list(ragged.enumerate().batch(2))
    assert batches[0][0].tolist() == [0, 1]
    assert batches[0][1].to_list() == expected[0]


def test_unlike_ranks_fail_and_the_batches_behind_them_come(outcomes: Outcomes) -> None:
    rows = Dataset.range(6).map(lambda n: np.zeros((1,) * (1 + (n == 1))))
    got = outcomes(iter(rows.ragged_batch(2)))
    assert [each[0] if type(each) is tuple else each.to_list() for each in got] == [
        InvalidArgumentError,
        [[0], [0]],
        [[0], [0]],
    ]
    with pytest.raises(InvalidArgumentError, match="int32 or int64"):
        rows.ragged_batch(2, row_splits_dtype=np.float32)
    with pytest.raises(InvalidArgumentError, match="padded_batch pads arrays"):
        list(Dataset.range(4).map(lambda n: np.arange(n)).ragged_batch(1).padded_batch(2))
