"""Text: words between blanks, letters in lower case, and words looked up in a hash table.

Texts lie one behind the other in `data`; text i is data[splits[i]:splits[i + 1]]. The words of a table lie likewise in
`words`. `table` is one int64 array: a header, the ids of the words, where the words begin and the last ends, and slots
of open addressing, two numbers each: a word's hash, and its size and number, 0 where the slot is free.
"""

from __future__ import annotations

import numpy as np

from .compile import leaf, leaf_kernel
from .farmhash import U64, fingerprint
from .wire import Bytes, Words

__all__ = ["fill_table", "join_words", "look_up", "lower", "split_blanks", "split_look_up"]

# The header of a table: how many slots less 1, the first id of words that it has not, how many such ids there are, the
# id of such words where there are none; and where ids, bounds and slots begin.
MASK, BASE, BUCKETS, MISSING, IDS_AT, BOUNDS_AT, SLOTS_AT, HEADER = 0, 1, 2, 3, 4, 5, 6, 7

_SPACE, _TAB, _RETURN = 32, 9, 13
_A, _Z, _CASE = 65, 90, 32
#: Any odd numbers; their bits look like chance.
_START, _FACTOR = U64(0x6A09E667F3BCC909), U64(0x9E3779B97F4A7C15)
#: What a slot has beside the hash: the word's size above, its number plus 1 below.
_SIZE_AT, _NUMBER_MASK = 32, (1 << 32) - 1
#: Words of so many bytes are told by their size and their hash.
_TELLING = 8


@leaf
def _is_blank(byte: np.uint8) -> bool:
    return byte == _SPACE or (byte >= _TAB and byte <= _RETURN)  # type: ignore[return-value]


@leaf_kernel
def split_blanks(data: Bytes, splits: Words, places: Words, rows: Words) -> None:
    """Where words between blanks begin and end, two numbers a word, and as splits how many each text has."""
    count = 0
    for row in range(len(splits) - 1):
        at, end = U64(splits[row]), U64(splits[row + 1])
        while at < end:
            while at < end and _is_blank(data[at]):
                at += U64(1)
            begin = at
            while at < end and not _is_blank(data[at]):
                at += U64(1)
            if at > begin:
                places[2 * count], places[2 * count + 1] = np.int64(begin), np.int64(at)
                count += 1
        rows[row + 1] = count


@leaf_kernel
def lower(data: Bytes, out: Bytes) -> bool:
    """The letters A to Z as a to z, all other bytes as they are; whether there are bytes beyond ASCII."""
    seen = np.uint8(0)
    for i in range(len(data)):
        byte = data[i]
        seen |= byte
        out[i] = byte + np.uint8(_CASE) if byte >= _A and byte <= _Z else byte
    return seen >= 128  # type: ignore[return-value]


@leaf
def _stirred(value: np.uint64, part: np.uint64) -> np.uint64:
    """A hash with up to eight bytes more in it; of two such parts it makes two hashes."""
    value = (value ^ part) * _FACTOR
    return value ^ value >> U64(29)


@leaf
def _hash(data: Bytes, begin: int, end: int) -> np.uint64:
    """Of data[begin:end]; no two words of one length, up to eight bytes, have the same."""
    value, part, shift = _START, U64(0), U64(0)
    for i in range(U64(begin), U64(end)):
        part |= U64(data[i]) << shift
        shift += U64(8)
        if shift == U64(64):
            value, part, shift = _stirred(value, part), U64(0), U64(0)
    return _stirred(value, part)


@leaf
def _number(data: Bytes, begin: int, end: int, value: np.uint64, words: Bytes, table: Words) -> tuple[int, int]:
    """The number of the word data[begin:end] of this hash, -1 if the table has none; and the slot that tells."""
    at, size = np.int64(value & U64(table[MASK])), end - begin
    while True:
        slot = table[SLOTS_AT] + 2 * at
        entry = table[slot + 1]
        if entry == 0:
            return -1, slot
        if table[slot] == np.int64(value) and entry >> _SIZE_AT == size:
            number = (entry & _NUMBER_MASK) - 1
            place, same = table[table[BOUNDS_AT] + number], True
            for i in range(size if size > _TELLING else 0):
                same &= words[place + i] == data[begin + i]
            if same:
                return number, slot
        at = (at + 1) & table[MASK]


@leaf_kernel
def fill_table(words: Bytes, bounds: Words, table: Words) -> int:
    """Put every word into the free slots, which are more than there are words; the first that comes again, or -1."""
    for i in range(len(bounds) - 1):
        begin, end = bounds[i], bounds[i + 1]
        value = _hash(words, begin, end)
        number, slot = _number(words, begin, end, value, words, table)
        if number >= 0:
            return i
        table[slot], table[slot + 1] = np.int64(value), (end - begin) << _SIZE_AT | (i + 1)
    return -1


@leaf
def _id(data: Bytes, begin: int, end: int, value: np.uint64, words: Bytes, table: Words) -> int:
    number, _ = _number(data, begin, end, value, words, table)
    if number >= 0:
        return np.int64(table[table[IDS_AT] + number])  # type: ignore[return-value]
    buckets = table[BUCKETS]
    if buckets == 0:
        return np.int64(table[MISSING])  # type: ignore[return-value]
    if buckets == 1:
        return np.int64(table[BASE])  # type: ignore[return-value]
    bucket: int = np.int64(fingerprint(data, begin, end) % U64(buckets))  # type: ignore[assignment]
    return np.int64(table[BASE] + bucket)  # type: ignore[return-value]


@leaf_kernel
def look_up(data: Bytes, splits: Words, words: Bytes, table: Words, out: Words) -> None:
    """The id of each text, which is one word."""
    for i in range(len(splits) - 1):
        begin, end = splits[i], splits[i + 1]
        out[i] = _id(data, begin, end, _hash(data, begin, end), words, table)


@leaf_kernel
def split_look_up(data: Bytes, splits: Words, words: Bytes, table: Words, out: Words, rows: Words) -> None:
    """The ids of the words between blanks, text behind text, and as splits how many each text has."""
    count = 0
    for row in range(len(splits) - 1):
        at, end = U64(splits[row]), U64(splits[row + 1])
        while at < end:
            while at < end and _is_blank(data[at]):
                at += U64(1)
            begin, value, part, shift = at, _START, U64(0), U64(0)
            while at < end and not _is_blank(data[at]):
                part |= U64(data[at]) << shift
                shift += U64(8)
                at += U64(1)
                if shift == U64(64):
                    value, part, shift = _stirred(value, part), U64(0), U64(0)
            if at > begin:
                first: int = np.int64(begin)  # type: ignore[assignment]
                last: int = np.int64(at)  # type: ignore[assignment]
                out[count] = _id(data, first, last, _stirred(value, part), words, table)
                count += 1
        rows[row + 1] = count


@leaf_kernel
def join_words(data: Bytes, places: Words, splits: Words, out: Bytes) -> None:
    """The words at `places` one behind the other; word i goes to out[splits[i]:splits[i + 1]]."""
    for i in range(len(splits) - 1):
        begin, to = places[2 * i], splits[i]
        for at in range(splits[i + 1] - to):
            out[to + at] = data[begin + at]
