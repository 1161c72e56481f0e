"""Hue and saturation of pixels."""

from __future__ import annotations

from typing import Any

from .compile import inline, kernel

__all__ = ["shift_colours"]


@inline
def _wrapped(hue: Any) -> Any:
    """Back to 0.0 up to 6.0, from no more than one circle off; the remainder of a division takes ten times as long."""
    return hue + 6.0 if hue < 0.0 else hue - 6.0 if hue >= 6.0 else hue


@inline
def _hue(red: Any, green: Any, blue: Any, top: Any, spread: Any) -> Any:
    """In sixths of the circle, from red on."""
    if spread == 0:
        return 0.0
    if red == top:
        return _wrapped((green - blue) / spread)
    if green == top:
        return (blue - red) / spread + 2.0
    return (red - green) / spread + 4.0


@inline
def _share(hue: Any, begin: Any) -> Any:
    """How much of the spread a channel lacks whose full third of the circle begins there; 0.0 to 1.0."""
    at = _wrapped(hue + begin)
    return max(0.0, min(1.0, min(at, 4.0 - at)))


@kernel
def shift_colours(image: Any, scale: float, turn: float, factor: float, out: Any, out_scale: float) -> None:
    """Pixels [n, 3] of red, green and blue: their hue turned by -1 to 1 circles, their saturation multiplied.

    The saturation ends at 1.0. The brightest channel of a pixel stays as bright as it is. Numbers are multiplied by
    `scale` and by `out_scale`, and cut off where `out` holds integers.
    """
    for i in range(image.shape[0]):
        red, green, blue = image[i, 0] * scale, image[i, 1] * scale, image[i, 2] * scale
        top, low = max(red, green, blue), min(red, green, blue)
        hue = _wrapped(_hue(red, green, blue, top, top - low) + 6.0 * turn)
        saturation = min(1.0, max(0.0, factor * ((top - low) / top))) if top != 0 else 0.0
        spread = top * saturation
        for c in range(3):
            out[i, c] = (top - spread * _share(hue, 5.0 - 2.0 * c)) * out_scale
