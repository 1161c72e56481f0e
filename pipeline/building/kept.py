"""How operators that keep elements are built: caches and snapshots."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

from ..cache_files import data_path
from ..caching import InFiles, InMemory, Keeping, Nothing
from ..cardinality import UNKNOWN_CARDINALITY, cardinality
from ..counts import Counts
from ..feeds import FileFeed
from ..loading import as_datasets, as_names
from ..nodes import (
    AssertCardinality,
    Cache,
    Node,
    Shelf,
    Snapshot,
    Tagged,
)
from ..operators.cache import CacheOperator
from ..operators.protocol import Operator
from ..operators.shelf import ShelfOperator
from ..operators.snapshot import SnapshotOperator
from ..place import START, Path, Place
from ..seeds import derive
from ..segment import segment_at
from ..structure import DATASET, LEAF
from .core import Settings, build


@build.register
def _(node: Cache, to: Settings, at: Place = START) -> Operator:
    counts, path = to.counts.branch(), at.path(node)
    below = replace(to, epoch=0, counts=counts)
    origin = derive("cache", list(path), list(at.passes))
    keeping = _keeping(node, to, path, counts)
    return CacheOperator(
        lambda: build(node.source, below, at.below_cache()), to.store, origin, _certain(node.source), counts, keeping
    )


def _keeping(node: Cache, to: Settings, path: Path, counts: Counts) -> Keeping:
    """Where a cache keeps its elements."""
    warn = to.verdicts.warnings.append
    if not node.filename:
        memory = to.memory
        return Keeping() if memory is None else InMemory(memory, (to.seed, path), to.store, to.buffer_bytes, warn)
    if to.desk is None:
        return Keeping()
    filename = os.path.join(to.folder, node.filename)  # noqa: PTH118  (a Path would change other names)
    return InFiles(to.desk, filename, lambda: _cached_records(node, to, path, filename, counts), warn)


def _cached_records(node: Cache, to: Settings, path: Path, filename: str, counts: Counts) -> Operator:
    """The elements of a cache's file."""
    segment, file = segment_at(node, path[:-1]), data_path(filename)
    assert segment.leaf is not None, "a cache's file is a leaf"
    leaf, origin = segment.leaf, derive("cached", list(path), filename)
    to.store.paths[origin] = file
    feed = FileFeed(segment.path, Nothing(), to.store, path, (), lambda name: to.cut(leaf, name), file=(file, origin))
    return to.stream(segment, feed, counts)


def _certain(node: Node) -> int:
    """How many elements a node gives, where that is known, and not only claimed; else UNKNOWN_CARDINALITY."""
    return UNKNOWN_CARDINALITY if _claims(node) else cardinality(node)


def _claims(node: Node) -> bool:
    return isinstance(node, AssertCardinality) or any(map(_claims, node.inputs))


@build.register
def _(node: Snapshot, to: Settings, at: Place = START) -> Operator:
    kept, reader = node.sources
    below, aside, path = at.into(node, 0).below_cache(), at.into(node, 1), at.path(node)
    return SnapshotOperator(
        lambda reading: build(reader, to, aside) if reading else build(kept, replace(to, epoch=0), below),
        to.store,
        derive("snapshot", list(path), list(at.passes)),
        os.path.join(to.folder, node.path, node.digest),  # noqa: PTH118  (a Path would change other names)
        node.compression,
        isinstance(kept, Tagged),
        _certain(kept),
        to.shelves,
    )


@build.register
def _(node: Shelf, to: Settings, at: Place = START) -> Operator:
    name, origin = os.path.join(node.path, node.digest), derive("shelf", list(at.path(node)), list(at.passes))  # noqa: PTH118
    told = partial(as_datasets if node.apart else as_names, name)
    structure = DATASET if node.apart else LEAF
    return ShelfOperator(os.path.join(to.folder, name), to.store, origin, structure, told, to.shelves)  # noqa: PTH118
