"""sparse_batch, and sparse values in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import headrace as hr
from headrace import Dataset, InvalidArgumentError
from headrace.pipeline.sparse import SparseTensor

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def test_unequal_arrays_become_rows_of_one_shape(run: Run, same: Same) -> None:
    (got,) = run(Dataset.range(1, 4).map(lambda n: np.full((n, 2), n)).sparse_batch(2, [3, None]))
    places = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]])
    same(got[0], SparseTensor(places, np.array([1, 1, 2, 2, 2, 2]), np.array([2, 3, 2])))
    assert got[1].to_dense().tolist() == [[[3, 3], [3, 3], [3, 3]]]
    texts = Dataset.from_tensor_slices([["a", "b"], ["", "d"]]).sparse_batch(2, [2])
    assert next(iter(texts)).to_dense().tolist() == [[b"a", b"b"], [b"", b"d"]]


def test_what_it_is() -> None:
    dataset = Dataset.range(5).map(lambda n: np.zeros(n, np.float32)).sparse_batch(2, [4])
    assert len(dataset) == 3
    indices, values, shape = dataset.element_spec
    assert (indices.shape, values.dtype, shape.shape) == ((None, 2), np.float32, (2,))


def test_what_does_not_fit_fails_and_the_batches_behind_come(outcomes: Outcomes) -> None:
    rows = Dataset.range(6).map(lambda n: np.zeros(n) if n != 1 else np.zeros((1, 1)))
    got = outcomes(iter(rows.filter(lambda x: len(x) < 4).sparse_batch(1, [2])))
    kinds = [each[0] if type(each) is tuple else each.dense_shape.tolist() for each in got]
    assert kinds == [[1, 2], InvalidArgumentError, [1, 2], hr.DataLossError]
    (several,) = outcomes(iter(Dataset.range(2).map(lambda n: (n, n)).sparse_batch(2, [])))
    assert several[0] is InvalidArgumentError


def test_batches_of_sparse_values_have_a_dimension_more(run: Run) -> None:
    def sparse(n: Any) -> SparseTensor:
        return SparseTensor(np.array([[n]]), np.array([n * 10]), np.array([n + 1]))

    (got,) = run(Dataset.range(3).map(sparse).batch(2))
    assert got[0].to_dense().tolist() == [[0, 0], [0, 10]]
    assert got[0].dense_shape.tolist() == [2, 2]
    assert got[1].to_dense().tolist() == [[0, 0, 20]]
    assert Dataset.range(3).map(sparse).batch(2).element_spec.indices.shape == (None, 2)
