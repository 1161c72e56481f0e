"""Dice: random numbers that depend on a key and their place alone, so that any of them is had without those before.

SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): its state at a place is a
product, so that it can be entered anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import Block
from .nodes import Random
from .place import Path
from .readers import Chunk, runs
from .seeds import derive
from .work import Work

__all__ = ["fractions", "read_random", "rolled"]


def rolled(key: int, places: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64 random bits for each place, a whole number from 0.

    >>> rolled(7, np.array([5])) == rolled(7, np.arange(9))[5]
    array([ True])
    """
    x = np.uint64(key) + (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: npt.NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return found


def fractions(key: int, places: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A random number from 0 to below 1 for each place.

    >>> bool((fractions(7, np.arange(1000)) < 1).all()), round(float(fractions(7, np.arange(10_000)).mean()), 1)
    (True, 0.5)
    """
    return (rolled(key, places) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def read_random(leaf: Random, path: Path, work: Work, seed: int, epoch: int) -> Iterator[Chunk]:
    """The numbers of a unit of work on the leaf at a path, int64 from 0 to below 2**32."""
    own = ["path", seed, *path] if leaf.seed is None else ["seed", leaf.seed]
    # The origin tells passes apart.
    key = derive("random", own, [epoch, work.origin] if leaf.rerandomize else None)
    for at in runs(work):
        numbers = (rolled(key, work.offsets(at)) >> np.uint64(32)).astype(np.int64)
        yield Chunk(Block.of_numbers(numbers), at, int(at[-1]) + 1)
