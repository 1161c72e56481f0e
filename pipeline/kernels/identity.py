"""Identities of many elements folded into one number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .compile import kernel
from .shuffle import scramble

__all__ = ["chain", "fold_identities"]


@kernel
def fold_identities(identities: npt.NDArray[np.uint64], size: int, out: npt.NDArray[np.uint64]) -> None:
    """For every `size` identities one that depends on each of them and on their order."""
    for i in range(len(out)):
        state = np.uint64(size)
        for k in range(i * size, min((i + 1) * size, len(identities))):
            state = scramble(state + identities[k, 0])
            state = scramble(state + identities[k, 1] * np.uint64(0x9E3779B97F4A7C15))
        out[i, 0] = state
        out[i, 1] = identities[i * size, 1]


@kernel
def chain(state: np.uint64, identities: npt.NDArray[np.uint64]) -> np.uint64:
    """A running checksum, continued over these identities in order."""
    for k in range(len(identities)):
        state = scramble(state + identities[k, 0])
        state = scramble(state + identities[k, 1] * np.uint64(0x9E3779B97F4A7C15))
    return state
