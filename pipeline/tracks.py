"""Tracks: columns of integers as few bits, and back, whatever bytes come.

Integers that grow steadily along with numbers that both sides know take next to nothing; others what cannot be
foreseen of them (see `kernels.tracks`).
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import MalformedMessage
from .kernels.tracks import DAMAGED, STRETCH, pack_tracks, unpack_tracks

__all__ = ["deflate", "inflate", "pack", "pack_small", "unpack", "unpack_small"]

Integers = npt.NDArray[np.int64]
_KINDS = tuple(map(np.dtype, (np.int8, np.int16, np.int32, np.int64)))


def deflate(array: npt.NDArray[Any]) -> bytes:
    """An array's bytes, compressed."""
    return zlib.compress(np.ascontiguousarray(array).tobytes(), 6)


def inflate(data: Any, nbytes: int) -> bytes:
    """Exactly so many bytes again.

    Raises:
        MalformedMessage: the data give more, less or nothing.

    >>> inflate(deflate(np.arange(3, dtype=np.uint8)), 3)
    b'\\x00\\x01\\x02'
    """
    try:
        stream = zlib.decompressobj()
        found = stream.decompress(data, nbytes + 1)
    except (zlib.error, TypeError) as error:
        raise MalformedMessage(f"what is held cannot be read: {error}") from error
    if len(found) != nbytes or not stream.eof:
        raise MalformedMessage(f"what is held cannot be read: it does not take {nbytes:,} bytes")
    return found


def pack_small(values: Integers) -> list[Any]:
    """Integers that mostly are what the one before was, or one more.

    >>> unpack_small(pack_small(np.array([5, 5, 6])), 3).tolist()
    [5, 5, 6]
    """
    steps = _steps(values)
    most = int(np.abs(steps).max(initial=0))
    kind = next(k for k, each in enumerate(_KINDS) if most < 1 << (8 * each.itemsize - 1))
    return [kind, deflate(steps.astype(_KINDS[kind]))]


def _steps(values: Integers) -> Integers:
    """From 0 to the first, and from each to the next."""
    steps = values.copy()
    steps[1:] -= values[:-1]
    return steps


def unpack_small(data: Any, count: int) -> Integers:
    """So many of them again; MalformedMessage where the data do not give them."""
    kind, packed = data
    if kind not in range(len(_KINDS)):
        raise MalformedMessage(f"what is held cannot be read: integers of kind {kind!r:.20}")
    found = np.frombuffer(inflate(packed, count * _KINDS[kind].itemsize), _KINDS[kind])
    return np.cumsum(found, dtype=np.int64)


def pack(values: Integers, numbers: Integers, tracks: Integers, count: int) -> list[Any]:
    """Integers on tracks below `count`, each foreseen from the one before on its track and both their numbers.

    >>> zeros = np.zeros(1000, np.int64)
    >>> sum(map(len, pack(np.arange(1000) * 231, np.arange(1000), zeros, 1))) < 40
    True
    """
    stretches = -(-len(values) // STRETCH)
    slopes, parameters = np.empty(stretches, np.int64), np.empty(stretches, np.uint8)
    out = np.zeros(12 * len(values), np.uint8)
    bits = pack_tracks(values, numbers, tracks, count, slopes, parameters, out)
    return [deflate(_steps(slopes)), deflate(parameters), out[: -(-bits // 8)].tobytes()]


def unpack(data: Any, numbers: Integers, tracks: Integers, count: int) -> Integers:
    """The reverse of `pack`, with the same numbers and tracks.

    Raises:
        MalformedMessage: the data are not of so many integers.
    """
    slopes_data, parameters_data, bits = data
    stretches = -(-len(numbers) // STRETCH)
    slopes = np.cumsum(np.frombuffer(inflate(slopes_data, 8 * stretches), np.int64))
    parameters = np.frombuffer(inflate(parameters_data, stretches), np.uint8)
    if not isinstance(bits, bytes):
        raise MalformedMessage("what is held cannot be read: bits that are no bytes")
    out = np.empty(len(numbers), np.int64)
    buffer = np.frombuffer(bits, np.uint8)
    read = unpack_tracks(numbers, tracks, count, slopes, parameters, buffer, out)
    if read == DAMAGED or -(-read // 8) != len(bits):
        raise MalformedMessage("what is held cannot be read: its bits do not belong together")
    return out
