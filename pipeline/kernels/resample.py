"""Resampling: tables of taps for each method, and the passes over rows and columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile import inline, kernel
from .lanes import weigh_four

__all__ = [
    "COLUMN_BITS",
    "CUBIC",
    "LANCZOS",
    "ROW_BITS",
    "TRIANGLE",
    "area_taps",
    "filter_taps",
    "gather_pixels",
    "nearest_taps",
    "resample_bytes",
    "resample_floats",
    "to_fixed_point",
]

# Fixed point for bytes. A sum over rows keeps 4 bits below the point (8 + 22 - 18 = 12 bits); a sum over columns of
# these has 12 + 19 = 31 bits at most, so int32 holds both, and no weight is off by more than 2**-20.
ROW_BITS, COLUMN_BITS = 22, 19
_DROPPED = np.int32(18)
_HALF = np.int32(1 << 17)
_COLUMN_HALF = np.int32(1 << 22)
_COLUMN_DROPPED = np.int32(23)

#: Filters by how far they reach, in source pixels: linear, Keys' cubic (a = -1/2), Lanczos' sinc of three lobes.
TRIANGLE, CUBIC, LANCZOS = 1, 2, 3


@inline
def _weight_at(reach: int, distance: float) -> float:
    """What a source so far away weighs, before all weights are made to sum to 1."""
    x = abs(distance)
    if x >= reach:
        return 0.0
    if reach == TRIANGLE:
        return 1.0 - x
    if reach == CUBIC:
        return (1.5 * x - 2.5) * x * x + 1.0 if x < 1.0 else ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return 1.0 if x < 1e-6 else 3.0 * math.sin(math.pi * x) * math.sin(math.pi * x / 3.0) / (math.pi * x) ** 2


@kernel
def filter_taps(
    size_in: int, size_out: int, filter_reach: int, antialias: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each of `size_out` samples its first source index and the weights of the sources from there.

    int64 [size_out], float64 [size_out, taps]; each row of weights sums to 1, and first + taps <= size_in. A filter
    (TRIANGLE, CUBIC, LANCZOS) around half-pixel centres, as wide as the scale with `antialias`. Scalar arithmetic in a
    fixed order, so the same on every machine.
    """
    # TensorFlow has its centres in float32; the same ones here give its numbers, not just numbers near them.
    scale = np.float32(size_in) / np.float32(size_out)
    if antialias:
        scale = np.float32(1) / (np.float32(size_out) / np.float32(size_in))
    stretch = np.float64(max(np.float32(1), scale)) if antialias else np.float64(1)
    reach = stretch * filter_reach
    first = np.zeros(size_out, np.int64)
    weights = np.zeros((size_out, np.int64(np.ceil(2 * reach)) + 1), np.float64)
    widest = 1
    for i in range(size_out):
        # Centres of source pixels, j + 0.5, that are nearer than `reach`.
        centre = np.float64((np.float32(i) + np.float32(0.5)) * scale)
        if filter_reach == CUBIC and not antialias:  # TensorFlow has a table of 1,024 places between two pixels
            centre = np.round((centre - 0.5) * 1024) / 1024 + 0.5
        low = max(0, int(np.floor(centre - reach - 0.5)) + 1)
        high = min(size_in, int(np.ceil(centre + reach - 0.5)))
        total = 0.0
        for j in range(low, high):
            weights[i, j - low] = _weight_at(filter_reach, (j + 0.5 - centre) / stretch)
            total += weights[i, j - low]
        weights[i] /= total
        first[i] = low
        widest = max(widest, high - low)
    _pull_inside(first, weights, size_in, widest)
    return first, weights[:, :widest].copy()


@kernel
def area_taps(size_in: int, size_out: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """As `filter_taps`, where a source pixel weighs as much of it as lies under the sample.

    In units of 1 / size_out of a source pixel all edges are whole numbers, so that every overlap is exact.
    """
    first = np.zeros(size_out, np.int64)
    weights = np.zeros((size_out, (size_in - 1) // size_out + 2), np.float64)
    widest = 1
    for i in range(size_out):
        low, high = i * size_in, (i + 1) * size_in
        first[i] = low // size_out
        taps = (high - 1) // size_out + 1 - first[i]
        for k in range(taps):
            left, right = (first[i] + k) * size_out, (first[i] + k + 1) * size_out
            weights[i, k] = (min(high, right) - max(low, left)) / size_in
        widest = max(widest, taps)
    _pull_inside(first, weights, size_in, widest)
    return first, weights[:, :widest].copy()


@kernel
def nearest_taps(size_in: int, size_out: int) -> NDArray[np.int64]:
    """For each of `size_out` samples the source pixel in which its centre lies, int64 [size_out], below size_in."""
    scale = np.float32(size_in) / np.float32(size_out)  # in float32, as TensorFlow: where it rounds, so do we
    indices = np.empty(size_out, np.int64)
    for i in range(size_out):
        indices[i] = min(size_in - 1, int(np.floor((np.float32(i) + np.float32(0.5)) * scale)))
    return indices


@inline
def _pull_inside(first: NDArray[np.int64], weights: NDArray[np.float64], size_in: int, taps: int) -> None:
    """Move the taps near the end so that none lies outside, not even one of weight 0."""
    for i in range(first.shape[0]):
        excess = first[i] + taps - size_in
        if excess > 0:
            first[i] -= excess
            for k in range(taps - 1, -1, -1):
                weights[i, k] = weights[i, k - excess] if k >= excess else 0.0


@kernel
def to_fixed_point(weights: NDArray[np.float64], bits: int) -> NDArray[np.int32]:
    """Weights as int32 with `bits` below the point, none below 0; each row sums to exactly 1."""
    fixed = np.empty(weights.shape, np.int32)
    one = np.int64(1) << bits
    for i in range(weights.shape[0]):
        # The sums are rounded, not the weights: thousands of small weights would all be off in the same direction.
        total, before = 0.0, np.int64(0)
        for k in range(weights.shape[1]):
            total += weights[i, k]
            upto = min(one, np.int64(np.floor(total * one + 0.5))) if k < weights.shape[1] - 1 else one
            fixed[i, k] = np.int32(upto - before)
            before = upto
    return fixed


@inline
def _sum_rows(image: Any, first: int, weights: NDArray[np.int32], row: NDArray[np.int32]) -> None:
    """The weighted sum of some rows of bytes, with 4 bits below the point."""
    size, taps = image.shape[1], weights.shape[0]
    for i in range(size):
        row[i] = _HALF
    for k in range(taps):
        source, weight = image[first + k], weights[k]
        for i in range(size):
            row[i] += np.int32(source[i]) * weight
    for i in range(size):
        row[i] >>= _DROPPED


@inline
def _weigh(row: NDArray[np.int32], at: int, step: int, weights: NDArray[np.int32]) -> Any:
    total = _COLUMN_HALF
    for k in range(weights.shape[0]):
        total += row[at + k * step] * weights[k]
    return np.uint8(total >> _COLUMN_DROPPED)


@kernel
def resample_bytes(
    image: NDArray[np.uint8],
    channels: int,
    rows: NDArray[np.int64],
    row_weights: NDArray[np.int32],
    columns: NDArray[np.int64],
    column_weights: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> None:
    """Resample uint8 [height, width * channels] into `out`, rounded to nearest.

    The tables are those of `filter_taps` for this size, in fixed point (ROW_BITS, COLUMN_BITS).
    """
    height, width, taps = out.shape[0], columns.shape[0], column_weights.shape[1]
    row = np.zeros(image.shape[1] + 4, np.int32)
    flat, flat_weights = out.reshape(-1), column_weights.reshape(-1)
    # Four lanes carry a pixel of 3 channels and one byte more, which the next pixel overwrites; the last has no next.
    in_lanes = width if channels == 4 else width - 1 if channels == 3 else 0
    for y in range(height):
        _sum_rows(image, rows[y], row_weights[y], row)
        start = y * width * channels
        for x in range(in_lanes):
            at, to = columns[x] * channels, start + x * channels
            weigh_four(row, at, channels, flat_weights, x * taps, taps, flat, to)
        for x in range(in_lanes, width):
            for c in range(channels):
                flat[start + x * channels + c] = _weigh(row, columns[x] * channels + c, channels, column_weights[x])


@kernel
def resample_floats(
    image: Any,
    channels: int,
    rows: NDArray[np.int64],
    row_weights: NDArray[np.float32],
    columns: NDArray[np.int64],
    column_weights: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Resample any numbers [height, width * channels] into float32 `out`; a weight of 0 touches no pixel (0 * inf)."""
    row = np.empty(image.shape[1], np.float32)
    for y in range(out.shape[0]):
        row[:] = 0
        for k in range(row_weights.shape[1]):
            weight = row_weights[y, k]
            if weight != 0:
                source = image[rows[y] + k]
                for i in range(row.shape[0]):
                    row[i] += weight * np.float32(source[i])
        for x in range(columns.shape[0]):
            for c in range(channels):
                total = np.float32(0)
                for k in range(column_weights.shape[1]):
                    weight = column_weights[x, k]
                    if weight != 0:
                        total += weight * row[(columns[x] + k) * channels + c]
                out[y, x * channels + c] = total


@inline
def _gather_row(row: Any, columns: NDArray[np.int64], step: int, out: Any) -> None:
    for x in range(columns.shape[0]):
        at, to = columns[x] * step, x * step
        for i in range(step):
            out[to + i] = row[at + i]


@kernel
def gather_pixels(
    image: NDArray[np.uint8],
    step: int,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """`out` is bytes [rows, columns * step]: the pixels of `image`, of `step` bytes each, at these rows and columns."""
    for y in range(rows.shape[0]):
        if step == 3:  # so that the compiler knows it
            _gather_row(image[rows[y]], columns, 3, out[y])
        else:
            _gather_row(image[rows[y]], columns, step, out[y])
