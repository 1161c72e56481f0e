"""Unbatching: the rows of elements handed along, whole columns at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .blocks import MAX_ROWS, Block, BlockBuilder
from .columns import Array, Column
from .errors import HeadraceError, InvalidArgumentError
from .flat import GRAIN, inner_origin
from .place import Path
from .readers import CHUNK_BYTES, Chunk, failed, nothing, rows_of, slice_of
from .segment import describe, place
from .stacking import is_composite
from .unstacking import unstacked
from .work import Payload, Work, identities

__all__ = ["unbatched"]


def unbatched(path: Path, work: Work, payload: Payload) -> Iterator[Chunk]:
    """The rows of each element, from where the work starts; an element that has none is a failure in its place.

    Input positions are those of `Flat`.
    """
    block, (row, before) = payload.block, divmod(work.start, GRAIN)
    if is_composite(block.structure):
        yield from _unstacked(path, work, payload)
        return
    lengths = np.stack([_lengths(each) for each in block.columns]) if block.columns else np.empty((0, block.rows))
    agree = (lengths == lengths[:1]).all(axis=0) & (lengths >= 0).all(axis=0) & (len(lengths) > 0)
    while row < block.rows:
        if agree[row]:
            odd = np.flatnonzero(~agree[row:])
            end = row + int(odd[0]) if len(odd) else block.rows
            yield from _rows(path, payload, row, end, before, lengths[0, row:end])
        else:
            end = row + 1
            error = place(_disagreement(block, lengths[:, row]), "unbatch", _name(work, payload, row))
            yield failed(error, end * GRAIN)
        row, before = end, 0


def _unstacked(path: Path, work: Work, payload: Payload) -> Iterator[Chunk]:
    """The rows of elements that hold ragged or sparse values, one element after the other."""
    first, before = divmod(work.start, GRAIN)
    for row in range(first, payload.block.rows):
        element = rows_of(payload.block, row, row + 1)
        try:
            rows, structure = unstacked(list(next(element.components())), element.structure)
        except InvalidArgumentError as error:
            yield failed(place(error, "unbatch", _name(work, payload, row)), (row + 1) * GRAIN)
            continue
        origin = inner_origin(path, payload.identities[row].tolist())
        at, end = before, len(rows)
        while at < end:
            builder, low = BlockBuilder(), at
            while (
                at < end and builder.nbytes < CHUNK_BYTES and at - low < MAX_ROWS and builder.add(rows[at], structure)
            ):
                at += 1
            offsets = row * GRAIN + np.arange(low, at)
            behind = (row + 1) * GRAIN if at == end else row * GRAIN + at
            yield Chunk(builder.build(), offsets, behind, identities(origin, np.arange(low, at)))
        if before >= end:
            yield nothing((row + 1) * GRAIN)
        before = 0


def _name(work: Work, payload: Payload, row: int) -> str:
    origin, offset = payload.identities[row].tolist()
    return describe(work, origin, offset)


def _lengths(column: Column) -> Array:
    """How many rows each element of a column has; -1 for scalars."""
    if column.rank == 0:
        return np.full(len(column), -1)
    return column.shapes[:, 0] if column.shapes is not None else np.full(len(column), column.values.shape[1])


def _disagreement(block: Block, lengths: Array) -> HeadraceError:
    names = block.structure.names()
    if not names:
        return InvalidArgumentError("an element without components cannot be unbatched")
    scalars = [name for name, column in zip(names, block.columns, strict=True) if column.rank == 0]
    if scalars:
        return InvalidArgumentError(f"component {scalars[0]} is a scalar, which has no rows to unbatch")
    described = ", ".join(f"{name}: {length}" for name, length in zip(names, lengths.tolist(), strict=False))
    return InvalidArgumentError(f"all components of an element to unbatch must have one length, not {described}")


def _rows(path: Path, payload: Payload, low: int, high: int, before: int, counts: Array) -> Iterator[Chunk]:
    """The rows of the elements from `low` to `high`, but for the first so many, a chunk at a time."""
    whole, total = payload.block, int(counts.sum())
    columns = tuple(_apart(slice_of(each, low, high), total) for each in whole.columns)
    rows = Block(whole.structure, total, columns, whole.buffer)
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    offsets = np.repeat(np.arange(low, high), counts) * GRAIN + within
    origins = [inner_origin(path, outer) for outer in payload.identities[low:high].tolist()]
    who = identities(0, within)
    who[:, 0] = np.repeat(np.array(origins, np.uint64), counts)
    step = max(1, min(MAX_ROWS, CHUNK_BYTES * total // max(1, whole.nbytes)))
    for first in range(before, total, step):
        last = min(total, first + step)
        end = int(offsets[last]) if last < total else high * GRAIN
        yield Chunk(rows_of(rows, first, last), offsets[first:last], end, who[first:last])
    if before >= total:
        yield nothing(high * GRAIN)


def _apart(column: Column, total: int) -> Column:
    """A column of so many rows, from one of elements that have them."""
    dtype, rank = column.dtype, column.rank - 1
    if column.dense:
        return Column(dtype, rank, column.values.reshape(total, *column.values.shape[2:]))
    assert column.shapes is not None, "elements with rows have shapes"
    if rank == 0:
        return Column(dtype, rank, column.values, column.splits)
    rest = np.repeat(column.shapes[:, 1:], column.shapes[:, 0], axis=0)
    if column.splits is None and len(rest) and (rest == rest[0]).all():
        return Column(dtype, rank, column.values.reshape(total, *rest[0].tolist()))
    rows = np.concatenate([[0], np.cumsum(np.prod(rest, axis=1))])
    return Column(dtype, rank, column.values, column.splits, rows, rest)
