"""SparseTensor: the few values of an array that are there, and where."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["SparseTensor"]


class SparseTensor(NamedTuple):
    """What a VarLenFeature parses to; a named tuple, so it nests in elements like any other.

    `indices` is int64 [values, rank] in row-major order, `values` has one entry a row of it, `dense_shape` is
    int64 [rank].

    >>> SparseTensor(np.array([[0, 1]]), np.array([7]), np.array([2, 3])).to_dense().tolist()
    [[0, 7, 0], [0, 0, 0]]
    """

    indices: npt.NDArray[np.int64]
    values: npt.NDArray[Any]
    dense_shape: npt.NDArray[np.int64]

    def to_dense(self, default_value: Any = None) -> npt.NDArray[Any]:
        """The whole array; what is not there is `default_value` (0, or b"" for bytes)."""
        empty = b"" if self.values.dtype == object else 0
        whole = np.full(self.dense_shape, empty if default_value is None else default_value, self.values.dtype)
        whole[tuple(self.indices.T)] = self.values
        return whole
