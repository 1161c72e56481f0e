"""Random changes to images."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .kernels.mirror import mirror_rows

__all__ = ["random_flip_left_right"]

Number = TypeVar("Number", bound=np.generic)


def random_flip_left_right(image: NDArray[Number], rng: np.random.Generator) -> NDArray[Number]:
    """The image [height, width, channels], mirrored left to right with probability one half; same dtype.

    Takes exactly one `rng.random()`. The result is contiguous; it is `image` itself when nothing had to change.

    >>> image = np.arange(3).reshape(1, 3, 1)
    >>> [random_flip_left_right(image, np.random.default_rng(seed)).ravel().tolist() for seed in (0, 2)]
    [[0, 1, 2], [2, 1, 0]]
    """
    if rng.random() >= 0.5:
        return np.ascontiguousarray(image)
    if image.size == 0 or image.dtype.hasobject or not image.flags.c_contiguous:
        return np.ascontiguousarray(image[:, ::-1])
    flipped = np.empty_like(image)
    # NumPy copies a mirrored image byte by byte; by pixels it takes a fifth of the time.
    mirror_rows(_bytes(image), image.nbytes // (image.shape[0] * image.shape[1]), _bytes(flipped))
    return flipped


def _bytes(image: NDArray[Number]) -> NDArray[np.uint8]:
    return image.reshape(image.shape[0], -1).view(np.uint8)
