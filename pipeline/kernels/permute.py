"""A permutation of a range that is computed index by index: no memory, whatever its length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .compile import inline, kernel
from .shuffle import scramble

__all__ = ["permute"]

#: Four are enough for a pseudo-random permutation in theory (Luby and Rackoff 1988), of large halves.
ROUNDS = 10


@inline
def turn(half: np.uint64, key: np.uint64, number: int, mask: np.uint64) -> np.uint64:
    """The round function: it need not be invertible."""
    return scramble(half + scramble(key + np.uint64(number + 1) * np.uint64(0x9E3779B97F4A7C15))) & mask


@kernel
def permute(
    values: npt.NDArray[np.int64], key: np.uint64, count: int, backwards: bool, out: npt.NDArray[np.int64]
) -> None:
    """Where each of `values`, all in [0, count), goes in the permutation of that range that belongs to the key.

    A balanced Feistel network over the smallest square power of two that holds the range, walked until it comes
    back into the range (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
    """
    bits = 1
    while bits < 31 and (np.int64(1) << np.int64(2 * bits)) < count:
        bits += 1
    shift = np.uint64(bits)
    mask = (np.uint64(1) << shift) - np.uint64(1)
    for i in range(len(values)):
        if not 0 <= values[i] < count:
            out[i] = -1
            continue
        x = np.uint64(values[i])
        while True:
            left = x >> shift
            right = x & mask
            for step in range(ROUNDS):
                if backwards:
                    left, right = right ^ turn(left, key, ROUNDS - 1 - step, mask), left
                else:
                    left, right = right, left ^ turn(right, key, step, mask)
            x = (left << shift) | right
            if x < np.uint64(count):
                break
        out[i] = np.int64(x)
