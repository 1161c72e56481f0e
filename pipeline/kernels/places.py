"""Places of values that lie row behind row: in which row each is, and where in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .compile import leaf_kernel

__all__ = ["places_in_rows", "places_in_steps"]

Words = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]


@leaf_kernel
def places_in_rows(splits: Words, out: Indices) -> None:
    """[values, 2] of values whose rows begin at `splits`; `out` has a row for each value."""
    for row in range(len(splits) - 1):
        begin = splits[row]
        for i in range(begin, splits[row + 1]):
            out[i, 0], out[i, 1] = row, i - begin


@leaf_kernel
def places_in_steps(outer: Words, inner: Words, out: Indices) -> None:
    """[values, 3] of values whose steps begin at `inner`, and the steps of rows at `outer`."""
    for row in range(len(outer) - 1):
        for step in range(outer[row], outer[row + 1]):
            begin = inner[step]
            for i in range(begin, inner[step + 1]):
                out[i, 0], out[i, 1], out[i, 2] = row, step - outer[row], i - begin
