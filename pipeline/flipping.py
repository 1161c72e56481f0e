"""Images mirrored and turned by quarters."""

from __future__ import annotations

import operator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgumentError
from .kernels.mirror import mirror_rows

__all__ = ["flip_left_right", "flip_up_down", "random_flip_left_right", "random_flip_up_down", "rot90"]

Number = TypeVar("Number", bound=np.generic)


def flip_left_right(image: NDArray[Number]) -> NDArray[Number]:
    """An image [height, width, channels], or each of a batch of them, mirrored left to right; a contiguous copy.

    Raises InvalidArgumentError: another number of dimensions.

    >>> flip_left_right(np.arange(6).reshape(2, 3, 1))[:, :, 0].tolist()
    [[2, 1, 0], [5, 4, 3]]

    Meaning: that of tf.image.flip_left_right.
    """
    image = _checked(image)
    if image.size == 0 or image.dtype.hasobject or not image.flags.c_contiguous:
        return np.array(image[..., ::-1, :], order="C")
    flipped = np.empty_like(image)
    # NumPy copies a mirrored image byte by byte; by pixels it takes a fifth of the time.
    pixel = image.shape[-1] * image.itemsize
    rows = (each.reshape(-1, image.shape[-2] * image.shape[-1]).view(np.uint8) for each in (image, flipped))
    mirror_rows(next(rows), pixel, next(rows))
    return flipped


def flip_up_down(image: NDArray[Number]) -> NDArray[Number]:
    """As `flip_left_right`, upside down.

    >>> flip_up_down(np.arange(6).reshape(2, 3, 1))[:, :, 0].tolist()
    [[3, 4, 5], [0, 1, 2]]

    Meaning: that of tf.image.flip_up_down.
    """
    return np.array(_checked(image)[..., ::-1, :, :], order="C")


def random_flip_left_right(image: NDArray[Number], rng: np.random.Generator) -> NDArray[Number]:
    """An image [height, width, channels], mirrored left to right with probability one half; each of a batch on its own.

    Same dtype. Takes exactly one `rng.random()` for an image, `rng.random(n)` for a batch of n. The result is
    contiguous; it is `image` itself when nothing had to change.

    >>> image = np.arange(3).reshape(1, 3, 1)
    >>> [random_flip_left_right(image, np.random.default_rng(seed)).ravel().tolist() for seed in (0, 2)]
    [[0, 1, 2], [2, 1, 0]]

    Meaning: that of tf.image.random_flip_left_right.
    """
    image = _checked(image)
    if image.ndim == 3:
        return flip_left_right(image) if rng.random() < 0.5 else np.ascontiguousarray(image)
    return _some(image, rng, -2)


def random_flip_up_down(image: NDArray[Number], rng: np.random.Generator) -> NDArray[Number]:
    """As `random_flip_left_right`, upside down.

    >>> image = np.arange(3).reshape(3, 1, 1)
    >>> [random_flip_up_down(image, np.random.default_rng(seed)).ravel().tolist() for seed in (0, 2)]
    [[0, 1, 2], [2, 1, 0]]

    Meaning: that of tf.image.random_flip_up_down.
    """
    image = _checked(image)
    if image.ndim == 3:
        return flip_up_down(image) if rng.random() < 0.5 else np.ascontiguousarray(image)
    return _some(image, rng, -3)


def rot90(image: NDArray[Number], k: int = 1) -> NDArray[Number]:
    """An image [height, width, channels], or each of a batch, turned counter-clockwise `k` times by 90 degrees.

    Same dtype; a contiguous copy. `k` may be negative: clockwise.

    Raises InvalidArgumentError: another number of dimensions, or a `k` that is not a whole number.

    >>> rot90(np.arange(6).reshape(2, 3, 1))[:, :, 0].tolist()
    [[2, 5], [1, 4], [0, 3]]

    Meaning: that of tf.image.rot90.
    """
    try:
        turns = operator.index(k)
    except TypeError:
        raise InvalidArgumentError(f"k={k!r} is not a whole number of quarter turns") from None
    return np.array(np.rot90(_checked(image), turns, (-3, -2)), order="C")


def _checked(image: NDArray[Number]) -> NDArray[Number]:
    image = np.asarray(image)
    if image.ndim not in (3, 4):
        raise InvalidArgumentError(
            f"an image is [height, width, channels] and a batch [n, height, width, channels], got shape {image.shape}"
        )
    return image


def _some(batch: NDArray[Number], rng: np.random.Generator, axis: int) -> NDArray[Number]:
    """Those images mirrored along this axis for which a number below one half is drawn."""
    turns = rng.random(len(batch)) < 0.5
    if not turns.any():
        return np.ascontiguousarray(batch)
    flipped = np.array(batch, order="C")
    flipped[turns] = np.flip(batch[turns], axis)
    return flipped
