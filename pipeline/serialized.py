"""Serialized messages as they come: one, or many in a sequence or an array, and these one behind the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .ragged import splits_of_lengths

__all__ = ["joined", "rows_of"]


def joined(rows: list[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Rows one behind the other, and where each begins and the last ends."""
    splits = splits_of_lengths(np.fromiter(map(len, rows), np.int64, len(rows)))
    return np.frombuffer(b"".join(rows), np.uint8), splits


def rows_of(serialized: Any) -> list[bytes]:
    """Many messages as a list.

    Raises:
        InvalidArgumentError: it is one alone, or not all are `bytes`.
    """
    if isinstance(serialized, (bytes, str)):
        raise InvalidArgumentError("parse_example takes a sequence of Examples: use parse_single_example for one")
    if isinstance(serialized, np.ndarray) and (serialized.dtype != object or serialized.ndim != 1):
        # Strings of fixed length have lost the zero bytes at their ends.
        raise InvalidArgumentError(
            f"serialized is {serialized.dtype} of shape {serialized.shape}: use a list or a 1-D object array of bytes"
        )
    rows = list(serialized)
    # Asking for the types all at once is four times faster than row by row.
    for i, row in enumerate(rows if set(map(type, rows)) - {bytes} else ()):
        if not isinstance(row, bytes):
            raise InvalidArgumentError(f"serialized[{i}] is {type(row).__name__}: an Example comes as bytes")
    return rows
