"""A view: which rows of a leaf in memory come, and in what order; no data moves for it.

Its stages stand from the leaf up, as plain numbers, so that they travel in a message:
`(start, step, count)` picks rows at even distances, `(key, count)` is a permutation of all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .kernels.permute import permute
from .kernels.shuffle import draw

__all__ = ["View", "positions_of", "rows_of"]

View: TypeAlias = tuple[tuple[int, ...], ...]
_Numbers: TypeAlias = npt.NDArray[np.int64]

#: Permutations up to so many are kept as tables: drawn as a shuffle's window draws, each order is as likely as another.
TABLE = 1 << 16


def rows_of(view: View, positions: _Numbers) -> _Numbers:
    """The leaf's rows that stand at these positions of the view.

    >>> rows_of(((10, 2, 5),), np.arange(3)).tolist()
    [10, 12, 14]
    """
    for stage in reversed(view):
        if len(stage) == 3:
            start, step, _ = stage
            positions = start + step * positions
        else:
            positions = _permuted(positions, stage, backwards=False)
    return positions


def positions_of(view: View, rows: _Numbers) -> _Numbers:
    """The reverse of `rows_of`; -1 for rows that the view leaves out.

    >>> positions_of(((10, 2, 5),), np.array([14, 15, 20])).tolist()
    [2, -1, -1]
    """
    for stage in view:
        if len(stage) == 3:
            start, step, count = stage
            found = (rows - start) // step
            inside = (rows >= 0) & (found * step + start == rows) & (found >= 0) & (found < count)
            rows = np.where(inside, found, -1)
        else:
            rows = _permuted(rows, stage, backwards=True)
    return rows


def _permuted(values: _Numbers, stage: tuple[int, ...], backwards: bool) -> _Numbers:
    key, count = stage
    if count <= TABLE:
        table = _table(key, count)[backwards]
        return np.where((values >= 0) & (values < count), table[np.clip(values, 0, max(0, count - 1))], -1)
    out = np.empty(len(values), np.int64)
    permute(np.ascontiguousarray(values, np.int64), np.uint64(key), count, backwards, out)
    return out


@lru_cache(maxsize=8)
def _table(key: int, count: int) -> tuple[_Numbers, _Numbers]:
    """A whole permutation and its inverse; one index more where there is none, so that there is a row to look at."""
    room = max(1, count)
    window, out = np.empty(room, np.int64), np.zeros(room, np.int64)
    draw(window, window.copy(), 0, room, np.arange(room, dtype=np.int64), 0, True, np.uint64(key), 0, out)
    back = np.empty(room, np.int64)
    back[out] = np.arange(room)
    return out, back
