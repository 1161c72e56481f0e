"""Random changes to images."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["random_flip_left_right"]

Number = TypeVar("Number", bound=np.generic)


def random_flip_left_right(image: NDArray[Number], rng: np.random.Generator) -> NDArray[Number]:
    """The image [height, width, channels], mirrored left to right with probability one half; same dtype.

    Takes exactly one `rng.random()`. The result is contiguous; it is `image` itself when nothing had to change.

    >>> image = np.arange(3).reshape(1, 3, 1)
    >>> [random_flip_left_right(image, np.random.default_rng(seed)).ravel().tolist() for seed in (0, 2)]
    [[0, 1, 2], [2, 1, 0]]
    """
    return np.ascontiguousarray(image[:, ::-1] if rng.random() < 0.5 else image)
