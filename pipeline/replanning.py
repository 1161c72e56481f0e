"""Replanning: from what a checkpoint tells of held elements to the work that computes them again, wave by wave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from .blocks import Block
from .bucketing import bucket_fold
from .building import padding_of
from .cardinality import cardinality
from .errors import MalformedMessage
from .feeds import HANDED_BYTES, Job, handed
from .flat import GRAIN
from .folding import Fold
from .lineage import Cached, Folded, Hopped, Itself, Joined, Leaf, Lineage, Mixed, Numbers
from .nodes import (
    Bucket,
    Elements,
    FileLeaf,
    Generator,
    Node,
    Numbered,
    PaddedBatch,
    RaggedBatch,
    Range,
    Rows,
    SparseBatch,
    Window,
    WindowByKey,
)
from .operators.protocol import NOTHING
from .place import Path, node_at
from .segment import Segment, segment_of
from .stacking import Ragged, Sparse
from .store import Handles, Store
from .windowing import WindowFold
from .work import BEHIND, Work

__all__ = ["Plan"]

#: The most elements that one lease computes again,
PART = 8192
#: and where all before them has to be computed, too.
PART_FROM_START = 1 << 16
#: Elements that give others are handed along in so many parts, if there are as many.
SPREAD = 32

#: What is computed, at once for all elements of a run: the rest is made of it here.
_Site: TypeAlias = "Leaf | Hopped"
#: Jobs of one segment, and where among all of a wave what comes of them belongs.
_Jobs: TypeAlias = "tuple[Path, list[Job], Handles]"


@dataclass(slots=True)
class Plan:
    """What to compute again in a graph, and what to make of it."""

    graph: Node
    store: Store
    done: dict[int, Handles] = field(default_factory=dict)  #: The elements of a site, by its `id`.
    copies: list[tuple[Handles, Handles]] = field(default_factory=list)  #: Places that want what others want, too.

    def waves(self, runs: Sequence[Lineage]) -> list[list[Any]]:
        """The sites of all runs: those whose inputs are there first.

        Raises:
            MalformedMessage: something does not belong to this graph.
        """
        found: list[list[Any]] = []
        for run in runs:
            self._level(run, found)
        return found

    def _level(self, lineage: Lineage, found: list[list[Any]]) -> int:
        """In which wave all is there of which these are made."""
        level = -1
        match lineage:
            case Leaf() if len(lineage):
                level = 0
                self._check_leaves(lineage)
            case Hopped(path, inputs, index=index):
                level = 1 + self._level(inputs, found)
                segment = self._segment(path)
                if segment.flat is (index is None) or not (segment.flat or (segment.leaf is None and segment.steps)):
                    raise MalformedMessage(f"what is held was not handed along to {list(path)}")
            case Folded(part=part, padded=padded):
                level = self._level(part, found)
                if padded is not None:
                    self._folding(padded)
            case Cached(part=part):
                level = self._level(part, found)
            case Joined(parts=parts) | Mixed(parts=parts):
                level = max(self._level(part, found) for part in parts) if parts else -1
        if isinstance(lineage, Leaf | Hopped) and len(lineage):
            found += [[] for _ in range(level + 1 - len(found))]
            found[level].append(lineage)
        return level

    def _segment(self, path: Path) -> Segment:
        self._node(path)
        return segment_of(self.graph, path)

    def _node(self, path: Path) -> Node:
        try:
            node = node_at(self.graph, path)
        except (IndexError, ValueError, TypeError, AttributeError) as error:
            raise MalformedMessage(f"what is held comes from {list(path)}, where this graph has nothing") from error
        if node.height != path[-1]:
            raise MalformedMessage(f"what is held comes from {list(path)}, where this graph has nothing")
        return node

    def _folding(self, path: Path) -> Fold:
        """How the operator at a path folds; of one with buckets the number of the bucket stands behind the path."""
        bucket = path[-1] if path and len(path) % 2 == 0 else None
        node = self._node(path if bucket is None else path[:-1])
        match node:
            case PaddedBatch() if bucket is None:
                return Fold(padding_of(node), path)
            case Bucket(sizes=sizes, stacked=False) if bucket is not None and bucket < len(sizes) - node.to_boundary:
                return bucket_fold(node, path[:-1], bucket)
            case Window() | WindowByKey() if bucket is None:
                return WindowFold(path, isinstance(node, WindowByKey))
            case RaggedBatch() if bucket is None:
                return Fold(Ragged(node.ranks, node.splits_dtype), path)
            case SparseBatch() if bucket is None:
                return Fold(Sparse(node.row_shape), path)
        raise MalformedMessage(f"what is held was folded at {list(path)}, where nothing is")

    def _check_leaves(self, leaf: Leaf) -> None:
        """Whoever computes them trusts that they are there."""
        for origin in np.unique(leaf.identities[:, 0]).tolist():
            work = self.store.works[origin]
            offsets = leaf.identities[leaf.identities[:, 0] == origin, 1].astype(np.int64)
            segment = self._segment(work.segment)
            reads = isinstance(segment.leaf, FileLeaf)
            if segment.leaf is None or segment.flat or reads is not bool(work.path):
                raise MalformedMessage(f"what is held was not read at {list(work.segment)}")
            limit = (
                cardinality(segment.leaf) if isinstance(segment.leaf, Rows | Range | Numbered | Elements) else BEHIND
            )
            if not (offsets.min() >= 0 and offsets.max() < limit and work.positions(offsets).min() >= 0):
                raise MalformedMessage(f"what is held is none of the {limit} rows of {list(work.segment)}")

    # What to compute.

    def jobs(self, sites: Sequence[_Site]) -> Iterator[_Jobs]:
        """The jobs of a wave; places count elements of all sites, one site behind the other."""
        starts = np.cumsum([0, *map(len, sites)]).tolist()
        leaves = [(site, start) for site, start in zip(sites, starts, strict=False) if isinstance(site, Leaf)]
        if leaves:
            yield from self._leaf_jobs(leaves)
        hops: dict[Path, list[tuple[Hopped, int]]] = {}
        for site, start in zip(sites, starts, strict=False):
            if isinstance(site, Hopped):
                hops.setdefault(site.path, []).append((site, start))
        for path, them in hops.items():
            yield self._flat_jobs(path, them) if them[0][0].index is not None else self._hop_jobs(path, them)

    def _leaf_jobs(self, sites: Sequence[tuple[Leaf, int]]) -> Iterator[_Jobs]:
        who = np.concatenate([site.identities for site, _ in sites])
        places = np.concatenate([start + np.arange(len(site)) for site, start in sites])
        order = np.argsort(who[:, 0], kind="stable")
        cuts = np.flatnonzero(np.diff(who[order, 0])) + 1
        jobs: dict[Path, tuple[list[Job], list[Handles]]] = {}
        for rows in np.split(order, cuts):
            work = self.store.works[int(who[rows[0], 0])]
            positions, first = self._once(work.positions(who[rows, 1].astype(np.int64)), places[rows])
            mine = jobs.setdefault(work.segment, ([], []))
            mine[0].extend(Job(_only(work, part)) for part in _parts(positions, self._part(work)))
            mine[1].append(first)
        for path, (them, where) in jobs.items():
            yield path, them, np.concatenate(where)

    def _once(self, positions: Handles, places: Handles) -> tuple[Handles, Handles]:
        """Each position once, in order, and where what is there belongs; what else wants it gets a copy."""
        found, first, back = np.unique(positions, return_index=True, return_inverse=True)
        if len(found) < len(positions):
            again = np.ones(len(positions), np.bool_)
            again[first] = False
            self.copies.append((places[again], places[first][back[again]]))
        return found, places[first]

    def _part(self, work: Work) -> int:
        """How many elements to compute in one lease."""
        leaf = self._segment(work.segment).leaf
        from_start = isinstance(leaf, Generator) or (isinstance(leaf, FileLeaf) and leaf.compression != "")
        return PART_FROM_START if from_start else PART

    def _hop_jobs(self, path: Path, sites: Sequence[tuple[Hopped, int]]) -> _Jobs:
        inputs = np.concatenate([self.make(site.inputs) for site, _ in sites])
        places = np.concatenate([start + np.arange(len(site)) for site, start in sites])
        return path, [handed(path, self.store, part) for part in self._portions(inputs, PART)], places

    def _portions(self, inputs: Handles, most: int) -> Iterator[Handles]:
        """The elements to hand along, so many together as can be."""
        while len(inputs):
            count = self.store.together(inputs[:most])
            nbytes = self.store.nbytes_of(inputs[:count])
            count = max(1, min(count, HANDED_BYTES * count // max(1, nbytes)))
            yield inputs[:count]
            inputs = inputs[count:]

    def _flat_jobs(self, path: Path, sites: Sequence[tuple[Hopped, int]]) -> _Jobs:
        inputs = np.concatenate([self.make(site.inputs) for site, _ in sites])
        before = np.cumsum([0, *(len(site.inputs) for site, _ in sites)]).tolist()
        index = np.concatenate([_some(site.index) + more for (site, _), more in zip(sites, before, strict=False)])
        within = np.concatenate([_some(site.within) for site, _ in sites])
        places = np.concatenate([start + np.arange(len(site)) for site, start in sites])
        used, rows = np.unique(index, return_inverse=True)
        unused = np.ones(len(inputs), np.bool_)
        unused[used] = False
        self.store.release(inputs[unused])
        positions, first = self._once(rows * GRAIN + within, places)
        return path, list(self._flat_parts(path, inputs[used], positions)), first

    def _flat_parts(self, path: Path, inputs: Handles, positions: Handles) -> Iterator[Job]:
        """Jobs on elements that each give any number of others, of which those at some positions are needed."""
        most = max(1, len(inputs) // SPREAD)
        for part in self._portions(inputs, most):
            end = len(part) * GRAIN
            count = int(np.searchsorted(positions, end))
            mine, positions = positions[:count], positions[count:] - end
            for first in range(0, count, PART_FROM_START):
                last = first + PART_FROM_START >= count
                job = handed(path, self.store, part if last else self.store.copy(part), GRAIN)
                only = tuple(mine[first : first + PART_FROM_START].tolist())
                yield replace(job, work=replace(job.work, start=only[0], only=only))

    # What to make of it.

    def give(self, sites: Sequence[_Site], came: Handles) -> None:
        """All elements of a wave, one site behind the other, -1 where a copy belongs."""
        for places, of in self.copies:
            came[places] = self.store.copy(came[of])
        self.copies = []
        for site in sites:
            self.done[id(site)], came = came[: len(site)], came[len(site) :]

    def make(self, lineage: Lineage) -> Handles:
        """The elements, once all is there of which they are made; each can be had once.

        Raises:
            HeadraceError: what came does not fit as it did before.
        """
        if not len(lineage):
            return NOTHING
        match lineage:
            case Leaf() | Hopped():
                return self.done.pop(id(lineage))
            case Joined(nest, parts):
                return self.store.join(nest, [_numbers(each) or self.make(each) for each in parts])
            case Folded(part=part, padded=padded):
                return self._fold(self.make(part), lineage.sizes, padded)
            case Cached(origin, numbers, part):
                return self.store.renumbered(self.make(part), origin, numbers)
            case Mixed(which, parts):
                out = np.empty(len(which), np.int64)
                for k, each in enumerate(parts):
                    out[which == k] = self.make(each)
                return out
            case Itself(who, block):
                return self.store.add(block, who, derived=True)
        raise MalformedMessage("numbers by themselves are no elements")

    def _fold(self, handles: Handles, sizes: Handles, padded: Path | None) -> Handles:
        made = [NOTHING]
        fold = Fold() if padded is None else self._folding(padded)
        ends = [*(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(sizes)]
        at = 0
        for end in ends:
            size = int(sizes[at])
            while at < end:
                count = 1 if fold.alone else max(1, self.store.together(handles[: size * (end - at)]) // size)
                made.append(fold(self.store, handles[: size * count], size)[0])
                handles, at = handles[size * count :], at + count
        return np.concatenate(made)


def _numbers(part: Lineage) -> Block | None:
    return Block.of_numbers(part.values) if isinstance(part, Numbers) else None


def _some(column: Handles | None) -> Handles:
    assert column is not None, "what any number of others was made of has numbers within it"
    return column


def _parts(positions: Handles, most: int) -> Iterator[tuple[int, ...]]:
    """So many at a time that several workers have something of it."""
    for first in range(0, len(positions), most):
        yield tuple(positions[first : first + most].tolist())


def _only(work: Work, positions: tuple[int, ...]) -> Work:
    return replace(work, start=positions[0], stop=positions[-1] + 1, only=positions)
