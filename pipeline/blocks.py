"""A block: a run of consecutive elements held as columns in one buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .columns import Allocate, Arena, Array, Column, Layout, column_of, layout_of
from .errors import InvalidArgumentError, MalformedMessage, ResourceExhaustedError
from .structure import Element, Structure, flatten

__all__ = ["MAX_ROWS", "Block", "BlockBuilder", "BlockLayout"]

#: The most elements in one block.
MAX_ROWS = 1 << 20


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """Everything about a block but the bytes in its buffer."""

    structure: Structure
    rows: int
    columns: tuple[Layout, ...]

    @property
    def nbytes(self) -> int:
        """The buffer's size."""
        return sum(each.nbytes for each in self.columns)

    def to_data(self) -> list[Any]:
        """As plain data, for a message."""
        return [self.structure.to_data(), self.rows, [each.to_data() for each in self.columns]]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> BlockLayout:
        """Back from `to_data`; MalformedMessage for what cannot be."""
        try:
            structure, rows, columns = data
            layouts = tuple(Layout.from_data(each) for each in columns)
        except (TypeError, ValueError) as error:
            raise MalformedMessage(f"a block that is none: {error}") from error
        if type(rows) is not int or not 0 <= rows <= MAX_ROWS:
            raise MalformedMessage(f"a block of {rows!r} elements: 0 to {MAX_ROWS} can be")
        return cls(Structure.from_data(structure), rows, layouts)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """`rows` elements of one structure; their columns are views of `buffer`."""

    structure: Structure
    rows: int
    columns: tuple[Column, ...]
    buffer: Array
    lent: bool = False  #: Whether it lies in memory that who gets it may write to.

    @property
    def layout(self) -> BlockLayout:
        """What goes into a message beside the buffer."""
        return BlockLayout(self.structure, self.rows, tuple(each.layout for each in self.columns))

    @property
    def kind(self) -> tuple[Any, ...]:
        """What two blocks must share for their elements to be stored as one."""
        return (self.structure, *(each.kind for each in self.columns))

    @property
    def nbytes(self) -> int:
        """Size of the buffer."""
        return self.buffer.nbytes

    def element(self, row: int) -> Element:
        """One element; its arrays are views of the buffer where they can be."""
        return self.structure.pack([each.get(row) for each in self.columns])

    def components(self) -> Iterator[tuple[Any, ...]]:
        """The components of one element after the other."""
        return zip(*self.columns, strict=True) if self.columns else iter([()] * self.rows)

    def __iter__(self) -> Iterator[Element]:
        return map(self.structure.packer(), self.components())

    @classmethod
    def of_layout(cls, layout: BlockLayout, allocate: Allocate | None = None) -> Block:
        """A new one with room for the content, not filled; ResourceExhaustedError where memory has none.

        It lies where `allocate` says, if it says so.
        """
        shared = None if allocate is None else allocate(layout.nbytes)
        if shared is not None:
            return replace(cls.over(layout, shared), lent=True)
        try:
            buffer = np.empty(layout.nbytes, np.uint8)
        except (MemoryError, ValueError):
            raise ResourceExhaustedError(
                f"a block of {layout.rows} elements would take {layout.nbytes:,} bytes"
            ) from None
        return cls.over(layout, buffer)

    @classmethod
    def over(cls, layout: BlockLayout, buffer: Array) -> Block:
        """A block whose columns lie in `buffer`; MalformedMessage when they cannot."""
        arena = Arena(buffer)
        columns = tuple(arena.column(each) for each in layout.columns)
        if len(columns) != layout.structure.size or any(len(each) != layout.rows for each in columns):
            raise MalformedMessage("a block whose columns do not fit its structure or number of rows")
        return cls(layout.structure, layout.rows, columns, buffer)

    @classmethod
    def of_columns(
        cls, structure: Structure, rows: int, columns: Sequence[Column], allocate: Allocate | None = None
    ) -> Block:
        """A block with a copy of these columns of so many rows in one buffer, which lies where `allocate` says."""
        block = cls.of_layout(BlockLayout(structure, rows, tuple(each.layout for each in columns)), allocate)
        for new, old in zip(block.columns, columns, strict=True):
            for to, source in zip(new.arrays, old.arrays, strict=True):
                to[...] = source
        return block

    @classmethod
    def of_numbers(cls, numbers: Array) -> Block:
        """A block of scalars."""
        return cls.of_columns(Structure(), len(numbers), [Column(numbers.dtype, 0, numbers)])

    @classmethod
    def of_elements(cls, elements: Sequence[Element]) -> Block:
        """A block of elements of one structure.

        >>> list(Block.of_elements([(1, b"one"), (2, b"two")]))
        [(np.int32(1), b'one'), (np.int32(2), b'two')]
        """
        builder = BlockBuilder()
        for each in elements:
            if not builder.add(*flatten(each)):
                raise InvalidArgumentError("elements of one block differ in structure, dtype or rank")
        return builder.build()


class BlockBuilder:
    """Collects elements until there are enough of them for a block."""

    def __init__(self, allocate: Allocate | None = None) -> None:
        self.nbytes = 0
        self._allocate = allocate
        self._structure: Structure | None = None
        self._kinds: list[Any] = []
        self._rows: list[list[Any]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, components: list[Any], structure: Structure) -> bool:
        """Take one more element; False, and nothing is taken, where it does not fit the ones before."""
        kinds: list[Any] = []
        nbytes = 0
        for each in components:
            kind = type(each)
            # A scalar's class stands for dtype and rank.
            kinds.append((each.dtype, each.ndim) if kind is np.ndarray else kind)
            nbytes += each.nbytes if kind is np.ndarray else len(each) if kind is bytes else 8
        if not self._rows:
            self._structure, self._kinds = structure, kinds
        elif kinds != self._kinds or (structure is not self._structure and structure != self._structure):
            return False
        self._rows.append(components)
        self.nbytes += nbytes
        return True

    def build(self) -> Block:
        """The block; the builder is empty afterwards."""
        assert self._structure is not None, "build() before add()"
        columns = list(zip(*self._rows, strict=True))
        layouts = tuple(layout_of(each) for each in columns)
        layout = BlockLayout(self._structure, len(self._rows), layouts)
        arena = Arena.of(layout.nbytes, self._allocate)
        filled = tuple(column_of(column, each, arena) for column, each in zip(columns, layouts, strict=True))
        block = Block(self._structure, len(self._rows), filled, arena.buffer)
        self._rows, self.nbytes = [], 0
        return block
