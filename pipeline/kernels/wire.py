"""Protobuf's wire format, as far as Examples have it: numbers, fields, lists of values, a Feature.

https://protobuf.dev/programming-guides/encoding/; the messages are in schema/example.proto. Values go to an array of
words: int64 one a word, float32 two a word, byte strings as their start and length.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .compile import leaf

__all__ = [
    "BYTES",
    "FIELD_1",
    "FIELD_2",
    "FLOAT",
    "INT64",
    "Bytes",
    "Halves",
    "Words",
    "feature_values",
    "next_field",
    "value_place",
]

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
Halves = npt.NDArray[np.uint32]

# Kinds of list, by their field numbers in Feature. 0: a Feature that has none.
BYTES, FLOAT, INT64 = 1, 2, 3

#: 64 bits take ten bytes of seven.
LONGEST_VARINT = 10

# Tags: field number times eight, plus wire type (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes).
FIELD_1_VARINT, FIELD_1, FIELD_1_FOUR, FIELD_2 = 8, 10, 13, 18


@leaf
def _varint(data: Bytes, at: int, end: int) -> tuple[np.uint64, int]:
    """A base-128 number and where it ends; -1 when it does not end in time."""
    value, shift = np.uint64(0), np.uint64(0)
    while at < end and shift < np.uint64(70):
        byte = np.uint64(data[np.uint64(at)])
        value |= (byte & np.uint64(127)) << shift
        at += 1
        if byte < np.uint64(128):
            return value, at
        shift += np.uint64(7)
    return value, -1


@leaf
def _varint_within(data: Bytes, at: int) -> tuple[np.uint64, int]:
    """As `_varint`, where there are LONGEST_VARINT bytes: no step has to ask for the end."""
    place = np.uint64(at)
    value, shift = np.uint64(0), np.uint64(0)
    for i in range(np.uint64(LONGEST_VARINT)):
        byte = np.uint64(data[place + i])
        value |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return value, at + np.int64(i) + 1  # type: ignore[return-value]
        shift += np.uint64(7)
    return value, -1


@leaf
def _word32(data: Bytes, at: np.uint64) -> np.uint32:
    return np.uint32(
        np.uint32(data[at])
        | np.uint32(data[at + np.uint64(1)]) << np.uint32(8)
        | np.uint32(data[at + np.uint64(2)]) << np.uint32(16)
        | np.uint32(data[at + np.uint64(3)]) << np.uint32(24)
    )


@leaf
def next_field(data: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """The next field: its tag, and where its content begins and ends; tag -1 for what is no field."""
    number, at = _varint(data, at, end)
    if at < 0 or number < np.uint64(8) or number >> np.uint64(32) != np.uint64(0):
        return -1, end, end
    # Not int(): that stays unsigned here, and numba turns signed with unsigned into float64.
    tag: int = np.int64(number)  # type: ignore[assignment]
    wire = tag & 7
    if wire == 2:
        size, at = _varint(data, at, end)
        if at < 0 or size > np.uint64(end - at):
            return -1, end, end
        return tag, at, at + np.int64(size)  # type: ignore[return-value]
    if wire == 0:
        _, after = _varint(data, at, end)
    else:
        # Groups (3, 4) are not of this format; 6 and 7 are of none.
        after = at + 8 if wire == 1 else at + 4 if wire == 5 else -1
    if after < 0 or after > end:
        return -1, end, end
    return tag, at, after


@leaf
def _count_varints(data: Bytes, begin: int, end: int) -> int:
    """How many numbers end in data[begin:end]; -1 when the last one does not."""
    if end > begin and data[end - 1] >= 128:
        return -1
    count = 0
    for i in range(np.uint64(begin), np.uint64(end)):
        count += data[i] < 128
    return count


@leaf
def _int64s(data: Bytes, begin: int, end: int, limit: int, out: Words, base: int, count: int) -> int:
    """Decode packed numbers behind the `count` that are there already; the new count, -1 for a bad number."""
    if count >= limit:
        more = _count_varints(data, begin, end)
        return -1 if more < 0 else count + more
    at, safe = begin, end - LONGEST_VARINT
    while at < end:
        value, at = _varint_within(data, at) if at <= safe else _varint(data, at, end)
        if at < 0:
            return -1
        if count < limit:
            out[np.uint64(base + count)] = np.int64(value)
        count += 1
    return count


@leaf
def _floats(data: Bytes, begin: int, end: int, limit: int, out: Halves, base: int, count: int) -> int:
    """Copy packed floats, bit by bit, behind the `count` that are there already; the new count, -1 for a torn one."""
    if (end - begin) & 3:
        return -1
    size = (end - begin) >> 2
    for i in range(min(size, limit - count)):
        out[np.uint64(base + count + i)] = _word32(data, np.uint64(begin + 4 * i))
    return count + size


@leaf
def _list(
    data: Bytes, begin: int, end: int, kind: int, limit: int, out: Words, halves: Halves, base: int, count: int
) -> int:
    """Append a BytesList, FloatList or Int64List, packed or not, to what is at `base`; the new count, or -1."""
    at = begin
    while at < end:
        tag, start, at = next_field(data, at, end)
        if kind == INT64 and tag in (FIELD_1, FIELD_1_VARINT):
            count = _int64s(data, start, at, limit, out, base, count)
        elif kind == FLOAT and tag in (FIELD_1, FIELD_1_FOUR):
            count = _floats(data, start, at, limit, halves, base, count)
        elif kind == BYTES and tag == FIELD_1:
            if count < limit:
                out[base + 2 * count], out[base + 2 * count + 1] = start, at - start
            count += 1
        elif tag < 0 or tag >> 3 == 1:
            return -1
        if count < 0:
            return -1
    return count


@leaf
def value_place(kind: int, part: int, values: int) -> int:
    """Where the value with `values` values before it stands: a half for floats, else a word."""
    if kind == FLOAT:
        return 2 * part + values
    return part + (2 * values if kind == BYTES else values)


@leaf
def feature_values(
    data: Bytes,
    begin: int,
    end: int,
    wanted: int,
    limit: int,
    out: Words,
    halves: Halves,
    base: int,
    kind: int,
    count: int,
) -> tuple[int, int]:
    """Take the Feature data[begin:end], behind one with `count` values of `kind`; both anew, kind -1 if malformed.

    Values of the wanted kind go to `out` at `base`, at most `limit` of them; those of others are not counted. As
    protobuf has it, parts of a message that comes in several parts are merged, and of several kinds of list the last
    one counts.
    """
    at = begin
    while at < end:
        tag, start, at = next_field(data, at, end)
        field = tag >> 3
        if tag < 0 or (field <= INT64 and tag & 7 != 2):
            return -1, 0
        if field > INT64:
            continue
        if field != kind:
            kind, count = field, 0
        if kind == wanted:
            count = _list(data, start, at, kind, limit, out, halves, base, count)
            if count < 0:
                return -1, 0
    return kind, count
