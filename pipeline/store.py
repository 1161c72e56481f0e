"""The store: blocks in memory, and handles to their elements.

A handle is an integer, block number times 2**20 plus row. Operators move handles; elements stay where
they are until a gather copies them into a new block, a batch. A block is freed when its last element
is released. Where more than half of a block's bytes are released, the rest moves to a smaller buffer,
so that few survivors never hold much more memory than they need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .blocks import MAX_ROWS, Block
from .columns import Allocate
from .errors import InvalidArgumentError
from .gathering import Picked, gather_block, join_blocks
from .lineage import Cached, Identities, Itself, Joined, Leaf, Lineage, Numbers, together
from .structure import Structure
from .work import Work

__all__ = ["Handles", "Identities", "Store", "Tags"]

Handles = npt.NDArray[np.int64]
#: One row an element, what functions say of it (see `tags`).
Tags = npt.NDArray[np.int64]

ROW_BITS = MAX_ROWS.bit_length() - 1
#: Elements that travel together take about so much at most, unless one alone takes more.
TOGETHER_BYTES = 64 << 20
_ROW_MASK = MAX_ROWS - 1
#: The place of one that is alone.
_FIRST = np.zeros(1, np.int64)
#: Blocks smaller than this are not worth moving.
_COMPACT_FROM = 64 << 10


@dataclass(slots=True)
class _Entry:
    block: Block
    identities: Identities
    live: npt.NDArray[np.bool_]
    count: int
    derived: bool
    lineage: Lineage | None = None  #: Of derived elements; None where they are kept as they are.
    rows: Handles | None = None  #: Where each row lies now, once the block was made smaller.
    tags: Tags | None = None  #: Where functions said something of each element.

    def now(self, rows: Handles) -> Handles:
        """Where these rows lie."""
        return rows if self.rows is None else self.rows[rows]


@dataclass(slots=True)
class Store:
    """Blocks by number."""

    nbytes: int = 0  #: Of all buffers held.
    paths: dict[int, str] = field(default_factory=dict)  #: Of the files that were opened, by origin.
    works: dict[int, Work] = field(default_factory=dict)  #: By which elements of an origin are made again.
    _entries: dict[int, _Entry] = field(default_factory=dict)
    _next: int = 0

    def __len__(self) -> int:
        return sum(entry.count for entry in self._entries.values())

    def add(
        self,
        block: Block,
        identities: Identities,
        derived: bool = False,
        lineage: Lineage | None = None,
        tags: Tags | None = None,
    ) -> Handles:
        """Take a block; the handles of its elements, in order.

        `derived` ones were made of others, as `lineage` says; without that they are told of as they are.
        """
        if block.rows > MAX_ROWS:
            raise InvalidArgumentError(f"a block of {block.rows} elements: {MAX_ROWS} are the most")
        number, self._next = self._next, self._next + 1
        live = np.ones(block.rows, np.bool_)
        self._entries[number] = _Entry(block, identities, live, block.rows, derived, lineage, tags=tags)
        self.nbytes += block.nbytes
        return np.arange(block.rows, dtype=np.int64) + (number << ROW_BITS)

    def release(self, handles: Handles) -> None:
        """These elements are no longer needed."""
        for number, rows, _ in _by_block(handles):
            entry = self._entries[number]
            entry.live[rows] = False
            entry.count -= len(rows)
            if entry.count == 0:
                self.nbytes -= entry.block.nbytes
                del self._entries[number]
            else:
                self._compact(entry)

    def identities(self, handles: Handles) -> Identities:
        """Origin and offset of each."""
        out = np.empty((len(handles), 2), np.uint64)
        for number, rows, places in _by_block(handles):
            entry = self._entries[number]
            out[places] = entry.identities[entry.now(rows)]
        return out

    def tags(self, handles: Handles) -> Tags:
        """What functions said of each; for elements as a segment with tags gave them."""
        parts = [(self._entries[number], rows, places) for number, rows, places in _by_block(handles)]
        assert parts[0][0].tags is not None, "these have no tags"
        out = np.empty((len(handles), parts[0][0].tags.shape[1]), np.int64)
        for entry, rows, places in parts:
            assert entry.tags is not None, "these have no tags"
            out[places] = entry.tags[entry.now(rows)]
        return out

    def opened(self, work: Work) -> None:
        """Remember where elements of this work's origin come from."""
        if work.origin and work.origin not in self.works:
            self.works[work.origin] = work.whole()
            if work.path:
                self.paths[work.origin] = work.path

    def paths_of(self, handles: Handles) -> tuple[tuple[int, str], ...]:
        """The files that these elements came from, each with its origin."""
        origins = set(self.identities(handles)[:, 0].tolist())
        return tuple((origin, self.paths[origin]) for origin in sorted(origins & self.paths.keys()))

    def lineage(self, handles: Handles) -> Lineage:
        """Of what these are made."""
        found: list[Lineage] = []
        order: list[Handles] = []
        for number, rows, places in _by_block(handles):
            found.append(_told(self._entries[number], rows))
            order.append(places)
        if not found:
            return Leaf(np.empty((0, 2), np.uint64))
        if len(found) == 1:
            return found[0]
        all_of_them, places = together(found), np.concatenate(order)
        if (places[1:] > places[:-1]).all():
            return all_of_them
        back = np.empty_like(places)
        back[places] = np.arange(len(places))
        return all_of_them.rows(back)

    def copy(self, handles: Handles) -> Handles:
        """The same elements once more."""
        made = [np.empty(0, np.int64)]
        while len(handles):
            count = self.alike(handles)
            lineage = self.lineage(handles[:count])
            leaf = isinstance(lineage, Leaf)
            block, who = self.gather(handles[:count]), self.identities(handles[:count])
            made.append(self.add(block, who, not leaf, None if leaf else lineage))
            handles = handles[count:]
        return np.concatenate(made)

    def renumbered(self, handles: Handles, origin: int, numbers: Handles) -> Handles:
        """The same elements, known as these numbers of one origin: see `lineage.Cached`. The old ones are released."""
        made = [np.empty(0, np.int64)]
        while len(handles):
            some = handles[: self.alike(handles)]
            lineage = Cached(origin, numbers[: len(some)], self.lineage(some))
            block = self.whole(some) or self.gather(some)
            made.append(self.add(block, lineage.identities, True, lineage))
            self.release(some)
            handles, numbers = handles[len(some) :], numbers[len(some) :]
        return np.concatenate(made) if len(made) != 2 else made[1]

    def gather(self, handles: Handles, fold: int | None = None, allocate: Allocate | None = None) -> Block:
        """A new block with copies of these elements; with `fold`, one element for each `fold` of them stacked.

        It lies where `allocate` says, or in memory of our own.

        Raises:
            InvalidArgumentError: elements of unlike structure or dtype, or, with `fold`, of unlike shape.
        """
        return gather_block(*self._picked(handles), fold, allocate)

    def join(self, nest: Structure, parts: Sequence[Handles | Block]) -> Handles:
        """New elements of elements side by side: the first of each part together, and so on. The parts are released.

        Their structure is `nest` with that of the parts in place of its leaves. A part may be a block of numbers.
        """
        made: list[Handles] = [np.empty(0, np.int64)]
        at, count = 0, max(map(_length, parts))
        while at < count:
            # Elements of one part may differ in structure or dtype: those that do not lie in one block.
            most = min(self.alike(each[at:]) for each in parts if not isinstance(each, Block))
            made.append(self._join(nest, [_rows(each, at, at + most) for each in parts]))
            at += most
        for each in parts:
            if not isinstance(each, Block):
                self.release(each)
        return np.concatenate(made) if len(made) != 2 else made[1]

    def _join(self, nest: Structure, parts: Sequence[Handles | Picked]) -> Handles:
        picked = [each if isinstance(each, tuple) else self._picked(each) for each in parts]
        sides = [_numbers(each) if isinstance(each, tuple) else self.lineage(each) for each in parts]
        lineage = Joined.beside(nest, sides)
        return self.add(join_blocks(nest, picked), lineage.identities, True, lineage)

    def _picked(self, handles: Handles) -> Picked:
        """Where these elements lie."""
        which = np.empty(len(handles), np.int64)
        rows_now = np.empty(len(handles), np.int64)
        blocks: list[Block] = []
        for number, rows, places in _by_block(handles):
            entry = self._entries[number]
            which[places] = len(blocks)
            rows_now[places] = entry.now(rows)
            blocks.append(entry.block)
        return blocks, which, rows_now

    def structure(self, handles: Handles) -> Structure:
        """How the first of these nests."""
        return self._entries[int(handles[0]) >> ROW_BITS].block.structure

    def whole(self, handles: Handles) -> Block | None:
        """The block that holds exactly these elements in this order, or None."""
        number, first = int(handles[0]) >> ROW_BITS, int(handles[0]) & _ROW_MASK
        entry = self._entries[number]
        if first or entry.rows is not None or entry.block.rows != len(handles):
            return None
        expected = np.arange(len(handles), dtype=np.int64) + (number << ROW_BITS)
        return entry.block if np.array_equal(handles, expected) else None

    def together(self, handles: Handles) -> int:
        """How many of the first of these can travel as one block: alike, and not too much for a message."""
        count = self.alike(handles)
        while count > 1 and self.nbytes_of(handles[:count]) > TOGETHER_BYTES:
            count //= 2
        return count

    def alike(self, handles: Handles) -> int:
        """How many of the first of these can be gathered into one block: as many as have one structure and dtype."""
        numbers = handles >> ROW_BITS
        changes = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
        if not len(changes):
            return len(handles)
        kind = self._entries[int(numbers[0])].block.kind
        for place in changes.tolist():
            if self._entries[int(numbers[place])].block.kind != kind:
                return int(place)
        return len(handles)

    def nbytes_of(self, handles: Handles) -> int:
        """Bytes of content of these elements, the same whatever blocks they came in."""
        return int(self.sizes(handles).sum())

    def sizes(self, handles: Handles) -> Handles:
        """The same of each."""
        out = np.zeros(len(handles), np.int64)
        for number, rows, places in _by_block(handles):
            entry = self._entries[number]
            now = entry.now(rows)
            for column in entry.block.columns:
                out[places] += column.sizes(now)
        return out

    def _compact(self, entry: _Entry) -> None:
        if entry.block.nbytes < _COMPACT_FROM or entry.count * 2 > entry.block.rows:
            return
        kept = np.flatnonzero(entry.live)
        rows_now = entry.now(kept)
        smaller = gather_block([entry.block], np.zeros(len(kept), np.int64), rows_now, None)
        self.nbytes += smaller.nbytes - entry.block.nbytes
        places = np.zeros(len(entry.live), np.int64)
        places[kept] = np.arange(len(kept))
        entry.block, entry.rows, entry.identities = smaller, places, entry.identities[rows_now]
        if entry.lineage is not None:
            entry.lineage = entry.lineage.rows(rows_now)
        if entry.tags is not None:
            entry.tags = entry.tags[rows_now]


def _length(part: Handles | Block) -> int:
    return part.rows if isinstance(part, Block) else len(part)


def _rows(part: Handles | Block, low: int, high: int) -> Handles | Picked:
    if isinstance(part, Block):
        return [part], np.zeros(high - low, np.int64), np.arange(low, high)
    return part[low:high]


def _numbers(picked: Picked) -> Numbers:
    blocks, _, rows = picked
    return Numbers(blocks[0].columns[0].values[rows])


def _told(entry: _Entry, rows: Handles) -> Lineage:
    """Of what some elements of one block are made."""
    rows = entry.now(rows)
    if entry.lineage is not None:
        return entry.lineage.rows(rows)
    who = entry.identities[rows]
    if not entry.derived:
        return Leaf(who)
    return Itself(who, gather_block([entry.block], np.zeros(len(rows), np.int64), rows, None))


def _by_block(handles: Handles) -> list[tuple[int, Handles, Handles]]:
    """The handles block by block: number, rows in it, and their places among the handles."""
    if len(handles) <= 1:
        return [(number >> ROW_BITS, handles & _ROW_MASK, _FIRST) for number in handles.tolist()]
    numbers = handles >> ROW_BITS
    if numbers[0] == numbers[-1] and (numbers == numbers[0]).all():
        return [(int(numbers[0]), handles & _ROW_MASK, np.arange(len(handles)))]
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    starts, stops = [0, *cuts.tolist()], [*cuts.tolist(), len(handles)]
    rows = (handles & _ROW_MASK)[order]
    return [(int(ordered[low]), rows[low:high], order[low:high]) for low, high in zip(starts, stops, strict=True)]
