"""Seeds, origins and random generators: everything random is a pure function of names and numbers.

Keys are BLAKE2b hashes of plain data; a user's function gets NumPy's Philox (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC 2011) under a key of its own for each element.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgpack
import numpy as np

__all__ = ["derive", "fresh_seed", "generators"]

_MASK = (1 << 64) - 1


def fresh_seed() -> int:
    """A seed that nobody chose."""
    return secrets.randbits(63)


def derive(*parts: Any) -> int:
    """64 bits that depend on every part: numbers, text, bytes or tuples of them.

    >>> derive("shuffle", 7, 0) == derive("shuffle", 7, 0), derive(1) == derive(2)
    (True, False)
    """
    return int.from_bytes(blake2b(msgpack.packb(parts), digest_size=8).digest(), "little")


def generators(seed: int, epoch: int, path: tuple[int, ...]) -> Callable[[int, int], np.random.Generator]:
    """For one operator in one epoch: from an element's origin and offset to its random generator.

    >>> rng = generators(7, 0, (1,))
    >>> bool(rng(5, 0).random() == rng(5, 0).random()), bool(rng(5, 0).random() == rng(5, 1).random())
    (True, False)
    """
    low, high = derive("rng", seed, epoch, list(path), 0), derive("rng", seed, epoch, list(path), 1)

    def generator(origin: int, offset: int) -> np.random.Generator:
        # Philox is a keyed bijection that is good under any keys, so that plain sums separate the elements.
        key = ((low + origin) & _MASK) << 64 | ((high + offset) & _MASK)
        return np.random.Generator(np.random.Philox(key=key))

    return generator
