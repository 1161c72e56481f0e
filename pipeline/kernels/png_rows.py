"""Filters of PNG rows, undone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile import inline, kernel

__all__ = ["undo_png_filters"]

_NONE, _SUB, _UP, _AVERAGE, _PAETH = 0, 1, 2, 3, 4


@inline
def _paeth(left: Any, up: Any, corner: Any) -> Any:
    guess = left + up - corner
    by_left, by_up, by_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    if by_left <= by_up and by_left <= by_corner:
        return left
    return up if by_up <= by_corner else corner


@inline
def _undo_row(kind: Any, row: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> None:
    """One row in place; `step` is the bytes of a pixel."""
    for i in range(row.shape[0]):
        left = np.int64(row[i - step]) if i >= step else 0
        corner = np.int64(above[i - step]) if i >= step else 0
        up = np.int64(above[i])
        if kind == _SUB:
            row[i] = (np.int64(row[i]) + left) & 0xFF
        elif kind == _UP:
            row[i] = (np.int64(row[i]) + up) & 0xFF
        elif kind == _AVERAGE:
            row[i] = (np.int64(row[i]) + (left + up) // 2) & 0xFF
        else:
            row[i] = (np.int64(row[i]) + _paeth(left, up, corner)) & 0xFF


@kernel
def undo_png_filters(rows: NDArray[np.uint8], step: int) -> int:
    """Undo the filters of uint8 [height, 1 + bytes of a row] in place; -1, or the first row whose filter is unknown.

    PNG specification, third edition, section 9.
    """
    above = np.zeros(rows.shape[1] - 1, np.uint8)
    for y in range(rows.shape[0]):
        kind = np.int64(rows[y, 0])
        if kind > _PAETH:
            return y
        row = rows[y, 1:]
        if kind != _NONE:
            _undo_row(kind, row, above, step)
        above = row
    return -1
