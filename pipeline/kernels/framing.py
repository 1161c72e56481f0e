"""TFRecord framing: where the records of a buffer begin, and whether their CRCs are right.

A record is its length (8 bytes, little-endian), the masked CRC-32C of those 8 bytes (4), the payload,
and the masked CRC-32C of the payload (4); https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .compile import inline, kernel
from .crc import masked_crc, word32

__all__ = ["BAD_DATA", "BAD_LENGTH", "CUT", "DONE", "FOOTER", "HEADER", "boundaries", "concatenate", "frame"]

#: Bytes in front of a payload: its length and the length's CRC.
HEADER = 12

#: Bytes behind a payload: its CRC.
FOOTER = 4

DONE = 0  #: Everything that was asked for has been framed.
CUT = 1  #: The buffer ends inside a record, which needs more bytes.
BAD_LENGTH = 2  #: A length and its CRC disagree.
BAD_DATA = 3  #: A payload and its CRC disagree.

#: A length above this is no length of anything, and sums with it would overflow.
LONGEST = 1 << 60


@inline
def _length(data: npt.NDArray[np.uint8], at: int) -> int:
    """The length in the header at `at`, or -1 where its CRC disagrees; the header must lie inside."""
    place = np.uint64(at)
    if masked_crc(data, at, at + 8) != word32(data, place + np.uint64(8)):
        return -1
    low, high = word32(data, place), word32(data, place + np.uint64(4))
    length = np.uint64(high) << np.uint64(32) | np.uint64(low)
    # Not int(): that stays unsigned here, and numba turns signed with unsigned into float64.
    return np.int64(min(length, np.uint64(LONGEST)))  # type: ignore[return-value]


@kernel
def frame(
    data: npt.NDArray[np.uint8],
    begin: int,
    end: int,
    stop: int,
    check_below: int,
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Frame the records in data[begin:end] whose headers begin before `stop`.

    Fills `starts` and `lengths` with the payloads' places and sizes in bytes, as many as there is room for.
    Payloads of `check_below` bytes and more are left to a faster CRC than this one.
    Gives (records, position behind the last of them, status, bytes that the record there needs in all).
    """
    count, at = 0, begin
    while at < end and at < stop and count < len(starts):
        if end - at < HEADER:
            return count, at, CUT, HEADER
        length = _length(data, at)
        if length < 0:
            return count, at, BAD_LENGTH, HEADER
        whole = HEADER + length + FOOTER
        if end - at < whole:
            return count, at, CUT, whole
        start = at + HEADER
        if length < check_below and masked_crc(data, start, start + length) != word32(data, np.uint64(start + length)):
            return count, at, BAD_DATA, whole
        starts[count], lengths[count] = start, length
        count += 1
        at += whole
    return count, at, DONE, 0


@kernel
def concatenate(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    splits: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
) -> None:
    """Copy the ranges that begin at `starts`, as long as `splits` says, one behind the other into `out`."""
    for i in range(len(starts)):
        size = splits[i + 1] - splits[i]
        out[splits[i] : splits[i + 1]] = data[starts[i] : starts[i] + size]


@kernel
def boundaries(
    data: npt.NDArray[np.uint8],
    end: int,
    offset: int,
    place: int,
    every: int,
    last: int,
    found: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Walk the headers in data[:end], which is the file from byte `offset` on; the next record begins at byte `place`.

    Fills `found` with the records' places that lie `every` bytes or more behind the one before (`last` at first).
    Gives (how many were found, where the next record begins, DONE or CUT or BAD_LENGTH); CUT means to go on with
    bytes from there, DONE that `found` is full. Payloads are neither read nor checked.
    """
    count = 0
    while count < len(found):
        at = place - offset
        if at < 0 or end - at < HEADER:
            return count, place, CUT
        length = _length(data, at)
        if length < 0:
            return count, place, BAD_LENGTH
        if place - last >= every:
            found[count] = last = place
            count += 1
        place += HEADER + length + FOOTER
    return count, place, DONE
