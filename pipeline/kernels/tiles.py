"""Resampling of bytes with few taps: sixteen rows at a time, in words of 16 bits.

The rows of a tile are weighed first, 64 neighbouring bytes at once; turned, so that the sixteen lie side by side;
weighed along their length, all sixteen at once; and turned back. All passes read memory in order and fill registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile import kernel, leaf
from .lanes import LINES, RUN, transpose, weigh_bytes, weigh_words
from .resample import to_fixed_point

__all__ = ["fits_tiles", "resample_tiles", "to_words"]

#: Beyond so many taps what each product loses adds up to more than a thirtieth of a level.
_TAPS = 6


def fits_tiles(row_bytes: int, row_taps: int, column_taps: int, height: int, out_bytes: int) -> bool:
    """Whether `resample_tiles` can make `height` rows of `out_bytes` from rows of `row_bytes`."""
    return row_bytes >= RUN and out_bytes >= LINES and height >= LINES and max(row_taps, column_taps) <= _TAPS


def to_words(weights: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Weights in units of a 65536th; a whole one is short of that by one."""
    return np.minimum(to_fixed_point(weights, 16), 65535).astype(np.uint16)


@leaf
def _weighed_row(image: Any, begin: Any, size: Any, weights: Any, first: Any, taps: Any, lines: Any, to: Any) -> None:
    for start in range(0, size, RUN):
        at = min(start, size - RUN)
        weigh_bytes(image, begin + at, size, weights, first, taps, lines, to + at)


@leaf
def _turned_rows(image: Any, size: Any, rows: Any, y: Any, weights: Any, taps: Any, lines: Any, turned: Any) -> None:
    """The sums of rows y to y + 15, as [size, 16]."""
    for line in range(LINES):
        begin, first, to = rows[y + line] * size, (y + line) * taps, line * size
        if taps == 4:  # so that the compiler knows the most common numbers
            _weighed_row(image, begin, size, weights, first, 4, lines, to)
        elif taps == 2:
            _weighed_row(image, begin, size, weights, first, 2, lines, to)
        else:
            _weighed_row(image, begin, size, weights, first, taps, lines, to)
    for start in range(0, size, LINES):
        at = min(start, size - LINES)
        transpose(lines, at, size, turned, at * LINES, LINES)


@leaf
def _weigh_columns(
    turned: Any, places: Any, step: Any, firsts: Any, weights: Any, taps: Any, at: Any, tile: Any
) -> None:
    for i in range(LINES):
        weigh_words(turned, places[at + i], step, weights, firsts[at + i], taps, tile, i * LINES)


@leaf
def _finished_rows(
    turned: Any, places: Any, step: Any, firsts: Any, weights: Any, taps: Any, tile: Any, out: Any, y: Any
) -> None:
    size = places.shape[0]
    for start in range(0, size, LINES):
        at = min(start, size - LINES)
        if taps == 5:
            _weigh_columns(turned, places, step, firsts, weights, 5, at, tile)
        elif taps == 4:
            _weigh_columns(turned, places, step, firsts, weights, 4, at, tile)
        elif taps == 2:
            _weigh_columns(turned, places, step, firsts, weights, 2, at, tile)
        else:
            _weigh_columns(turned, places, step, firsts, weights, taps, at, tile)
        transpose(tile, 0, LINES, out, y * size + at, size)


@kernel
def resample_tiles(
    image: NDArray[np.uint8],
    channels: int,
    rows: NDArray[np.int64],
    row_weights: NDArray[np.uint16],
    columns: NDArray[np.int64],
    column_weights: NDArray[np.uint16],
    out: NDArray[np.uint8],
) -> None:
    """As `resample_bytes`, with the weights of `to_words`, where `fits_tiles`; within a 30th of a level of the sums."""
    row_size, size, taps = image.shape[1], out.shape[1], column_weights.shape[1]
    lines, turned = np.empty(LINES * row_size, np.uint16), np.empty(row_size * LINES, np.uint16)
    tile = np.empty(LINES * LINES, np.uint8)
    places, firsts = np.empty(size, np.int64), np.empty(size, np.int64)
    for i in range(size):
        x = i // channels
        places[i], firsts[i] = (columns[x] * channels + i % channels) * LINES, x * taps
    pixels, made = image.reshape(-1), out.reshape(-1)
    for start in range(0, out.shape[0], LINES):
        y = min(start, out.shape[0] - LINES)  # the last tile and the last run overlap those before
        _turned_rows(pixels, row_size, rows, y, row_weights.reshape(-1), row_weights.shape[1], lines, turned)
        _finished_rows(turned, places, channels * LINES, firsts, column_weights.reshape(-1), taps, tile, made, y)
