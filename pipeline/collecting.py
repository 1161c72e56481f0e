"""Collecting: elements behind a segment's functions, on their way into a piece."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .blocks import Block, BlockBuilder
from .readers import slice_of
from .store import Identities
from .structure import Structure
from .work import Appetite, Piece

__all__ = ["Collected"]


class Collected:
    """Elements on their way into a piece: one by one, or, with a `block`, those that lie together there."""

    def __init__(self, first: int, who: Identities, appetite: Appetite, block: Block | None) -> None:
        self.first, self.who, self.appetite, self.block = first, who, appetite, block
        self.each = 0 if block is None else block.nbytes // max(1, block.rows)
        self.builder = BlockBuilder(appetite.allocate)
        self.rows: list[int] = []
        self.at: list[int] = []
        self.tags: list[list[int]] = []
        self.gaps: list[int] = []
        self.left_out = 0  #: Since the last element that was kept.
        self.since = time.monotonic()

    def add(self, found: tuple[list[Any], Structure], row: int, at: int, tags: list[int]) -> bool:
        """Take an element's components and structure; False where it does not lie in one block with those before."""
        if self.block is None and not self.builder.add(*found):
            return False
        self.rows.append(row)
        self.at.append(at)
        self.tags.append(tags)
        self.gaps.append(self.left_out)
        self.left_out = 0
        return True

    def full(self) -> bool:
        """Whether to end here; also where nothing was kept for long, so that progress is seen."""
        nbytes = self.builder.nbytes + self.each * len(self.rows)
        if len(self.rows) >= self.appetite.elements or nbytes >= self.appetite.nbytes:
            return True
        return time.monotonic() - self.since >= self.appetite.seconds

    def _built(self) -> Block:
        if (block := self.block) is None:
            return self.builder.build()
        low, high = self.rows[0], self.rows[-1] + 1
        columns = [slice_of(each, low, high) for each in block.columns]
        return Block.of_columns(block.structure, high - low, columns, self.appetite.allocate)

    def piece(self, end: int) -> Iterator[Piece]:
        """What was collected, as a piece up to a position, if there is anything to say."""
        if self.rows:
            block = self._built()
            piece = Piece(self.first, end, block, self.who[self.rows], np.array(self.at, np.int64))
            if self.tags[0]:
                piece.tags = np.array(self.tags, np.int64)
            if left_out := sum(self.gaps) + self.left_out:
                piece.left_out, piece.gaps = left_out, np.array([*self.gaps, self.left_out], np.int64)
            yield piece
        elif end > self.first:
            yield Piece(self.first, end, left_out=self.left_out)
