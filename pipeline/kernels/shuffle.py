"""The shuffle's inner loop: a window of integers from which random ones are drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .compile import inline, kernel

__all__ = ["draw"]


@inline
def scramble(x: np.uint64) -> np.uint64:
    """SplitMix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@inline
def below(x: np.uint64, n: int) -> np.int64:
    """The high half of x times n: uniform in [0, n) to within n / 2**64 (Lemire 2019)."""
    mask = np.uint64(0xFFFFFFFF)
    low = (x & mask) * np.uint64(n)
    high = (x >> np.uint64(32)) * np.uint64(n)
    return np.int64((high + (low >> np.uint64(32))) >> np.uint64(32))


@kernel
def draw(
    window: npt.NDArray[np.int64],
    arrivals: npt.NDArray[np.int64],
    filled: int,
    size: int,
    incoming: npt.NDArray[np.int64],
    before: int,
    ended: bool,
    key: np.uint64,
    drawn: int,
    out: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Fill the window from `incoming`, then draw into `out`, as long as both last.

    `arrivals` goes along with the window and says the how-manieth each was to come, `before` having come earlier.
    Nothing is drawn while the window could still be filled: a draw waits until it holds `size`, or,
    once the input has ended, takes from what is left. Draw number t depends on the key, t and how
    many the window holds, on nothing else.

    Returns:
        How many the window holds, how many of `incoming` were taken, how many were drawn.
    """
    taken = 0
    count = 0
    while True:
        while filled < size and taken < len(incoming):
            window[filled] = incoming[taken]
            arrivals[filled] = before + taken
            filled += 1
            taken += 1
        if count == len(out) or filled == 0 or (filled < size and not ended):
            return filled, taken, count
        x = scramble(key + np.uint64(drawn + count + 1) * np.uint64(0x9E3779B97F4A7C15))
        slot = below(x, filled)
        out[count] = window[slot]
        count += 1
        filled -= 1
        window[slot] = window[filled]
        arrivals[slot] = arrivals[filled]
