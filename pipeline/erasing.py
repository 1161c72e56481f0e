"""Parts of images made one colour."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgumentError
from .pixels import checked_image

__all__ = ["cutout", "random_cutout"]


def cutout(
    image: NDArray[Any], mask_size: int | Sequence[int], offset: Sequence[int] = (0, 0), constant_values: float = 0
) -> NDArray[Any]:
    """A copy of an image [height, width, channels], or of each of a batch, of which a rectangle is one colour.

    `mask_size` is (height, width) of the rectangle, or one number for both; `offset` the row and column of its middle.
    What of it lies outside the image is left out. Same dtype.

    Raises InvalidArgumentError: no image, or lengths that are not whole numbers, those of the mask 0 or more.

    >>> cutout(np.ones((3, 4, 1), int), (2, 2), offset=(1, 1))[:, :, 0].tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]]

    Meaning: that of tfa.image.cutout (TensorFlow Addons). Source: DeVries and Taylor, 2017.
    """
    image = checked_image(image)
    spans = [_span(*each) for each in zip(_two("mask_size", mask_size), _two("offset", offset), strict=True)]
    out = np.array(image, order="C")
    out[..., spans[0], spans[1], :] = constant_values
    return out


def random_cutout(
    image: NDArray[Any], mask_size: int | Sequence[int], rng: np.random.Generator, constant_values: float = 0
) -> NDArray[Any]:
    """`cutout` around any pixel, each as likely; each image of a batch around its own.

    Takes one `rng.integers` of two numbers for each image.

    >>> random_cutout(np.ones((2, 4, 1), int), 1, np.random.default_rng(1))[:, :, 0].tolist()
    [[1, 1, 0, 1], [1, 1, 1, 1]]

    Meaning: that of tfa.image.random_cutout.
    """
    image = checked_image(image)
    if image.ndim == 4:
        each = [random_cutout(one, mask_size, rng, constant_values) for one in image]
        return np.stack(each) if each else image.copy()
    return cutout(image, mask_size, rng.integers(0, image.shape[:2]).tolist(), constant_values)


def _span(length: int, middle: int) -> slice:
    first = middle - length // 2
    return slice(max(0, first), max(0, first + length))


def _two(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    try:
        down, right = (value, value) if isinstance(value, int) else value
        found = operator.index(down), operator.index(right)
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"{name}={value!r} is not two whole numbers of pixels") from None
    if name == "mask_size" and min(found) < 0:
        raise InvalidArgumentError(f"mask_size={value!r} is below 0")
    return found
