"""n-grams: neighbouring words joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError
from ..ragged import RaggedTensor, splits_of_lengths
from .texts import Array, encoded

__all__ = ["ngrams"]


def ngrams(words: Any, width: int | Sequence[int], separator: bytes | str = b" ") -> Any:
    """Every `width` neighbouring words of a row, joined: an object array of `bytes`, of a RaggedTensor another.

    A row of n words has n - width + 1 of them, none where it is shorter. Of several widths those of the first come
    first in each row.

    >>> ngrams([b"to", b"be", b"or"], 2).tolist()
    [b'to be', b'be or']
    >>> ngrams(RaggedTensor.from_row_lengths(["a", "b", "c"], [2, 1]), [1, 2], "_").to_list()
    [[b'a', b'b', b'a_b'], [b'c']]

    Raises InvalidArgumentError: a width below 1, or what is no row of words.
    """
    widths = [width] if isinstance(width, int | np.integer) else list(width)
    if not widths or any(not isinstance(each, int | np.integer) or each < 1 for each in widths):
        raise InvalidArgumentError(f"width is {width!r}: it is a whole number from 1, or a list of such")
    between = encoded("separator", separator)
    if not isinstance(words, RaggedTensor):
        return _objects(_grams([encoded("ngrams", each) for each in _row(words)], widths, between))
    if isinstance(words.values, RaggedTensor):
        return RaggedTensor(ngrams(words.values, width, separator), words.row_splits)
    rows = [_grams([encoded("ngrams", each) for each in row], widths, between) for row in words.to_list()]
    splits = splits_of_lengths(np.array([*map(len, rows)], np.int64)).astype(words.row_splits.dtype)
    return RaggedTensor(_objects([gram for row in rows for gram in row]), splits)


def _row(words: Any) -> list[Any]:
    if isinstance(words, np.ndarray | list | tuple) and np.ndim(words) == 1:
        return list(words)
    raise InvalidArgumentError("ngrams takes a row of words, or a RaggedTensor of rows: split the text first")


def _grams(row: list[bytes], widths: list[int], between: bytes) -> list[bytes]:
    return [between.join(row[i : i + width]) for width in widths for i in range(len(row) - width + 1)]


def _objects(found: list[bytes]) -> Array:
    array = np.empty(len(found), object)
    array[:] = found
    return array
