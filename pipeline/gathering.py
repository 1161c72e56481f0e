"""Gathering: elements picked from many blocks, copied once into a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .blocks import Block, BlockLayout
from .columns import Allocate, Array, Column, Layout
from .errors import InvalidArgumentError
from .kernels.gather import gather_rows, gather_runs, gather_strings, load_bounds
from .spec import DType, dtype_name
from .structure import Structure

__all__ = ["Picked", "gather_block", "join_blocks", "refuse_datasets", "unlike"]

#: Blocks, and for each element which of them it lies in and in what row.
Picked: TypeAlias = tuple[Sequence[Block], Array, Array]


def gather_block(
    blocks: Sequence[Block], which: Array, rows: Array, fold: int | None, allocate: Allocate | None = None
) -> Block:
    """Row `rows[i]` of block `which[i]`, for each i; with `fold`, every `fold` of them stacked to one element.

    The block lies where `allocate` says, or in memory of our own.

    Raises:
        InvalidArgumentError: blocks of unlike structure or dtype; with `fold`, elements of unlike shape.
    """
    picks = _picks((blocks, which, rows))
    if fold is not None:
        refuse_datasets(blocks[0].structure)
    count = len(which) if fold is None else len(which) // fold
    return _filled(blocks[0].structure, count, picks, fold, allocate)


def refuse_datasets(structure: Structure) -> None:
    """Datasets are not stacked.

    Raises:
        InvalidArgumentError: an element of this structure holds one.
    """
    for name, leaf in zip(structure.names(), structure.leaves(), strict=True):
        if leaf.kind == "dataset":
            raise InvalidArgumentError(
                f"component {name} is a dataset, and datasets cannot be batched: batch its elements, as in "
                "`flat_map(lambda window: window.batch(3))`"
            )


def join_blocks(nest: Structure, parts: Sequence[Picked]) -> Block:
    """Elements side by side: one of each part together, nested as `nest` says, whose leaves stand for the parts.

    Raises:
        InvalidArgumentError: elements of one part that are of unlike structure or dtype.
    """
    structure = nest.over([blocks[0].structure for blocks, _, _ in parts])
    return _filled(structure, len(parts[0][1]), [pick for part in parts for pick in _picks(part)], None)


def _picks(picked: Picked) -> list[_Pick]:
    """One for each column."""
    blocks, which, rows = picked
    first = blocks[0]
    for other in blocks[1:]:
        if other.kind != first.kind:
            raise InvalidArgumentError(unlike(first, other))
    names = first.structure.names()
    return [_Pick.of(names[i], [block.columns[i] for block in blocks], which, rows) for i in range(len(first.columns))]


def _filled(
    structure: Structure, count: int, picks: Sequence[_Pick], fold: int | None, allocate: Allocate | None = None
) -> Block:
    out = Block.of_layout(BlockLayout(structure, count, tuple(pick.layout(fold) for pick in picks)), allocate)
    for pick, column in zip(picks, out.columns, strict=True):
        pick.fill(column, fold)
    return out


def unlike(one: Block, other: Block) -> str:
    """In words, why elements of these two blocks cannot be one column."""
    if one.structure != other.structure:
        return f"elements differ in structure: {one.structure.names()} and {other.structure.names()}"
    for name, a, b in zip(one.structure.names(), one.columns, other.columns, strict=True):
        if a.dtype != b.dtype:
            return f"component {name} is {dtype_name(a.dtype)} in one element and {dtype_name(b.dtype)} in another"
        if a.rank != b.rank:
            return f"component {name} has rank {a.rank} in one element and {b.rank} in another"
    return "elements differ"


def _addresses(arrays: Sequence[Array | None]) -> Array:
    return np.array([0 if each is None else each.ctypes.data for each in arrays], np.int64)


@dataclass(slots=True)
class _Pick:
    """One column's part of a gather: which items of which sources."""

    name: str
    sources: Sequence[Column]
    which: Array
    rows: Array
    shape: tuple[int, ...] | None  #: That all picked elements share; None where they differ.
    starts: Array | None = None  #: Per element, first item and number of items; None for dense columns of one shape.
    counts: Array | None = None
    shapes: Array | None = None

    @property
    def dtype(self) -> DType:
        return self.sources[0].dtype

    @property
    def rank(self) -> int:
        return self.sources[0].rank

    @classmethod
    def of(cls, name: str, sources: Sequence[Column], which: Array, rows: Array) -> _Pick:
        shapes = {column.values.shape[1:] for column in sources if column.dense}
        if len(shapes) == 1 and all(column.dense for column in sources):
            return cls(name, sources, which, rows, shapes.pop())
        pick = cls(name, sources, which, rows, None)
        pick._load()
        return pick

    def _load(self) -> None:
        """Bounds and shapes of every element."""
        count = len(self.which)
        starts, counts = np.empty(count, np.int64), np.empty(count, np.int64)
        fixed = [_items_each(column) for column in self.sources]
        bases = _addresses([column.rows for column in self.sources])
        load_bounds(bases, np.array(fixed, np.int64), self.which, self.rows, starts, counts)
        shapes = np.empty((count, self.rank), np.int64)
        kept = [_shapes(column) for column in self.sources]
        gather_rows(_addresses(kept), self.which, self._shape_rows(), 8 * self.rank, shapes.ctypes.data)
        self.starts, self.counts, self.shapes = starts, counts, shapes
        if (shapes == shapes[0]).all():
            self.shape = tuple(shapes[0].tolist())

    def _shape_rows(self) -> Array:
        """A dense source has one shape for all its rows."""
        single = np.array([column.shapes is None for column in self.sources])
        return np.where(single[self.which], 0, self.rows)

    def layout(self, fold: int | None) -> Layout:
        """Of the gathered column."""
        count = len(self.which)
        if fold is None:
            return self._layout_flat(count)
        self._check(fold)
        batches, rank = count // fold, self.rank + 1
        if self.dtype is bytes:
            return Layout(bytes, rank, (self._nbytes(),), self._items() + 1, batches + 1)
        if self.shape is not None:
            return Layout(self.dtype, rank, (batches, fold, *self.shape))
        return Layout(self.dtype, rank, (self._items(),), None, batches + 1)

    def _layout_flat(self, count: int) -> Layout:
        if self.dtype is bytes:
            return Layout(bytes, self.rank, (self._nbytes(),), self._items() + 1, count + 1 if self.rank else None)
        if self.shape is not None:
            return Layout(self.dtype, self.rank, (count, *self.shape))
        return Layout(self.dtype, self.rank, (self._items(),), None, count + 1)

    def fill(self, out: Column, fold: int | None) -> None:
        """Copy the items, and write the bounds that `out` has."""
        if out.rows is not None and out.shapes is not None:
            self._fill_bounds(out, out.shapes, fold)
        bases = _addresses([column.values for column in self.sources])
        target = out.values.ctypes.data
        if out.splits is not None:
            assert self.starts is not None
            assert self.counts is not None
            splits = _addresses([column.splits for column in self.sources])
            gather_strings(bases, splits, self.which, self.starts, self.counts, out.splits, target)
        elif self.starts is None:
            stride = self.sources[0].values.dtype.itemsize * int(np.prod(self.shape or (), dtype=np.int64))
            gather_rows(bases, self.which, self.rows, stride, target)
        else:
            assert self.counts is not None
            gather_runs(bases, self.which, self.starts, self.counts, out.values.dtype.itemsize, target)

    def _fill_bounds(self, out: Column, shapes: Array, fold: int | None) -> None:
        assert self.counts is not None
        assert self.shapes is not None
        assert out.rows is not None
        ends = np.cumsum(self.counts)
        out.rows[0] = 0
        out.rows[1:] = ends[(fold or 1) - 1 :: fold or 1]
        if fold is None:
            shapes[...] = self.shapes
        else:
            shapes[:, 0] = fold
            shapes[:, 1:] = self.shapes[::fold]

    def _items(self) -> int:
        assert self.counts is not None
        return int(self.counts.sum())

    def _nbytes(self) -> int:
        assert self.starts is not None
        assert self.counts is not None
        bounds = np.empty(self._items() + 1, np.int64)
        values = np.zeros(len(self.sources), np.int64)
        splits = _addresses([column.splits for column in self.sources])
        return int(gather_strings(values, splits, self.which, self.starts, self.counts, bounds, 0))

    def _check(self, fold: int) -> None:
        """Stacking needs one shape within each batch."""
        if self.shape is not None or self.shapes is None:
            return
        firsts = np.repeat(self.shapes[::fold], fold, axis=0)
        odd = np.flatnonzero((self.shapes != firsts).any(axis=1))
        if len(odd):
            row = int(odd[0])
            raise InvalidArgumentError(
                f"Cannot batch tensors with different shapes in component {self.name}. First element had shape "
                f"{firsts[row].tolist()} and element {row % fold} had shape {self.shapes[row].tolist()}. "
                "Use padded_batch, or give them one shape in a map before"
            )


def _items_each(column: Column) -> int:
    """Items in each row of a column without bounds; -1 where the bounds must be read."""
    if column.rows is not None:
        return -1
    return 1 if column.splits is not None else int(np.prod(column.values.shape[1:], dtype=np.int64))


def _shapes(column: Column) -> Array:
    return column.shapes if column.shapes is not None else np.array([column.values.shape[1:]], np.int64)
