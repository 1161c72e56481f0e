"""Lineage: of what elements were made, so that just these can be made again.

    Leaf      a leaf's segment gave them: who they are is enough
    Numbers   integers that an operator counted
    Joined    several elements side by side, by `zip` or `enumerate`
    Folded    elements stacked, padded and stacked, or as a dataset, to one
    Hopped    outputs of a segment that other elements were handed along to
    Cached    what came out of a cache, where elements are told apart by their numbers
    Mixed     some of one kind, some of another
    Itself    too small for what they were made of: kept as they are

Each is held as arrays with one row an element, never as an object an element, so that elements in a buffer take a few
bytes more each. Nothing is told of payload but in `Itself`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .blocks import Block
from .gathering import gather_block
from .kernels.identity import fold_identities
from .place import Path
from .structure import Structure

__all__ = [
    "Cached",
    "Folded",
    "Hopped",
    "Identities",
    "Itself",
    "Joined",
    "Leaf",
    "Lineage",
    "Mixed",
    "Numbers",
    "together",
]

#: One row an element: origin (a hash of leaf, passes and outer elements) and offset.
Identities = npt.NDArray[np.uint64]
_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """Elements of leaves' segments."""

    identities: Identities

    def __len__(self) -> int:
        return len(self.identities)

    def rows(self, rows: _Rows) -> Leaf:
        """Of some of the elements, in this order, in arrays of their own."""
        return Leaf(self.identities[rows])

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return self.identities.nbytes

    def kind(self) -> tuple[Any, ...]:
        """What two must share to be told in one."""
        return (Leaf,)

    def join(self, others: Sequence[Leaf]) -> Leaf:
        """This one and others of its kind, one behind the other."""
        return Leaf(np.concatenate([each.identities for each in (self, *others)]))


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Integers that were counted; only a part of something."""

    values: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, rows: _Rows) -> Numbers:
        """Of some of the elements, in this order, in arrays of their own."""
        return Numbers(self.values[rows])

    @property
    def identities(self) -> Identities:
        raise TypeError("a number by itself has no identity")

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return self.values.nbytes

    def kind(self) -> tuple[Any, ...]:
        """What two must share to be told in one."""
        return (Numbers,)

    def join(self, others: Sequence[Numbers]) -> Numbers:
        """This one and others of its kind, one behind the other."""
        return Numbers(np.concatenate([each.values for each in (self, *others)]))


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Elements of parts side by side, nested as `nest` says, whose leaves stand for the parts."""

    nest: Structure
    parts: tuple[Lineage, ...]

    @classmethod
    def beside(cls, nest: Structure, sides: Sequence[Lineage]) -> Joined:
        """The same, flat however often elements were joined."""
        nests = [side.nest if isinstance(side, Joined) else Structure() for side in sides]
        parts = [part for side in sides for part in (side.parts if isinstance(side, Joined) else (side,))]
        return cls(nest.over(nests), tuple(parts))

    def __len__(self) -> int:
        return len(self.parts[0])

    def rows(self, rows: _Rows) -> Joined:
        """Of some of the elements, in this order, in arrays of their own."""
        return Joined(self.nest, tuple(part.rows(rows) for part in self.parts))

    @property
    def identities(self) -> Identities:
        """That of the one element in each, or what all in it and their order make."""
        who = [part.identities for part in self.parts if not isinstance(part, Numbers)]
        if len(who) == 1:
            return who[0]
        beside = np.stack(who, axis=1).reshape(-1, 2)
        out = np.empty((len(self), 2), np.uint64)
        fold_identities(beside, len(who), out)
        return out

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return sum(part.nbytes for part in self.parts)

    def kind(self) -> tuple[Any, ...]:
        """What two must share to be told in one."""
        return (Joined, self.nest)

    def join(self, others: Sequence[Joined]) -> Joined:
        """This one and others of its kind, one behind the other."""
        parts = zip(*(each.parts for each in (self, *others)), strict=True)
        return Joined(self.nest, tuple(map(together, parts)))


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """Element i is rows splits[i] to splits[i + 1] of the part as one.

    They are stacked, or what the operator at the path `padded` makes of them: padded first, or a dataset. The path of
    an operator with buckets has the number of the bucket behind it.
    """

    splits: npt.NDArray[np.int64]
    part: Lineage
    padded: Path | None = None

    def __len__(self) -> int:
        return len(self.splits) - 1

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many are in each."""
        return np.diff(self.splits)

    def rows(self, rows: _Rows) -> Folded:
        """Of some of the elements, in this order, in arrays of their own."""
        sizes = self.sizes[rows]
        splits = np.concatenate([[0], np.cumsum(sizes)])
        inside = np.arange(splits[-1]) + np.repeat(self.splits[rows] - splits[:-1], sizes)
        return Folded(splits, self.part.rows(inside), self.padded)

    @property
    def identities(self) -> Identities:
        out, who, sizes = np.empty((len(self), 2), np.uint64), self.part.identities, self.sizes
        if len(sizes) and (sizes == sizes[0]).all():
            fold_identities(who, int(sizes[0]), out)
            return out
        for size in np.unique(sizes).tolist():
            rows = np.flatnonzero(sizes == size)
            inside = (self.splits[rows, None] + np.arange(size)).reshape(-1)
            some = np.empty((len(rows), 2), np.uint64)
            fold_identities(who[inside], size, some)
            out[rows] = some
        return out

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return self.splits.nbytes + self.part.nbytes

    def kind(self) -> tuple[Any, ...]:
        """What two must share to be told in one."""
        return (Folded, self.padded)

    def join(self, others: Sequence[Folded]) -> Folded:
        """This one and others of its kind, one behind the other."""
        all_of_them = (self, *others)
        sizes = np.concatenate([each.sizes for each in all_of_them])
        splits = np.concatenate([[0], np.cumsum(sizes)])
        return Folded(splits, together([each.part for each in all_of_them]), self.padded)


@dataclass(frozen=True, slots=True, eq=False)
class Hopped:
    """What a segment made of others: element i is output within[i] of input index[i]; or the output of input i."""

    path: Path  #: Of the segment.
    inputs: Lineage
    identities: Identities
    index: npt.NDArray[np.int64] | None = None
    within: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.identities)

    def rows(self, rows: _Rows) -> Hopped:
        """Of some of the elements, in this order, in arrays of their own."""
        who = self.identities[rows]
        if self.index is None or self.within is None:
            return Hopped(self.path, self.inputs.rows(rows), who)
        used, index = np.unique(self.index[rows], return_inverse=True)
        return Hopped(self.path, self.inputs.rows(used), who, index.astype(np.int64), self.within[rows])

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        own = 0 if self.index is None else 16 * len(self.index)
        return self.inputs.nbytes + self.identities.nbytes + own

    def kind(self) -> tuple[Any, ...]:
        """What two must share to be told in one."""
        return (Hopped, self.path, self.index is None)

    def join(self, others: Sequence[Hopped]) -> Hopped:
        """This one and others of its kind, one behind the other."""
        all_of_them = (self, *others)
        inputs = together([each.inputs for each in all_of_them])
        who = np.concatenate([each.identities for each in all_of_them])
        if self.index is None:
            return Hopped(self.path, inputs, who)
        before = np.cumsum([0, *(len(each.inputs) for each in all_of_them)])
        index = [each.index + more for each, more in zip(all_of_them, before, strict=False) if each.index is not None]
        within = [each.within for each in all_of_them if each.within is not None]
        return Hopped(self.path, inputs, who, np.concatenate(index), np.concatenate(within))


@dataclass(frozen=True, slots=True, eq=False)
class Cached:
    """Element i is row i of the part, and known as number numbers[i] of what came out of a cache."""

    origin: int  #: Of what came out of that cache, in one pass of the repeats around it.
    numbers: npt.NDArray[np.int64]
    part: Lineage

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, rows: _Rows) -> Cached:
        """Of some of the elements, in this order, in arrays of their own."""
        return Cached(self.origin, self.numbers[rows], self.part.rows(rows))

    @property
    def identities(self) -> Identities:
        out = np.empty((len(self), 2), np.uint64)
        out[:, 0], out[:, 1] = self.origin, self.numbers
        return out

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return self.numbers.nbytes + self.part.nbytes

    def kind(self) -> tuple[Any, ...]:
        """What two must share to be told in one."""
        return (Cached, self.origin)

    def join(self, others: Sequence[Cached]) -> Cached:
        """This one and others of its kind, one behind the other."""
        all_of_them = (self, *others)
        numbers = np.concatenate([each.numbers for each in all_of_them])
        return Cached(self.origin, numbers, together([each.part for each in all_of_them]))


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """Element i is the next one of parts[which[i]]."""

    which: npt.NDArray[np.uint16]
    parts: tuple[Lineage, ...]

    def __len__(self) -> int:
        return len(self.which)

    @property
    def ranks(self) -> npt.NDArray[np.int64]:
        """Which row of its part each element is."""
        out = np.empty(len(self.which), np.int64)
        for k in range(len(self.parts)):
            mine = self.which == k
            out[mine] = np.arange(np.count_nonzero(mine))
        return out

    def rows(self, rows: _Rows) -> Lineage:
        """Of some of the elements, in this order, in arrays of their own."""
        which, ranks = self.which[rows], self.ranks[rows]
        used = np.unique(which)
        if not len(used):
            return Leaf(np.empty((0, 2), np.uint64))
        parts: list[Lineage] = [self.parts[k].rows(ranks[which == k]) for k in used.tolist()]
        if len(parts) == 1:
            return parts[0]
        return Mixed(np.searchsorted(used, which).astype(np.uint16), tuple(parts))

    @property
    def identities(self) -> Identities:
        out = np.empty((len(self), 2), np.uint64)
        for k, part in enumerate(self.parts):
            out[self.which == k] = part.identities
        return out

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return self.which.nbytes + sum(part.nbytes for part in self.parts)

    def runs(self) -> list[Lineage]:
        """The same as stretches of one kind each."""
        if not len(self):
            return []
        ranks = self.ranks
        cuts = np.flatnonzero(np.diff(self.which)) + 1
        stretches = np.split(np.arange(len(self)), cuts)
        return [self.parts[int(self.which[at[0]])].rows(ranks[at]) for at in stretches]


@dataclass(frozen=True, slots=True, eq=False)
class Itself:
    """Elements that are smaller than what would have to be told of them."""

    identities: Identities
    block: Block

    def __len__(self) -> int:
        return len(self.identities)

    def rows(self, rows: _Rows) -> Itself:
        """Of some of the elements, in this order, in arrays of their own."""
        rows = np.asarray(rows, np.int64)
        return Itself(self.identities[rows], gather_block([self.block], np.zeros(len(rows), np.int64), rows, None))

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return self.identities.nbytes + self.block.nbytes

    def kind(self) -> tuple[Any, ...]:
        """What two must share to be told in one."""
        return (Itself, *self.block.kind)

    def join(self, others: Sequence[Itself]) -> Itself:
        """This one and others of its kind, one behind the other."""
        all_of_them = (self, *others)
        counts = [len(each) for each in all_of_them]
        which = np.repeat(np.arange(len(counts)), counts)
        rows = np.concatenate([np.arange(count) for count in counts])
        who = np.concatenate([each.identities for each in all_of_them])
        return Itself(who, gather_block([each.block for each in all_of_them], which, rows, None))


#: Of what elements were made, one row an element. All have `rows`, `identities`, `nbytes`, and `kind`: what two must
#: share to be told in one by `join`.
Lineage: TypeAlias = "Leaf | Numbers | Joined | Folded | Hopped | Cached | Mixed | Itself"


def together(lineages: Sequence[Lineage]) -> Lineage:
    """All of them, one behind the other; mixed, where they are of several kinds."""
    apart: list[Any] = [piece for each in lineages for piece in (each.runs() if isinstance(each, Mixed) else [each])]
    apart = [each for each in apart if len(each)] or list(lineages[:1])
    kinds: dict[tuple[Any, ...], list[Any]] = {}
    for each in apart:
        kinds.setdefault(each.kind(), []).append(each)
    parts: list[Lineage] = [them[0].join(them[1:]) if len(them) > 1 else them[0] for them in kinds.values()]
    if len(parts) == 1:
        return parts[0]
    numbers = {kind: k for k, kind in enumerate(kinds)}
    which = [np.full(len(each), numbers[each.kind()], np.uint16) for each in apart]
    return Mixed(np.concatenate(which), tuple(parts))
