"""Held elements as plain data: small, and enough to compute just them again.

What operators hold is told run by run, each as a tree (see `lineage`) whose leaves are columns of integers (see
`tracks`). How elements are numbered costs nothing: a shuffle's window is found by playing its draws again, and offsets
grow along with these numbers. Read back, it may be anything: every count is bounded before memory is taken for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import Block, BlockLayout
from .draws import Draws
from .errors import MalformedMessage, ResourceExhaustedError
from .flat import GRAIN
from .lineage import Cached, Folded, Hopped, Itself, Joined, Leaf, Lineage, Mixed, Numbers
from .nested import check_nested
from .operators.protocol import Operator
from .place import Path
from .store import Handles, Store
from .structure import Structure
from .tracks import deflate, inflate, pack, pack_small, unpack, unpack_small
from .work import BEHIND, Work

__all__ = ["MOST", "Held", "Keeper", "Kept", "saved"]

#: The most elements that one checkpoint tells of.
MOST = 1 << 25
#: And how much of them is told as it is, at once.
ITSELF_BYTES = 256 << 20
#: No lineage that a graph leads to is deeper.
_DEEPEST = 200
_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What was held at another time, to be told of later."""

    lineage: Lineage
    draws: Draws | None
    numbers: Handles | None


@dataclass(slots=True)
class Keeper:
    """Collects what operators hold while they are saved, and tells it together."""

    store: Store
    runs: list[list[Any]] = field(default_factory=list)
    works: dict[int, int] = field(default_factory=dict)  #: From origins to their places in the table.
    count: int = 0  #: Of elements, in all.
    told: int = 0  #: Of these, of what they were made of, and so on.

    def keep(self, handles: Any, draws: Draws | None = None, numbers: Handles | None = None) -> int:
        """The number by which these elements, or what was kept of some, are found again."""
        kept = handles if isinstance(handles, Kept) else Kept(self.store.lineage(handles), draws, numbers)
        count = len(kept.lineage)
        tree = self._tell(kept.lineage, np.arange(count) if kept.numbers is None else kept.numbers)
        self.runs.append([None if kept.draws is None else kept.draws.to_data(), tree])
        self.count += count
        self.told += 0 if kept.draws is None else count
        return len(self.runs) - 1

    def _tell(self, lineage: Lineage, numbers: _Integers) -> list[Any]:
        self.told += len(lineage)
        match lineage:
            case Leaf(who):
                return ["leaf", len(who), *self._leaves(who, numbers)]
            case Numbers(values):
                return ["numbers", len(values), pack(values, numbers, np.zeros(len(values), np.int64), 1)]
            case Joined(nest, parts):
                return ["joined", nest.to_data(), [self._tell(part, numbers) for part in parts]]
            case Folded(part=part, padded=padded):
                sizes = lineage.sizes
                inside = self._tell(part, _within(numbers, sizes))
                return ["folded", len(sizes), None if padded is None else list(padded), pack_small(sizes), inside]
            case Hopped(path, inputs, _, None):
                return ["hopped", list(path), self._tell(inputs, numbers)]
            case Hopped(path, inputs, _, index, within) if index is not None and within is not None:
                which = [pack_small(index), pack(within, numbers, index, len(inputs))]
                return ["flat", len(index), list(path), *which, self._tell(inputs, np.arange(len(inputs)))]
            case Cached(origin, of_cache, part):
                ordered = pack(of_cache, numbers, np.zeros(len(of_cache), np.int64), 1)
                return ["cached", len(of_cache), origin, ordered, self._tell(part, numbers)]
            case Mixed(which, parts):
                told = [self._tell(part, numbers[which == k]) for k, part in enumerate(parts)]
                return ["mixed", len(which), pack_small(which.astype(np.int64)), told]
            case Itself(who, block):
                return ["itself", block.layout.to_data(), deflate(block.buffer), deflate(who)]
        raise TypeError(f"{type(lineage).__name__} is no lineage")

    def _leaves(self, who: npt.NDArray[np.uint64], numbers: _Integers) -> list[Any]:
        """Which works, which of them each element is of, and where it stands there."""
        heads = np.flatnonzero(np.diff(who[:, 0], prepend=~who[:1, 0])) if len(who) else np.empty(0, np.int64)
        origins, at_heads = np.unique(who[heads, 0], return_inverse=True)
        index = np.repeat(at_heads.astype(np.int64), np.diff(heads, append=len(who)))
        values = who[:, 1].astype(np.int64)
        for k, origin in enumerate(origins.tolist()):
            if (work := self.store.works[origin]).view:
                values[index == k] = work.positions(values[index == k])
        table = [self.works.setdefault(origin, len(self.works)) for origin in origins.tolist()]
        return [table, pack_small(index), pack(values, numbers, index, len(table))]

    def to_data(self) -> dict[str, Any]:
        """All of it."""
        works = [self.store.works[origin] for origin in self.works]
        table = [[list(each.segment), each.origin, each.path, each.view] for each in works]
        return {"count": self.count, "works": table, "runs": self.runs}


def saved(operator: Operator, store: Store) -> dict[str, Any]:
    """Where operators stand, and what they hold, as plain data: what `recovery.Recovered` and `restore` take.

    Raises:
        ResourceExhaustedError: they hold more than is ever read back.
    """
    keeper = Keeper(store)
    state = operator.snapshot(keeper.keep)
    if keeper.told > MOST:
        raise ResourceExhaustedError(f"{keeper.told:,} elements in buffers cannot be told: {MOST:,} are the most")
    return {"operator": state, "held": keeper.to_data()}


def _within(numbers: _Integers, sizes: _Integers) -> _Integers:
    """Numbers of what lies in folded elements: as if all were as large as the largest."""
    starts = np.cumsum(sizes) - sizes
    return np.repeat(numbers * sizes.max(initial=0) - starts, sizes) + np.arange(sizes.sum())


@dataclass(slots=True)
class Held:
    """What a checkpoint holds, read back."""

    works: list[Work]
    runs: list[Lineage] = field(default_factory=list)
    left: int = MOST  #: How many elements more may be told of.

    @classmethod
    def of(cls, data: Any) -> Held:
        """Back from `Keeper.to_data`, with no identities but those of leaves.

        Raises:
            MalformedMessage: what is no such thing, or too much of it.
        """
        try:
            held = cls([_work(each) for each in data["works"]])
            for draws, tree in data["runs"]:
                held.runs.append(held._run(draws, tree))
        except (TypeError, ValueError, KeyError, IndexError, OverflowError, AttributeError, RecursionError) as error:
            raise MalformedMessage(f"what is held cannot be read: {type(error).__name__}: {error}") from error
        return held

    def _run(self, draws: Any, tree: Any) -> Lineage:
        if draws is None:
            return self._read(tree, None, _DEEPEST)
        played = Draws.from_data(draws)
        self._count(played.held)
        return self._read(tree, np.sort(played.slots()), _DEEPEST)

    def _count(self, count: Any) -> int:
        """A count that was read, if it can be."""
        if type(count) is not int or not 0 <= count <= self.left:
            raise MalformedMessage(f"{count!r:.20} held elements: {MOST} in all are the most")
        self.left -= count
        return count

    def _read(self, tree: Any, numbers: _Integers | None, depth: int) -> Lineage:
        if depth == 0:
            raise MalformedMessage("held elements that are made of others too deeply")
        kind, *rest = tree
        return _READERS[kind](self, numbers, depth - 1, *rest)

    def _numbers(self, numbers: _Integers | None, count: Any) -> _Integers:
        """Of so many elements, which they must fit."""
        self._count(count)
        if numbers is not None and len(numbers) != count:
            raise MalformedMessage(f"{count} held elements where {len(numbers)} belong")
        return np.arange(count) if numbers is None else numbers

    def _leaf(
        self, numbers: _Integers | None, depth: int, count: Any, table: Any, index_data: Any, values: Any
    ) -> Lineage:
        numbers = self._numbers(numbers, count)
        works = [self.works[_natural(each)] for each in table]
        index = _below(unpack_small(index_data, count), len(works))
        positions = _below(unpack(values, numbers, index, len(works)), BEHIND)
        who = np.empty((count, 2), np.uint64)
        who[:, 0], who[:, 1] = np.array([work.origin for work in works], np.uint64)[index], positions
        for k, work in enumerate(works):
            if work.view:
                who[index == k, 1] = work.offsets(positions[index == k]).astype(np.uint64)
        return Leaf(who)

    def _counted(self, numbers: _Integers | None, depth: int, count: Any, values: Any) -> Lineage:
        numbers = self._numbers(numbers, count)
        return Numbers(unpack(values, numbers, np.zeros(count, np.int64), 1))

    def _joined(self, numbers: _Integers | None, depth: int, nest: Any, parts: Any) -> Lineage:
        structure = Structure.from_data(nest)
        read = tuple(self._read(each, numbers, depth) for each in parts)
        if len(read) != structure.size or len({len(each) for each in read}) != 1:
            raise MalformedMessage("joined elements whose parts do not fit one another")
        if all(isinstance(each, Numbers) for each in read):
            raise MalformedMessage("elements joined of numbers alone")
        return Joined(structure, read)

    def _folded(
        self, numbers: _Integers | None, depth: int, count: Any, padded: Any, sizes_data: Any, part: Any
    ) -> Lineage:
        numbers = self._numbers(numbers, count)
        sizes = unpack_small(sizes_data, count)
        if (sizes < 1).any() or (sizes > self.left).any() or sizes.sum() > self.left:
            raise MalformedMessage("folded elements of impossible sizes")
        read = self._read(part, _within(numbers, sizes), depth)
        if isinstance(read, Numbers) or len(read) != sizes.sum():
            raise MalformedMessage("folded elements that do not fit their parts")
        splits = np.concatenate([[0], np.cumsum(sizes)])
        return Folded(splits, read, None if padded is None else _path(padded))

    def _hopped(self, numbers: _Integers | None, depth: int, path: Any, inputs: Any) -> Lineage:
        read = self._read(inputs, numbers, depth)
        if isinstance(read, Numbers):
            raise MalformedMessage("numbers handed along by themselves")
        return Hopped(_path(path), read, np.zeros((len(read), 2), np.uint64))

    def _flat(
        self, numbers: _Integers | None, depth: int, count: Any, path: Any, index_data: Any, values: Any, inputs: Any
    ) -> Lineage:
        numbers = self._numbers(numbers, count)
        read = self._read(inputs, None, depth)
        if isinstance(read, Numbers):
            raise MalformedMessage("numbers handed along by themselves")
        index = _below(unpack_small(index_data, count), len(read))
        within = _below(unpack(values, numbers, index, len(read)), GRAIN)
        return Hopped(_path(path), read, np.zeros((count, 2), np.uint64), index, within)

    def _cached(
        self, numbers: _Integers | None, depth: int, count: Any, origin: Any, values: Any, part: Any
    ) -> Lineage:
        numbers = self._numbers(numbers, count)
        of_cache = _below(unpack(values, numbers, np.zeros(count, np.int64), 1), BEHIND)
        read = self._read(part, numbers, depth)
        if isinstance(read, Numbers) or len(read) != count:
            raise MalformedMessage("cached elements that do not fit what they are")
        return Cached(_natural(origin), of_cache, read)

    def _mixed(self, numbers: _Integers | None, depth: int, count: Any, which_data: Any, parts: Any) -> Lineage:
        numbers = self._numbers(numbers, count)
        which = _below(unpack_small(which_data, count), min(len(parts), 1 << 16))
        read = tuple(self._read(each, numbers[which == k], depth) for k, each in enumerate(parts))
        if any(isinstance(each, Numbers) for each in read):
            raise MalformedMessage("numbers among other elements")
        if [len(each) for each in read] != np.bincount(which, minlength=len(read)).tolist():
            raise MalformedMessage("mixed elements that do not fit their parts")
        return Mixed(which.astype(np.uint16), read)

    def _itself(self, numbers: _Integers | None, depth: int, layout: Any, buffer: Any, who: Any) -> Lineage:
        found = BlockLayout.from_data(layout)
        self._numbers(numbers, found.rows)
        if not 0 <= found.nbytes <= ITSELF_BYTES:
            raise MalformedMessage(f"held elements that take {found.nbytes:,} bytes themselves")
        # A bytearray, since an element's owner may write to it.
        block = Block.over(found, np.frombuffer(bytearray(inflate(buffer, found.nbytes)), np.uint8))
        for column in block.columns:
            column.check()
        check_nested(block)
        return Itself(np.frombuffer(inflate(who, 16 * found.rows), np.uint64).reshape(-1, 2), block)


_READERS: dict[Any, Callable[..., Lineage]] = {
    "leaf": Held._leaf,
    "numbers": Held._counted,
    "joined": Held._joined,
    "folded": Held._folded,
    "hopped": Held._hopped,
    "flat": Held._flat,
    "cached": Held._cached,
    "mixed": Held._mixed,
    "itself": Held._itself,
}


def _work(data: Any) -> Work:
    segment, origin, path, view = data
    if type(origin) is not int or not 0 < origin < 1 << 64 or not isinstance(path, str):
        raise MalformedMessage(f"held elements of origin {origin!r:.30} in {path!r:.80}")
    stages = tuple(tuple(map(_natural, stage)) for stage in view)
    if not all(map(_is_stage, stages)):
        raise MalformedMessage("a view that is none")
    return Work(_path(segment), origin, 0, None, path, view=stages)


def _is_stage(stage: tuple[int, ...]) -> bool:
    """Whether it picks rows at even distances, or is a permutation."""
    picks = len(stage) == 3 and max(stage) <= BEHIND and stage[1] > 0
    return picks or (len(stage) == 2 and stage[1] <= BEHIND)


def _natural(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 1 << 64:
        raise MalformedMessage(f"{number!r:.30} where a number belongs")
    return number


def _path(data: Any) -> Path:
    return tuple(map(_natural, data))


def _below(numbers: _Integers, limit: int) -> _Integers:
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < limit):
        raise MalformedMessage(f"held elements from {numbers.min()} to {numbers.max()} of {limit}")
    return numbers
