"""tf.Example parsing: one pass over serialized Examples fills the columns of every feature.

`program` is a parse specification as one int64 array (see `parsing.py`, which compiles it):
a header, a hash table of feature keys, then one row a feature. `pool` is one int64 array that holds every column:
feature f's part begins at rows * program[f's BEFORE], row after row. A part holds int64 values, float32 values
(two a word), places of byte strings (start and length; -1 for a default), or, for a feature of variable length,
where in `data` its map entry begins and ends and how many values it has. Behind all parts there is a word of state
a feature.
"""

from __future__ import annotations

import numpy as np

from .compile import leaf, leaf_kernel
from .wire import BYTES, FIELD_1, FIELD_2, FLOAT, Bytes, Halves, Words, feature_values, next_field, value_place

__all__ = ["expand", "find", "key_hash", "parse_many", "parse_one"]

# The header of a program, and its length.
FEATURES, WIDTH, HASH_MASK, HASH_AT, ROWS_AT, HEADER = 0, 1, 2, 3, 4, 5

# A feature's row in a program: its key (bytes, one a word), list kind, number of values (VARIABLE where that
# varies), words a row in front of its part, the next feature of the same hash, its default value (NONE, or where).
KEY, KEY_LENGTH, KIND, SIZE, BEFORE, NEXT, DEFAULT, ROW = 0, 1, 2, 3, 4, 5, 6, 7
VARIABLE = -1
NONE = -1

#: Words that a row of a feature of variable length has in the pool: entry's begin, entry's end, values.
SPAN = 3

# What has been seen of a feature in this Example: nothing, what was expected, or UNFIT + 4 * values + kind.
ABSENT, FITS, UNFIT = 0, 1, 2

# What a parse gives: OK, or MALFORMED bytes, or a feature that is MISSING or not what the specification says.
OK, MALFORMED, MISSING, WRONG = 0, 1, 2, 3


@leaf
def _values(
    data: Bytes, begin: int, end: int, wanted: int, limit: int, out: Words, halves: Halves, base: int
) -> tuple[int, int]:
    """The list kind and number of values of the map entry data[begin:end]; kind -1 for malformed bytes.

    Values of the wanted kind go to `out` at `base`, at most `limit` of them.
    """
    kind, count, at = 0, 0, begin
    while at < end:
        tag, start, at = next_field(data, at, end)
        if tag == FIELD_2:
            kind, count = feature_values(data, start, at, wanted, limit, out, halves, base, kind, count)
            if kind < 0:
                return -1, 0
    return kind, count


@leaf_kernel
def key_hash(data: Bytes, begin: int, end: int) -> int:
    """FNV-1a, 32 bits, of data[begin:end] (http://www.isthe.com/chongo/tech/comp/fnv/)."""
    value = np.uint32(2166136261)
    for i in range(begin, end):
        value = np.uint32((value ^ np.uint32(data[i])) * np.uint32(16777619))
    return np.int64(value)  # type: ignore[return-value]


@leaf
def _is_key(data: Bytes, begin: int, end: int, program: Words, row: int) -> bool:
    key = program[row + KEY]
    if program[row + KEY_LENGTH] != end - begin:
        return False
    for i in range(end - begin):  # noqa: SIM110 - numba compiles no all() over a generator
        if program[key + i] != data[begin + i]:
            return False
    return True


@leaf
def find(data: Bytes, begin: int, end: int, program: Words, likely: int) -> int:
    """Which feature has the key data[begin:end]; -1 for none. `likely` is looked at first."""
    rows = program[ROWS_AT]
    if likely < program[FEATURES] and _is_key(data, begin, end, program, rows + ROW * likely):
        return likely
    feature = program[program[HASH_AT] + (key_hash(data, begin, end) & program[HASH_MASK])]
    while feature >= 0 and not _is_key(data, begin, end, program, rows + ROW * feature):
        feature = program[rows + ROW * feature + NEXT]
    return np.int64(feature)  # type: ignore[return-value]


@leaf
def _entry(
    data: Bytes, begin: int, end: int, program: Words, pool: Words, halves: Halves, rows: int, row: int, likely: int
) -> int:
    """Take one map entry; which feature it was, -1 for one that nobody asked for, -2 for malformed bytes."""
    key, key_end, at = begin, begin, begin
    while at < end:
        tag, start, at = next_field(data, at, end)
        if tag == FIELD_1:
            key, key_end = start, at
        elif tag != FIELD_2 and tag >> 3 <= 2:
            return -2
    feature = find(data, key, key_end, program, likely)
    if feature < 0:
        return -1
    spec = program[ROWS_AT] + ROW * feature
    wanted, size, part = program[spec + KIND], program[spec + SIZE], rows * program[spec + BEFORE]
    if size == VARIABLE:
        kind, count = _values(data, begin, end, wanted, 0, pool, halves, 0)
        place = part + SPAN * row
        pool[place], pool[place + 1], pool[place + 2] = begin, end, count
    else:
        kind, count = _values(data, begin, end, wanted, size, pool, halves, value_place(wanted, part, row * size))
    if kind < 0:
        return -2
    fits = kind == wanted and (size == VARIABLE or count == size)
    state = ABSENT if kind == 0 else FITS if fits else UNFIT + 4 * count + kind
    pool[rows * program[WIDTH] + feature] = state
    return feature


@leaf
def _features(
    data: Bytes, begin: int, end: int, program: Words, pool: Words, halves: Halves, rows: int, row: int
) -> bool:
    """Take a Features message; false for malformed bytes."""
    likely, at = 0, begin
    while at < end:
        tag, start, at = next_field(data, at, end)
        if tag == FIELD_1:
            feature = _entry(data, start, at, program, pool, halves, rows, row, likely)
            if feature == -2:
                return False
            # Writers that sort their keys, as ours does, make the next key known.
            likely = feature + 1 if feature >= 0 else likely
        elif tag < 0 or tag >> 3 == 1:
            return False
    return True


@leaf
def _put_default(program: Words, spec: int, pool: Words, halves: Halves, rows: int, row: int) -> bool:
    """Fill in for a feature that the Example does not have; false when there is nothing to fill in."""
    size, part, default = program[spec + SIZE], rows * program[spec + BEFORE], program[spec + DEFAULT]
    if size == VARIABLE:
        pool[part + SPAN * row : part + SPAN * row + SPAN] = 0
        return True
    if default == NONE:
        return False
    kind, base = program[spec + KIND], value_place(program[spec + KIND], part, row * size)
    for i in range(2 * size if kind == BYTES else size):
        if kind == FLOAT:
            halves[base + i] = np.uint32(program[default + i])
        else:
            pool[base + i] = program[default + i]
    return True


@leaf
def _example(
    data: Bytes, begin: int, end: int, program: Words, pool: Words, halves: Halves, rows: int, row: int
) -> tuple[int, int, int]:
    """Parse data[begin:end] into row `row` of every part; (OK or what is wrong, which feature, its state)."""
    at = begin
    while at < end:
        tag, start, at = next_field(data, at, end)
        if tag == FIELD_1:
            if not _features(data, start, at, program, pool, halves, rows, row):
                return MALFORMED, 0, 0
        elif tag < 0 or tag >> 3 == 1:
            return MALFORMED, 0, 0
    states = rows * program[WIDTH]
    for feature in range(program[FEATURES]):
        state = pool[states + feature]
        pool[states + feature] = ABSENT
        if state >= UNFIT:
            return WRONG, feature, state
        spec = program[ROWS_AT] + ROW * feature
        if state == ABSENT and not _put_default(program, spec, pool, halves, rows, row):
            return MISSING, feature, 0
    return OK, 0, 0


@leaf_kernel
def parse_one(data: Bytes, program: Words, pool: Words) -> tuple[int, int, int, int]:
    """Parse one Example, all of `data`; (OK or what is wrong, 0, which feature, its state)."""
    pool[program[WIDTH] :] = ABSENT
    code, feature, state = _example(data, 0, len(data), program, pool, pool.view(np.uint32), 1, 0)
    return code, 0, feature, state


@leaf_kernel
def parse_many(data: Bytes, splits: Words, program: Words, pool: Words) -> tuple[int, int, int, int]:
    """Parse Examples data[splits[i]:splits[i + 1]]; (OK or what is wrong, in which one, which feature, its state)."""
    rows = len(splits) - 1
    pool[rows * program[WIDTH] :] = ABSENT
    halves = pool.view(np.uint32)
    for row in range(rows):
        begin, end = splits[row], splits[row + 1]
        if begin < 0 or end < begin or end > len(data):
            return MALFORMED, row, 0, 0
        code, feature, state = _example(data, begin, end, program, pool, halves, rows, row)
        if code != OK:
            return code, row, feature, state
    return OK, 0, 0, 0


@leaf_kernel
def expand(data: Bytes, kind: int, spans: Words, splits: Words, out: Words) -> int:
    """Decode a feature of variable length whose `spans` a parse has left; the first bad row, or -1.

    Row i's values go to [splits[i], splits[i + 1]): int64 a word, float32 two a word, start and length for bytes.
    """
    halves = out.view(np.uint32)
    for row in range(len(splits) - 1):
        begin, end = spans[SPAN * row], spans[SPAN * row + 1]
        size = splits[row + 1] - splits[row]
        found, _ = _values(data, begin, end, kind, size, out, halves, value_place(kind, 0, splits[row]))
        if found < 0:
            return row
    return -1
