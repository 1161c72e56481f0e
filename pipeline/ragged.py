"""RaggedTensor: rows of unequal lengths, as their values one behind the other and where each row begins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError

__all__ = ["RaggedTensor", "splits_of_lengths"]

Array = npt.NDArray[Any]


class RaggedTensor(NamedTuple):
    """What a RaggedFeature parses to and `ragged_batch` makes; a named tuple, so it nests in elements like any other.

    Row i is values[row_splits[i]:row_splits[i + 1]]. `values` is an array [values, ...], or a RaggedTensor where rows
    hold rows; `row_splits` is int32 or int64 [rows + 1], begins with 0, never falls, and ends with the number of
    values.

    >>> RaggedTensor(np.array([5, 6, 7]), np.array([0, 2, 2, 3])).to_list()
    [[5, 6], [], [7]]
    """

    values: Any  #: An array, or a RaggedTensor: an annotation that named both would be circular for type checkers.
    row_splits: npt.NDArray[Any]

    @staticmethod
    def from_row_splits(values: Any, row_splits: Array | Sequence[int]) -> RaggedTensor:
        """Rows between given places. Splits that are no int32 become int64.

        >>> RaggedTensor.from_row_splits([5, 6, 7], [0, 1, 3]).to_list()
        [[5], [6, 7]]

        Raises InvalidArgumentError: splits that do not begin with 0, that fall, or that do not end with the values.
        """
        values, splits = _values(values), _numbers("row_splits", row_splits)
        if not len(splits) or splits[0] != 0 or (splits[1:] < splits[:-1]).any() or splits[-1] != _count(values):
            raise InvalidArgumentError(
                f"row_splits must begin with 0, never fall, and end with the number of values, {_count(values)}: "
                f"they are {splits}"
            )
        return RaggedTensor(values, splits)

    @staticmethod
    def from_row_lengths(values: Any, row_lengths: Array | Sequence[int]) -> RaggedTensor:
        """Rows of given lengths. Lengths that are no int32 give int64 splits.

        >>> RaggedTensor.from_row_lengths([5, 6, 7], [1, 0, 2]).row_splits.tolist()
        [0, 1, 1, 3]

        Raises InvalidArgumentError: a length below 0, or lengths that are not as many together as the values.
        """
        values, lengths = _values(values), _numbers("row_lengths", row_lengths)
        splits = splits_of_lengths(lengths)
        if (lengths < 0).any() or splits[-1] != _count(values):
            raise InvalidArgumentError(
                f"row_lengths must not be below 0 and must add up to the number of values, {_count(values)}: "
                f"they are {lengths}"
            )
        return RaggedTensor(values, splits.astype(lengths.dtype))

    def nrows(self) -> int:
        """How many rows there are."""
        return len(self.row_splits) - 1

    def row_lengths(self) -> Array:
        """The length of each row, in the dtype of `row_splits`."""
        lengths: Array = np.diff(self.row_splits)
        return lengths

    def bounding_shape(self) -> npt.NDArray[np.int64]:
        """The shape of the smallest array that holds every row, int64 [rank].

        >>> RaggedTensor(np.zeros((3, 2)), np.array([0, 2, 3])).bounding_shape().tolist()
        [2, 2, 2]
        """
        longest = int(self.row_lengths().max(initial=0))
        inner = self.values.bounding_shape()[1:] if isinstance(self.values, RaggedTensor) else self.values.shape[1:]
        return np.array([self.nrows(), longest, *inner], np.int64)

    def to_list(self) -> list[Any]:
        """Nested lists of Python numbers or `bytes`."""
        values = self.values.to_list() if isinstance(self.values, RaggedTensor) else self.values.tolist()
        splits = self.row_splits.tolist()
        return [values[low:high] for low, high in pairwise(splits)]

    def to_tensor(self, default_value: Any = None, shape: Sequence[int | None] | None = None) -> Array:
        """One array with every row filled up at its end by `default_value` (0, or b"" for bytes).

        `shape` is that of the result, None where it is to be as large as it must; rows that are longer are cut.

        >>> RaggedTensor(np.array([5, 6, 7]), np.array([0, 2, 2, 3])).to_tensor(-1).tolist()
        [[5, 6], [-1, -1], [7, -1]]
        >>> RaggedTensor(np.array([5, 6, 7]), np.array([0, 2, 3])).to_tensor(shape=[None, 1]).tolist()
        [[5], [7]]

        Raises InvalidArgumentError: a shape of another rank, or of another length where all rows are alike.
        """
        bounds = self.bounding_shape().tolist()
        if shape is not None and len(shape) != len(bounds):
            raise InvalidArgumentError(
                f"shape is {list(shape)}, the rows are of rank {len(bounds)}: give a length each"
            )
        wanted = bounds if shape is None else shape
        sizes = [have if want in (None, -1) else want for have, want in zip(bounds, wanted, strict=True)]
        return self._filled(default_value, sizes)

    def _filled(self, default: Any, shape: list[int]) -> Array:
        values = self.values
        if isinstance(values, RaggedTensor):
            values = values._filled(default, [values.nrows(), *shape[2:]])
        if list(values.shape[1:]) != shape[2:]:
            raise InvalidArgumentError(f"shape ends with {shape[2:]}, the values have {list(values.shape[1:])}")
        empty = b"" if values.dtype == object else 0
        whole = np.full(shape, empty if default is None else default, values.dtype)
        lengths = self.row_lengths()
        kept = lengths[: shape[0]]
        if (kept > shape[1]).any() or shape[0] < len(lengths):
            places = np.arange(len(values)) - np.repeat(self.row_splits[:-1], lengths)
            values = values[(places < shape[1]) & (np.repeat(np.arange(len(lengths)), lengths) < shape[0])]
        whole[: len(kept)][np.arange(shape[1]) < kept[:, None]] = values
        return whole


def splits_of_lengths(lengths: Array) -> npt.NDArray[np.int64]:
    """Where rows of these lengths begin and the last one ends, int64 [rows + 1].

    >>> splits_of_lengths(np.array([2, 0, 1])).tolist()
    [0, 2, 2, 3]
    """
    splits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=splits[1:])
    return splits


def _values(values: Any) -> Any:
    if isinstance(values, RaggedTensor):
        return values
    array = np.asarray(values)
    if array.dtype.kind in "SU":  # NumPy cuts zero bytes at the end of such strings
        array = np.array([each.encode() if isinstance(each, str) else each for each in values], object)
    if array.ndim:
        return array
    raise InvalidArgumentError(f"values is {values!r}: give an array of rank 1 or more, or a RaggedTensor")


def _count(values: Any) -> int:
    return values.nrows() if isinstance(values, RaggedTensor) else len(values)


def _numbers(what: str, given: Array | Sequence[int]) -> Array:
    array = np.asarray(given)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InvalidArgumentError(f"{what} must be integers, one behind the other, not {given!r}")
    return array if array.dtype == np.int32 else array.astype(np.int64)
