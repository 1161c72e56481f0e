"""Images as arrays: which arrays are images, and their numbers in another dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import InvalidArgumentError

__all__ = ["checked_colours", "checked_image", "convert_image_dtype", "number", "through_floats"]

Image = NDArray[Any]


def checked_image(image: Image) -> Image:
    """An array that is an image [height, width, channels] or a batch [n, height, width, channels], of real numbers."""
    image = np.asarray(image)
    if image.ndim not in (3, 4):
        raise InvalidArgumentError(
            f"an image is [height, width, channels] and a batch [n, height, width, channels], got shape {image.shape}"
        )
    if 0 in image.shape[-3:]:
        raise InvalidArgumentError(f"an image of shape {image.shape} has no pixels")
    if image.dtype.kind not in "buif":
        raise InvalidArgumentError(f"pixels of dtype {image.dtype} are no real numbers")
    return image


def checked_colours(image: Image) -> Image:
    """The same of 3 channels."""
    image = checked_image(image)
    if image.shape[-1] != 3:
        raise InvalidArgumentError(
            f"an image of shape {image.shape} has {image.shape[-1]} channels, not the 3 of RGB: "
            "grayscale_to_rgb(image) makes them of one"
        )
    return image


def number(name: str, value: float, low: float = -np.inf, high: float = np.inf) -> float:
    """An argument that is a finite number from `low` to `high`."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = np.nan
    if not (low <= found <= high and np.isfinite(found)):
        span = f"from {low:g} to {high:g}" if np.isfinite(high) else f"of {low:g} or more" if np.isfinite(low) else ""
        raise InvalidArgumentError(f"{name}={value!r} is not supported: give a finite number {span}".rstrip())
    return found


def convert_image_dtype(image: Image, dtype: DTypeLike, saturate: bool = False) -> Image:
    """The image in another dtype, so scaled that the largest number of an integer dtype is 1.0 as a float.

    Any shape. Integers to floats are divided by their largest number; floats to integers multiplied by it plus a half,
    and cut off, numbers outside put to the nearest end; between integers multiplied or divided by a power of two. There
    `saturate` puts numbers outside to the nearest end, which without it lose their upper bits. The same dtype gives
    `image` itself.

    Raises InvalidArgumentError: a dtype that is neither of integers nor of floats.

    >>> convert_image_dtype(np.array([0, 51, 255], np.uint8), np.float32).tolist()
    [0.0, 0.2..., 1.0]
    >>> convert_image_dtype(np.array([0.0, 0.2, 1.0]), np.uint8).tolist()
    [0, 51, 255]

    Meaning: that of tf.image.convert_image_dtype, but for floats outside, which TensorFlow leaves undefined.
    """
    image = np.asarray(image)
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        raise InvalidArgumentError(f"dtype={dtype!r} is no dtype") from None
    for each in (image.dtype, wanted):
        if each.kind not in "uif":
            raise InvalidArgumentError(f"an image of dtype {each} is not supported: integers or floats")
    if image.dtype == wanted:
        return image
    if wanted.kind == "f":
        if image.dtype.kind == "f":
            return image.astype(wanted)
        floats: Image = image.astype(wanted) * np.asarray(1 / np.iinfo(image.dtype).max, wanted)
        return floats
    return _from_floats(image, wanted) if image.dtype.kind == "f" else _between_integers(image, wanted, saturate)


def _from_floats(image: Image, wanted: np.dtype[Any]) -> Image:
    limits = np.iinfo(wanted)
    work = np.result_type(image.dtype, np.float32 if wanted.itemsize <= 2 else np.float64).type
    scaled: Image = np.array(image, work)
    scaled *= work(limits.max + 0.5)
    scaled[np.isnan(scaled)] = 0
    # The largest float below the end: of 64 bits the end itself is none.
    top = work(limits.max)
    top = np.nextafter(top, work(0)) if int(top) > limits.max else top
    np.clip(scaled, work(limits.min), top, out=scaled)
    return scaled.astype(wanted)


def _between_integers(image: Image, wanted: np.dtype[Any], saturate: bool) -> Image:
    there, here = np.iinfo(image.dtype).max, np.iinfo(wanted).max
    if there > here:
        image = image // image.dtype.type((there + 1) // (here + 1))
    if saturate:
        image = np.clip(image, max(np.iinfo(wanted).min, np.iinfo(image.dtype).min), min(here, there))
    image = image.astype(wanted)
    scaled: Image = image * np.asarray(max(1, (here + 1) // (there + 1)), wanted)
    return scaled


def through_floats(change: Callable[[Image], Image], image: Image) -> Image:
    """What `change` makes of the image as floats, in the image's own dtype; integers from 0.0 to 1.0, and back."""
    if image.dtype.kind == "f" and image.dtype.itemsize <= 4:
        return change(image).astype(image.dtype, copy=False)
    if image.dtype.kind == "b":
        raise InvalidArgumentError("an image of dtype bool has no colours to change: integers or floats")
    return convert_image_dtype(change(convert_image_dtype(image, np.float32)), image.dtype, saturate=True)
