"""Images turned by any angle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile import inline, kernel

__all__ = ["rotate_bilinear", "rotate_nearest"]


@inline
def _clamped(at: int, size: int) -> int:
    return max(0, min(size - 1, at))


@kernel
def rotate_nearest(image: Any, cosine: float, sine: float, out: Any) -> None:
    """`out`, filled before, gets of `image` [height, width, channels] what lies where each centre comes from."""
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            across, down = x + 0.5 - width / 2, y + 0.5 - height / 2
            left, top = cosine * across - sine * down + width / 2, sine * across + cosine * down + height / 2
            if 0 <= left < width and 0 <= top < height:
                for c in range(channels):
                    out[y, x, c] = image[int(top), int(left), c]


@kernel
def rotate_bilinear(image: Any, cosine: float, sine: float, out: NDArray[np.float32]) -> None:
    """As `rotate_nearest`, the four nearest pixels weighed; float32. Those beyond an edge are those at the edge."""
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            across, down = x + 0.5 - width / 2, y + 0.5 - height / 2
            left, top = cosine * across - sine * down + width / 2, sine * across + cosine * down + height / 2
            if 0 <= left < width and 0 <= top < height:
                column, row = int(np.floor(left - 0.5)), int(np.floor(top - 0.5))
                right, below = left - 0.5 - column, top - 0.5 - row
                x0, x1 = _clamped(column, width), _clamped(column + 1, width)
                y0, y1 = _clamped(row, height), _clamped(row + 1, height)
                for c in range(channels):
                    upper = image[y0, x0, c] * (1 - right) + image[y0, x1, c] * right
                    lower = image[y1, x0, c] * (1 - right) + image[y1, x1, c] * right
                    out[y, x, c] = upper * (1 - below) + lower * below
