"""Images turned by any angle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgumentError
from .kernels.rotation import rotate_bilinear, rotate_nearest
from .pixels import checked_image, number

__all__ = ["random_rotation", "rotate"]


def rotate(image: NDArray[Any], degrees: float, interpolation: str = "bilinear", fill: float = 0) -> NDArray[Any]:
    """An image [height, width, channels], or each of a batch, turned counter-clockwise around its middle.

    Same shape and dtype. `interpolation` "bilinear", where integers are rounded, or "nearest". What comes from outside
    the image is `fill`.

    Raises InvalidArgumentError: no image, an angle that is no finite number, another interpolation, or a `fill` that is
    no number of the image's dtype.

    >>> rotate(np.array([[[1], [2]], [[3], [4]]], np.uint8), 90)[:, :, 0].tolist()
    [[2, 4], [1, 3]]
    """
    image = checked_image(image)
    angle = math.radians(number("degrees", degrees) % 360)
    # Rounded, so that quarter turns meet the centres of pixels, and all machines have the same numbers.
    cosine, sine = round(math.cos(angle), 12), round(math.sin(angle), 12)
    if image.itemsize > 8:
        raise InvalidArgumentError(f"pixels of dtype {image.dtype} cannot be turned: at most 64 bits")
    if interpolation not in ("bilinear", "nearest"):
        raise InvalidArgumentError(f'interpolation={interpolation!r} is not supported: "bilinear" or "nearest"')
    filled = np.full(image.shape, _fitting(fill, image.dtype), image.dtype)
    for source, target in zip(image, filled, strict=True) if image.ndim == 4 else ((image, filled),):
        if interpolation == "nearest":
            bits = f"u{image.itemsize}"
            rotate_nearest(np.ascontiguousarray(source).view(bits), cosine, sine, target.view(bits))
        else:
            _turn_smoothly(source, cosine, sine, target)
    return filled


def random_rotation(
    image: NDArray[Any],
    max_degrees: float,
    rng: np.random.Generator,
    interpolation: str = "bilinear",
    fill: float = 0,
) -> NDArray[Any]:
    """`rotate` by an angle from -max_degrees to max_degrees; takes one `rng.uniform`, for a batch too.

    >>> random_rotation(np.ones((9, 9, 1), np.float32), 20, np.random.default_rng(0))[4, 4, 0].item()
    1.0
    """
    most = number("max_degrees", max_degrees, 0)
    return rotate(image, rng.uniform(-most, most), interpolation, fill)


def _turn_smoothly(image: NDArray[Any], cosine: float, sine: float, target: NDArray[Any]) -> None:
    read = image if image.dtype in (np.uint8, np.float32) else image.astype(np.float32)
    turned = target.astype(np.float32)
    rotate_bilinear(np.ascontiguousarray(read), cosine, sine, turned)
    target[...] = turned if image.dtype.kind == "f" else np.rint(turned)


def _fitting(fill: float, dtype: np.dtype[Any]) -> Any:
    try:
        with np.errstate(invalid="ignore"):
            value = np.asarray(fill).astype(dtype)
    except (TypeError, ValueError):
        value = None
    if value is None or value.shape != () or (dtype.kind != "f" and value != fill):
        raise InvalidArgumentError(f"fill={fill!r} is not a number of dtype {dtype}")
    return value
