"""FarmHash's Fingerprint64: 64 bits of a byte string that never change.

The algorithm is Geoff Pike's (https://github.com/google/farmhash, `farmhashna::Hash64`). TensorFlow's
`to_hash_bucket_fast` is its remainder. It is no hash for secrets: whoever chooses the text can choose the bucket.
"""

from __future__ import annotations

import numpy as np

from .compile import leaf, leaf_kernel
from .wire import Bytes, Words

__all__ = ["fingerprint", "hash_buckets"]

U64 = np.uint64
_K0, _K1, _K2 = U64(0xC3A5C85C97CB3127), U64(0xB492B66FBE98F273), U64(0x9AE16A3B2F90404F)
_SEED = U64(81)
_BLOCK = 64  # bytes that long strings are read by


@leaf
def _four(data: Bytes, at: int) -> np.uint64:
    """Four bytes, the lowest first."""
    found = U64(0)
    for i in range(4):
        found |= U64(data[U64(at) + U64(i)]) << U64(8 * i)
    return found


@leaf
def _eight(data: Bytes, at: int) -> np.uint64:
    """Eight bytes, the lowest first."""
    found = U64(0)
    for i in range(8):
        found |= U64(data[U64(at) + U64(i)]) << U64(8 * i)
    return found


@leaf
def _turned(value: np.uint64, bits: int) -> np.uint64:
    """Rotated to the right."""
    return value >> U64(bits) | value << U64(64 - bits)


@leaf
def _folded(value: np.uint64) -> np.uint64:
    return value ^ value >> U64(47)


@leaf
def _mixed(one: np.uint64, other: np.uint64, factor: np.uint64) -> np.uint64:
    """Two words to one."""
    first = _folded((one ^ other) * factor)
    return _folded((other ^ first) * factor) * factor


@leaf
def _few(data: Bytes, begin: int, size: int) -> np.uint64:
    """Up to 16 bytes."""
    factor = _K2 + U64(2 * size)
    if size >= 8:
        first = _eight(data, begin) + _K2
        last = _eight(data, begin + size - 8)
        return _mixed(_turned(last, 37) * factor + first, (_turned(first, 25) + last) * factor, factor)
    if size >= 4:
        return _mixed(U64(size) + (_four(data, begin) << U64(3)), _four(data, begin + size - 4), factor)
    if size > 0:
        low = U64(data[begin]) + (U64(data[begin + (size >> 1)]) << U64(8))
        high = U64(size) + (U64(data[begin + size - 1]) << U64(2))
        return _folded(low * _K2 ^ high * _K0) * _K2
    return _K2


@leaf
def _some(data: Bytes, begin: int, size: int) -> np.uint64:
    """17 to 64 bytes."""
    end, factor = begin + size, _K2 + U64(2 * size)
    a = _eight(data, begin) * (_K1 if size <= 32 else _K2)
    b = _eight(data, begin + 8)
    c = _eight(data, end - 8) * factor
    d = _eight(data, end - 16) * _K2
    low, high = _turned(a + b, 43) + _turned(c, 30) + d, a + _turned(b + _K2, 18) + c
    mixed = _mixed(low, high, factor)
    if size <= 32:
        return mixed
    e = _eight(data, begin + 16) * factor
    f = _eight(data, begin + 24)
    g = (low + _eight(data, end - 32)) * factor
    h = (mixed + _eight(data, end - 24)) * factor
    return _mixed(_turned(e + f, 43) + _turned(g, 30) + h, e + _turned(f + a, 18) + g, factor)


@leaf
def _pair(data: Bytes, at: int, a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """32 bytes and two seeds to two words."""
    first, fourth = _eight(data, at), _eight(data, at + 24)
    a = a + first
    b = _turned(b + a + fourth, 21)
    inner = a + _eight(data, at + 8) + _eight(data, at + 16)
    return inner + fourth, b + _turned(inner, 44) + a


@leaf
def _many(data: Bytes, begin: int, size: int) -> np.uint64:
    """More than 64 bytes: block by block, and the last 64 once more."""
    x, y = _SEED * _K2 + _eight(data, begin), _SEED * _K1 + U64(113)
    z = _folded(y * _K2 + U64(113)) * _K2
    v0, v1, w0, w1 = U64(0), U64(0), U64(0), U64(0)
    blocks, rest = (size - 1) // _BLOCK, (size - 1) % _BLOCK
    factor, nine = _K1, U64(1)
    for block in range(blocks + 1):
        at = begin + block * _BLOCK
        if block == blocks:
            at = begin + size - _BLOCK
            factor, nine = _K1 + ((z & U64(0xFF)) << U64(1)), U64(9)
            w0 += U64(rest)
            v0 += w0
            w0 += v0
        x = _turned(x + y + v0 + _eight(data, at + 8), 37) * factor
        y = _turned(y + v1 + _eight(data, at + 48), 42) * factor
        x ^= w1 * nine
        y += v0 * nine + _eight(data, at + 40)
        z = _turned(z + w0, 33) * factor
        v0, v1 = _pair(data, at, v1 * factor, x + w0)
        w0, w1 = _pair(data, at + 32, z + w1, y + _eight(data, at + 16))
        x, z = z, x
    return _mixed(_mixed(v0, w0, factor) + _folded(y) * _K0 + z, _mixed(v1, w1, factor) + x, factor)


@leaf
def fingerprint(data: Bytes, begin: int, end: int) -> np.uint64:
    """Of data[begin:end]."""
    size = end - begin
    if size <= 16:
        return _few(data, begin, size)
    if size <= 64:
        return _some(data, begin, size)
    return _many(data, begin, size)


@leaf_kernel
def hash_buckets(data: Bytes, splits: Words, buckets: int, out: Words) -> None:
    """The remainder of the fingerprint of each data[splits[i]:splits[i + 1]]; with 0 buckets, all its bits."""
    for i in range(len(splits) - 1):
        found = fingerprint(data, splits[i], splits[i + 1])
        out[i] = np.int64(found % U64(buckets)) if buckets > 0 else np.int64(found)
