"""Packing: sequences of any length one behind the other, cut into rows of one length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgumentError

if TYPE_CHECKING:
    from ..dataset import Dataset

__all__ = ["pack"]

Array = npt.NDArray[Any]


def pack(
    length: int, end: int | None = None, drop_remainder: bool = False, pad_value: int | None = None
) -> Callable[[Dataset], Dataset]:
    """For `Dataset.apply`: sequences of numbers, one behind the other, cut into rows of `length`.

    `end` is put behind each sequence before. The last row is shorter, unless `drop_remainder` leaves it out or
    `pad_value` fills it up. It is `map` and `rebatch`, so that it runs anywhere and goes on at any row.

    >>> from headrace import Dataset
    >>> rows = Dataset.from_tensor_slices([1, 2, 3]).map(lambda n: np.full(n, n))
    >>> [row.tolist() for row in rows.apply(pack(4, end=0, pad_value=-1))]
    [[1, 0, 2, 2], [0, 3, 3, 3], [0, -1, -1, -1]]

    Raises InvalidArgumentError: a length below 1.
    """
    if not isinstance(length, int | np.integer) or length < 1:
        raise InvalidArgumentError(f"length is {length!r}: it is a whole number from 1")
    if drop_remainder and pad_value is not None:
        raise InvalidArgumentError("the last row is either dropped (drop_remainder) or filled up (pad_value)")

    def packed(dataset: Dataset) -> Dataset:
        ended = dataset if end is None else dataset.map(_Ended(end))
        rows = ended.rebatch(length, drop_remainder)
        return rows if pad_value is None else rows.map(_Padded(int(length), pad_value))

    return packed


@dataclass(frozen=True)
class _Ended:
    """Puts a number behind a sequence."""

    end: int

    def __call__(self, sequence: Array) -> Array:
        if np.ndim(sequence) != 1:
            raise InvalidArgumentError(f"pack takes sequences of numbers, not an array of shape {np.shape(sequence)}")
        return np.append(sequence, np.asarray(self.end, sequence.dtype))


@dataclass(frozen=True)
class _Padded:
    """Fills a row up to a length."""

    length: int
    value: int

    def __call__(self, row: Array) -> Array:
        return np.append(row, np.full(self.length - len(row), self.value, row.dtype)) if len(row) < self.length else row
