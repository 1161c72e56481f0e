"""Copies between blocks: rows and runs of bytes, picked by address.

A gather reads from as many buffers as it has sources, so these kernels work on addresses. Callers
pass addresses of arrays that they keep alive, and row numbers that they have checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compile import kernel

__all__ = ["gather_rows", "gather_runs", "gather_strings", "item_positions", "load_bounds", "pad_items"]

I64 = npt.NDArray[np.int64]


def _copy_bytes(typing_context: Any, target: Any, source: Any, count: Any) -> Any:
    """memcpy between two addresses."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        to, start, size = args
        copy: Any = cgutils.raw_memcpy
        copy(builder, builder.inttoptr(to, pointer), builder.inttoptr(start, pointer), size, 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _load(typing_context: Any, address: Any) -> Any:
    """The 64-bit integer at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Frames of a message may begin at any address.
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()), align=1)

    return types.int64(types.int64), generate


_intrinsic: Any = intrinsic
copy_bytes: Callable[[int, int, int], None] = _intrinsic(_copy_bytes)
load: Callable[[int], int] = _intrinsic(_load)


@kernel
def gather_rows(bases: I64, which: I64, rows: I64, stride: int, out: int) -> None:
    """Row `rows[i]` of source `which[i]`, `stride` bytes each, to the i-th row at address `out`."""
    for i in range(len(which)):
        copy_bytes(out + i * stride, bases[which[i]] + rows[i] * stride, stride)


@kernel
def load_bounds(bases: I64, fixed: I64, which: I64, rows: I64, starts: I64, counts: I64) -> None:
    """Where each row's items begin and how many they are, from boundaries at `bases`, or `fixed` items a row."""
    for i in range(len(which)):
        source = which[i]
        if fixed[source] >= 0:
            starts[i] = rows[i] * fixed[source]
            counts[i] = fixed[source]
        else:
            at = bases[source] + 8 * rows[i]
            starts[i] = load(at)
            counts[i] = load(at + 8) - starts[i]


@kernel
def gather_runs(bases: I64, which: I64, starts: I64, counts: I64, size: int, out: int) -> None:
    """Runs of items of `size` bytes, one behind the other, to address `out`."""
    for i in range(len(which)):
        length = counts[i] * size
        copy_bytes(out, bases[which[i]] + starts[i] * size, length)
        out += length


@kernel
def gather_strings(values: I64, splits: I64, which: I64, starts: I64, counts: I64, bounds: I64, out: int) -> int:
    """Runs of strings: fills `bounds`, and the bytes at address `out` unless that is 0; the number of bytes."""
    at = 0
    item = 0
    bounds[0] = 0
    for i in range(len(which)):
        table = splits[which[i]] + 8 * starts[i]
        first = load(table)
        for k in range(1, counts[i] + 1):
            item += 1
            bounds[item] = at + load(table + 8 * k) - first
        length = load(table + 8 * counts[i]) - first
        if out != 0:
            copy_bytes(out + at, values[which[i]] + first, length)
        at += length
    return at


@kernel
def item_positions(shapes: I64, target: I64, out: I64) -> None:
    """For the items of elements of these shapes, their places in a padded batch of `target`-shaped elements."""
    rank = shapes.shape[1]
    room = 1
    for d in range(rank):
        room *= target[d]
    index = np.zeros(max(rank, 1), np.int64)
    item = 0
    for i in range(len(shapes)):
        count = 1
        for d in range(rank):
            count *= shapes[i, d]
            index[d] = 0
        for _ in range(count):
            place = 0
            for d in range(rank):
                place = place * target[d] + index[d]
            out[item] = i * room + place
            item += 1
            for d in range(rank - 1, -1, -1):
                index[d] += 1
                if index[d] < shapes[i, d]:
                    break
                index[d] = 0


@kernel
def pad_items(source: int, shapes: I64, target: I64, size: int, out: int) -> None:
    """Elements of these shapes into a padded batch: copies each innermost run of items of `size` bytes."""
    rank = shapes.shape[1]
    room = size
    for d in range(rank):
        room *= target[d]
    index = np.zeros(max(rank, 1), np.int64)
    for i in range(len(shapes)):
        run = shapes[i, rank - 1] * size if rank else size
        runs = 1
        for d in range(rank - 1):
            runs *= shapes[i, d]
            index[d] = 0
        if run == 0:
            runs = 0
        for _ in range(runs):
            place = 0
            for d in range(rank - 1):
                place = place * target[d] + index[d]
            if rank:
                place *= target[rank - 1]
            copy_bytes(out + i * room + place * size, source, run)
            source += run
            for d in range(rank - 2, -1, -1):
                index[d] += 1
                if index[d] < shapes[i, d]:
                    break
                index[d] = 0
