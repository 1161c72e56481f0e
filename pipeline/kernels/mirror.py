"""Rows of pixels, mirrored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compile import inline, kernel
from .lanes import PIXELS, mirror_pixels

__all__ = ["mirror_rows"]


@inline
def _mirror(row: NDArray[np.uint8], out: NDArray[np.uint8], width: int, step: int, done: int) -> None:
    """All pixels but those that are `done`."""
    for x in range(done, width):
        at, to = (width - 1 - x) * step, x * step
        for i in range(step):
            out[to + i] = row[at + i]


@kernel
def mirror_rows(image: NDArray[np.uint8], step: int, out: NDArray[np.uint8]) -> None:
    """`out` is bytes [height, width * step] with the pixels, of `step` bytes each, of every row in reverse order."""
    width = image.shape[1] // step
    whole = width // PIXELS * PIXELS if step == 3 else 0
    flat, mirrored = image.reshape(-1), out.reshape(-1)
    for y in range(image.shape[0]):
        begin = y * image.shape[1]
        for x in range(0, whole, PIXELS):
            mirror_pixels(flat, begin + (width - x - PIXELS) * 3, mirrored, begin + x * 3)
        _mirror(image[y], out[y], width, step, whole)
