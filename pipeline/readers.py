"""Readers: from a unit of work to chunks of elements, for each kind of leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .blocks import Block
from .columns import Allocate, Arena, Array, Column, column_of, layout_of
from .delimited import CsvChunk, read_csv
from .errors import FileError, HeadraceError, NotFoundError
from .fixed import Frame, read_fixed
from .gathering import gather_block
from .lines import read_lines
from .nested import block_of
from .nodes import Counter, Csv, Elements, FixedRecords, Lines, Node, Numbered, Range, Records, Rows
from .numbered import NumberedFiles
from .records import RecordChunk, read_records
from .store import Identities
from .structure import Structure, flat_tuple
from .work import BEHIND, Payload, Work

__all__ = ["CHUNK_BYTES", "Chunk", "among", "failed", "nothing", "only", "read", "rows_of", "runs", "slice_of"]

#: About how much one chunk holds.
CHUNK_BYTES = 1 << 20
_EMPTY = Block.of_elements([np.int64(0)])


@dataclass(slots=True)
class Chunk:
    """Some consecutive elements and the input positions at which they begin."""

    block: Block
    offsets: npt.NDArray[np.int64]
    next: int  #: The input position behind them.
    identities: Identities | None = None  #: Where they are not the work's origin and the offsets.
    names: Callable[[int], str] | None = None  #: What to call the element in a row, where its identity does not tell.
    error: HeadraceError | None = None  #: Instead of elements: why the input at this position cannot be read.
    state: bytes | None = None  #: That of a sequential function behind them.


def read(leaf: Node | None, work: Work, payload: Payload | None, allocate: Allocate | None = None) -> Iterator[Chunk]:
    """The elements of a unit of work before any function; what cannot be read is a chunk with an error.

    Blocks lie where `allocate` says, if it says so.
    """
    if leaf is None:
        assert payload is not None, "work on elements handed along, without them"
        return _handed(payload, work)
    return _read(leaf, work, allocate)


def failed(error: HeadraceError, position: int) -> Chunk:
    """No element, but why: it covers the input up to a position."""
    return Chunk(_EMPTY, np.empty(0, np.int64), position, error=error)


def nothing(position: int) -> Chunk:
    """No element: the input up to a position has none, or none yet."""
    return Chunk(_EMPTY, np.empty(0, np.int64), position)


def _handed(payload: Payload, work: Work) -> Iterator[Chunk]:
    stop = payload.block.rows if work.stop is None else work.stop
    if stop > work.start:
        # A copy, because a function may write into what it is given.
        rows = rows_of(payload.block, work.start, stop)
        yield Chunk(rows, np.arange(work.start, stop), stop, payload.identities[work.start : stop])


def rows_of(block: Block, low: int, high: int) -> Block:
    """A copy of some consecutive rows."""
    return Block.of_columns(block.structure, high - low, [slice_of(each, low, high) for each in block.columns])


def slice_of(column: Column, low: int, high: int) -> Column:
    """Rows `low` to `high` of a column, bounds counted from zero."""
    if column.dense:
        return Column(column.dtype, column.rank, column.values[low:high])
    rows = shapes = None
    first, last = low, high
    if column.rows is not None and column.shapes is not None:
        first, last = int(column.rows[low]), int(column.rows[high])
        rows, shapes = column.rows[low : high + 1] - first, column.shapes[low:high]
    splits = None
    if column.splits is not None:
        splits = column.splits[first : last + 1]
        first, last = int(splits[0]), int(splits[-1])
        splits = splits - first
    return Column(column.dtype, column.rank, column.values[first:last], splits, rows, shapes)


@singledispatch
def _read(leaf: Node, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    raise TypeError(f"{type(leaf).__name__} is no leaf")


@_read.register
def _(leaf: Rows, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    each = sum(array.nbytes // max(1, len(array)) for array in leaf.arrays)
    for at in runs(work, max(1, CHUNK_BYTES // max(1, each))):
        apart = work.view or work.only is not None
        rows = work.offsets(at) if apart else slice(int(at[0]), int(at[-1]) + 1)
        try:
            columns = [_rows_column(array[rows]) for array in leaf.arrays]
        except FileError as error:  # of an array that lies in one
            yield from (failed(error, position + 1) for position in at.tolist())
            continue
        block = Block.of_columns(leaf.structure, len(at), columns, allocate)
        yield Chunk(block, at, int(at[-1]) + 1)


@_read.register
def _(leaf: Elements, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    block = block_of(leaf)
    for at in runs(work, max(1, CHUNK_BYTES * block.rows // max(1, block.nbytes))):
        # Copies, because a function may write into what it is given.
        picked = gather_block([block], np.zeros(len(at), np.int64), work.offsets(at), None, allocate)
        yield Chunk(picked, at, int(at[-1]) + 1)


@_read.register
def _(leaf: Range, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    for at in runs(work):
        values = (leaf.start + leaf.step * work.offsets(at)).astype(leaf.dtype)
        column = Column(leaf.dtype, 0, values)
        yield Chunk(Block.of_columns(Structure(), len(at), [column], allocate), at, int(at[-1]) + 1)


@_read.register
def _(leaf: Counter, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    for at in runs(work):
        column = Column(leaf.dtype, 0, _counted(leaf, work.offsets(at)))
        yield Chunk(Block.of_columns(Structure(), len(at), [column], allocate), at, int(at[-1]) + 1)


def _counted(leaf: Counter, numbers: Array) -> Array:
    """The elements of these numbers. Integers are 64 bits that wrap around, of which a dtype may keep fewer."""
    if np.dtype(leaf.dtype).kind == "f":
        with np.errstate(over="ignore"):
            return np.asarray(leaf.start + leaf.step * numbers.astype(np.float64), leaf.dtype)
    start, step = (np.uint64(each % (1 << 64)) for each in (leaf.start, leaf.step))
    found: Array = (start + step * numbers.astype(np.uint64)).astype(leaf.dtype)
    return found


def runs(work: Work, rows: int = CHUNK_BYTES // 8) -> Iterator[Array]:
    """The positions, so many at a time."""
    assert work.stop is not None
    wanted = None if work.only is None else np.array(work.only, np.int64)
    count = work.stop - work.start if wanted is None else len(wanted)
    for low in range(0, count, rows):
        high = min(count, low + rows)
        at = np.arange(work.start + low, work.start + high) if wanted is None else wanted[low:high]
        if len(at := at[at >= work.start]):
            yield at


def _rows_column(rows: Array) -> Column:
    if rows.dtype != object:
        return Column(rows.dtype, rows.ndim - 1, rows)
    components: Sequence[Any] = list(rows)
    layout = layout_of(components)
    return column_of(components, layout, Arena.of(layout.nbytes))


@_read.register
def _(leaf: Numbered, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    with NumberedFiles(leaf) as files:
        for at in runs(work, CHUNK_BYTES // 64):
            rows, taken = work.offsets(at), 0
            for some in files.read(rows, CHUNK_BYTES):
                if some.error is not None:
                    yield failed(some.error, int(at[taken]) + 1)
                    taken += 1
                    continue
                column = Column(bytes, 0, some.data, some.splits)
                mine, taken = at[taken : taken + len(column)], taken + len(column)
                block = Block.of_columns(Structure(), len(column), [column], allocate)
                yield Chunk(block, mine, int(mine[-1]) + 1, names=_names(files, rows[taken - len(column) : taken]))


def _names(files: NumberedFiles, rows: Array) -> Callable[[int], str]:
    return lambda row: files.name(int(rows[row]))


#: The elements of a file that begin between two positions, in blocks that lie where it says.
_Between: TypeAlias = "Callable[[int, int | None, Allocate | None], Iterator[Chunk]]"


_Enterable: TypeAlias = Records | FixedRecords | Csv


@_read.register
def _(leaf: Records, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    return _wanted(partial(_records, leaf, work), leaf, work, allocate)


@_read.register
def _(leaf: FixedRecords, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    frame = Frame(leaf.record_bytes, leaf.header_bytes, leaf.footer_bytes)

    def between(start: int, stop: int | None, allocate: Allocate | None) -> Iterator[Chunk]:
        chunks = read_fixed(work.path, frame, leaf.compression, start, stop, CHUNK_BYTES)
        return _guarded(_strings(chunks, allocate), work)

    return _wanted(between, leaf, work, allocate)


@_read.register
def _(leaf: Csv, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    def between(start: int, stop: int | None, allocate: Allocate | None) -> Iterator[Chunk]:
        return _guarded(_tuples(read_csv(work.path, leaf, start, stop, CHUNK_BYTES), allocate), work)

    return _wanted(between, leaf, work, allocate)


def _tuples(chunks: Iterator[CsvChunk], allocate: Allocate | None) -> Iterator[Chunk]:
    for chunk in chunks:
        if chunk.error is not None:
            yield failed(chunk.error, chunk.next_offset)
        else:
            structure = flat_tuple(len(chunk.columns))
            block = Block.of_columns(structure, len(chunk.offsets), chunk.columns, allocate)
            yield Chunk(block, chunk.offsets, chunk.next_offset)


def _wanted(between: _Between, leaf: _Enterable, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    """What a unit of work wants of a file that can be entered at any element."""
    if work.only is None:
        yield from between(work.start, work.stop, allocate)
        return
    wanted = np.array(work.only, np.int64)
    wanted = wanted[wanted >= work.start]
    # What cannot be entered in the middle is read through; else what is far apart is read by itself.
    apart = np.diff(wanted) > (BEHIND if leaf.compression else CHUNK_BYTES)
    for near in np.split(wanted, np.flatnonzero(apart) + 1):
        yield from only(between(int(near[0]), int(near[-1]) + 1, None), near)


def _records(leaf: Records, work: Work, start: int, stop: int | None, allocate: Allocate | None) -> Iterator[Chunk]:
    """Those that begin between two positions."""
    position: int | None = start
    while position is not None and (stop is None or position < stop):
        chunks = read_records(work.path, leaf.compression, position, stop, CHUNK_BYTES)
        position = None
        for chunk in _guarded(_strings(chunks, allocate), work):
            yield chunk
            # Behind a payload whose CRC is wrong the framing still holds: only that record is lost.
            position = chunk.error.resume if isinstance(chunk.error, FileError) else None


@_read.register
def _(leaf: Lines, work: Work, allocate: Allocate | None) -> Iterator[Chunk]:
    chunks = read_lines(work.path, leaf.compression, work.start, work.stop, CHUNK_BYTES)
    if work.only is None:
        yield from _guarded(_strings(chunks, allocate), work)
    else:
        yield from only(_guarded(_strings(chunks), work), np.array(work.only, np.int64))


def among(wanted: Array, positions: Array) -> Array:
    """Which of these positions are wanted, in order, as booleans.

    >>> among(np.array([2, 5]), np.arange(4)).tolist()
    [False, False, True, False]
    """
    places = np.searchsorted(wanted, positions)
    found: Array = wanted[np.minimum(places, len(wanted) - 1)] == positions
    return found


def only(chunks: Iterable[Chunk], wanted: Array) -> Iterator[Chunk]:
    """Of these elements, those at positions that are wanted."""
    for chunk in chunks:
        rows = np.flatnonzero(among(wanted, chunk.offsets))
        if chunk.error is not None or len(rows) == len(chunk.offsets):
            yield chunk
        elif len(rows):
            block = gather_block([chunk.block], np.zeros(len(rows), np.int64), rows, None)
            who = None if chunk.identities is None else chunk.identities[rows]
            assert chunk.names is None, "what can be picked is named by its identity"
            yield Chunk(block, chunk.offsets[rows], chunk.next, who)
        else:
            yield nothing(chunk.next)


def _strings(chunks: Iterator[RecordChunk], allocate: Allocate | None = None) -> Iterator[Chunk]:
    for chunk in chunks:
        column = Column(bytes, 0, chunk.data, chunk.splits)
        block = Block.of_columns(Structure(), len(column), [column], allocate)
        yield Chunk(block, chunk.offsets, chunk.next_offset)


def _guarded(chunks: Iterator[Chunk], work: Work) -> Iterator[Chunk]:
    """What a file gives; that it cannot be read further is one failure that covers the rest."""
    try:
        yield from chunks
    except (HeadraceError, OSError, ValueError) as error:
        told = error if isinstance(error, HeadraceError) else NotFoundError(work.path, f"cannot be read: {error}")
        end = told.resume if isinstance(told, FileError) and told.resume is not None else BEHIND
        yield failed(told, end)
