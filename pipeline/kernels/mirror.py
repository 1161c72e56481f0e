"""Rows of pixels, mirrored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compile import inline, kernel

__all__ = ["mirror_rows"]


@inline
def _mirror(row: NDArray[np.uint8], out: NDArray[np.uint8], width: int, step: int) -> None:
    for x in range(width):
        at, to = (width - 1 - x) * step, x * step
        for i in range(step):
            out[to + i] = row[at + i]


@kernel
def mirror_rows(image: NDArray[np.uint8], step: int, out: NDArray[np.uint8]) -> None:
    """`out` is bytes [height, width * step] with the pixels, of `step` bytes each, of every row in reverse order."""
    width = image.shape[1] // step
    for y in range(image.shape[0]):
        if step == 3:  # so that the compiler knows it
            _mirror(image[y], out[y], width, 3)
        else:
            _mirror(image[y], out[y], width, step)
