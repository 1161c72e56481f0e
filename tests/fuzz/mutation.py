"""Mutation: real inputs changed a little, as bytes or as the tree of plain data that they are in MessagePack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any, TypeAlias

import msgpack

__all__ = ["Edit", "cut_and_pasted", "packed", "retold"]

#: From an input and others like it to a changed one.
Edit: TypeAlias = Callable[[bytes, Random, Sequence[bytes]], bytes]

#: Numbers at which arithmetic changes.
EDGES = (
    0,
    1,
    2,
    3,
    7,
    8,
    63,
    64,
    127,
    128,
    255,
    256,
    4095,
    4096,
    65535,
    65536,
    *(1 << n for n in (20, 30, 31, 32, 40)),
)
LARGE = ((1 << 31) - 1, (1 << 32) - 1, (1 << 48), (1 << 62), (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
#: What may stand in a message where something else belongs.
ODD: tuple[Any, ...] = (
    *EDGES,
    *LARGE,
    *(-1, -2, -(1 << 31), -(1 << 63)),
    *(None, True, False, 0.5, -0.0, float("inf"), float("nan"), 1e300),
    *("", "a", "\0", "leaf", "tuple", "dict", "named", "bytes", "<i8", "|u1", "../../etc", "x" * 300, "\udcff"),
    *(b"", b"\0", b"a" * 40, bytes(8), b"\xff" * 8),
    *([], {}, [[]], [0], [None] * 3, {"": 0}, {"kind": "leaf"}, [-1, 1 << 62], [[], [], []]),
)


def _overwritten(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _flipped(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _deleted(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice((1, 2, 4, 8, 64, 1 << 16))]


def _inserted(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 1, 2, 4, 12))))


def _repeated(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at, size = rng.randrange(len(data) + 1), rng.choice((1, 4, 16, 256))
    data[at:at] = data[at : at + size] * rng.choice((1, 2, 8))


def _spliced(data: bytearray, rng: Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    at, start = rng.randrange(len(data) + 1), rng.randrange(len(other) + 1)
    size = rng.choice((4, 16, 256))
    data[at : at + rng.choice((0, size))] = other[start : start + size]


def _numbered(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    """A number of 2, 4 or 8 bytes, of either order, is another one."""
    size = rng.choice((2, 4, 8))
    if len(data) >= size:
        at, value = rng.randrange(len(data) - size + 1), rng.choice(EDGES + LARGE)
        data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, rng.choice(("little", "big")))


_BYTE_EDITS = (_overwritten, _flipped, _deleted, _inserted, _repeated, _spliced, _numbered)


def cut_and_pasted(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """One to five changes of bytes anywhere."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        rng.choice(_BYTE_EDITS)(changed, rng, others)
    return bytes(changed)


def packed(data: Any) -> bytes:
    """Plain data in MessagePack, as messages have it."""
    return bytes(msgpack.packb(data, unicode_errors="surrogateescape"))


def _unpacked(data: bytes) -> Any:
    return msgpack.unpackb(data, unicode_errors="surrogateescape", strict_map_key=False)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a tree: what holds it, and under which index or key."""
    if isinstance(tree, list | dict):
        for key in range(len(tree)) if isinstance(tree, list) else list(tree):
            yield tree, key
            yield from _places(tree[key])


def retold(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """One to three changes of the tree that some MessagePack is; of bytes where it is none."""
    try:
        tree, other = [_unpacked(data)], [_unpacked(rng.choice(others))]
    except (ValueError, TypeError):  # none, or keys that cannot be
        return cut_and_pasted(data, rng, others)
    for _ in range(rng.randint(1, 3)):
        _change(tree, rng, list(_places(other)))
    try:
        return packed(tree[0] if tree else None)
    except (ValueError, OverflowError, RecursionError):  # too large, or too deep, to be said
        return data


def _change(tree: list[Any], rng: Random, others: Sequence[tuple[Any, Any]]) -> None:
    holder, key = rng.choice(list(_places(tree)) or [([None], 0)])
    match rng.randrange(6):
        case 0 | 1:
            holder[key] = deepcopy(rng.choice(ODD))
        case 2:
            source, where = rng.choice(others)
            holder[key] = deepcopy(source[where])
        case 3:
            del holder[key]
        case 4 if isinstance(holder, list):
            holder.insert(key, deepcopy(holder[key]))
        case 5 if isinstance(holder[key], bytes):
            holder[key] = cut_and_pasted(holder[key], rng, [holder[key]])
        case 5 if isinstance(holder[key], int):
            holder[key] += rng.choice((-1, 1, 8, -8))
        case _:
            holder[key] = [holder[key]]
