"""Numbers of images brought to a common mean and spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InvalidArgumentError
from .pixels import checked_image

__all__ = ["normalize", "per_image_standardization"]


def normalize(image: NDArray[Any], mean: Sequence[float] | float, std: Sequence[float] | float) -> NDArray[np.float32]:
    """(image - mean) / std as float32, for an image [height, width, channels] or a batch of them.

    `mean` and `std` are one number, or one for each channel, in the units of the image: those of a uint8 image are
    between 0 and 255.

    Raises InvalidArgumentError: no image, numbers that are not finite or not as many as channels, a `std` not above 0.

    >>> normalize(np.array([[[0, 128, 255]]], np.uint8), mean=127.5, std=127.5).ravel().tolist()
    [-1.0, 0.0039..., 1.0]
    """
    image = checked_image(image)
    means, spreads = (_for_channels(name, each, image.shape[-1]) for name, each in (("mean", mean), ("std", std)))
    if spreads.min() <= 0:
        raise InvalidArgumentError(f"std={std!r} is not supported: numbers above 0")
    # By whole rows: NumPy takes a call for each pixel where it has only its channels to go through.
    rows = image.reshape(*image.shape[:-2], -1).astype(np.float32)
    rows -= np.tile(means.astype(np.float32), image.shape[-2])
    rows *= np.tile((1 / spreads).astype(np.float32), image.shape[-2])
    return rows.reshape(image.shape)


def per_image_standardization(image: NDArray[Any]) -> NDArray[np.float32]:
    """An image, or each of a batch, less its mean, divided by its standard deviation; float32.

    Of all numbers of an image [height, width, channels] together. The divisor is at least one by the root of their
    count, so that an image of one colour gives zeros.

    Raises InvalidArgumentError: no image.

    >>> per_image_standardization(np.array([[[0], [10]]], np.uint8)).ravel().tolist()
    [-1.0, 1.0]

    Meaning: that of tf.image.per_image_standardization.
    """
    image = checked_image(image).astype(np.float32)
    axes = (-3, -2, -1)
    mean = image.mean(axis=axes, keepdims=True, dtype=np.float64)
    least = 1 / np.sqrt(np.prod(image.shape[-3:]))
    spread = np.maximum(image.std(axis=axes, keepdims=True, dtype=np.float64), least)
    image -= mean.astype(np.float32)
    image /= spread.astype(np.float32)
    return image


def _for_channels(name: str, values: ArrayLike, channels: int) -> NDArray[np.float64]:
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"{name}={values!r} is not supported: numbers, one for each channel") from None
    if found.shape not in ((), (1,), (channels,)) or not np.isfinite(found).all():
        raise InvalidArgumentError(
            f"{name}={values!r} is not supported: one finite number, or one for each of the {channels} channels"
        )
    return np.broadcast_to(found, (channels,))
