"""Hue and saturation of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile import inline, kernel

__all__ = ["shift_colours"]


@inline
def _hue(red: Any, green: Any, blue: Any, top: Any, spread: Any) -> Any:
    """In sixths of the circle, from red on."""
    if spread == 0:
        return 0.0
    if red == top:
        return ((green - blue) / spread) % 6.0
    if green == top:
        return (blue - red) / spread + 2.0
    return (red - green) / spread + 4.0


@inline
def _share(hue: Any, begin: Any) -> Any:
    """How much of the spread a channel lacks whose full third of the circle begins there; 0.0 to 1.0."""
    at = (hue + begin) % 6.0
    return max(0.0, min(1.0, min(at, 4.0 - at)))


@kernel
def shift_colours(image: NDArray[np.float32], turn: float, factor: float, out: NDArray[np.float32]) -> None:
    """Pixels [n, 3] of red, green and blue: their hue turned by so much of the circle, their saturation multiplied.

    The saturation ends at 1.0. The brightest channel of a pixel stays as bright as it is.
    """
    for i in range(image.shape[0]):
        red, green, blue = np.float64(image[i, 0]), np.float64(image[i, 1]), np.float64(image[i, 2])
        top, low = max(red, green, blue), min(red, green, blue)
        hue = (_hue(red, green, blue, top, top - low) + 6.0 * turn) % 6.0
        saturation = min(1.0, max(0.0, factor * ((top - low) / top))) if top != 0 else 0.0
        spread = top * saturation
        for c in range(3):
            out[i, c] = np.float32(top - spread * _share(hue, 5.0 - 2.0 * c))
