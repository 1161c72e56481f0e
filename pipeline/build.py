"""Building: from the graph to operators that can be pulled, in process or in a broker."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, singledispatch
from typing import TypeAlias

import numpy as np

from .bucketing import Buckets
from .cache_files import data_path
from .caching import Desk, InFiles, InMemory, Keeping, Nothing
from .cardinality import UNKNOWN_CARDINALITY, cardinality, empty
from .columns import Allocate
from .counts import Counts
from .feeds import Feed, FileFeed, HandedFeed, Job, OnceFeed, RowFeed, SequentialFeed, handed
from .flat import GRAIN
from .folding import Fold
from .leaves import countable, one_for_one
from .loading import as_datasets, as_names
from .memory import Memory
from .nodes import (
    AssertCardinality,
    Batch,
    Bucket,
    Cache,
    Choose,
    Concatenate,
    Configured,
    Enumerate,
    Generator,
    GlobalShuffle,
    IgnoreErrors,
    Interleave,
    Node,
    PaddedBatch,
    Prefetch,
    RaggedBatch,
    Rebatch,
    Repeat,
    Resample,
    Sample,
    Scan,
    Shard,
    Shelf,
    Shuffle,
    Skip,
    Snapshot,
    SparseBatch,
    Tagged,
    Take,
    TakeWhile,
    Unique,
    Window,
    WindowByKey,
    Zip,
)
from .operators.assert_cardinality import AssertOperator
from .operators.batch import BatchOperator
from .operators.cache import CacheOperator
from .operators.concatenate import ConcatenateOperator
from .operators.counting import RepeatOperator, ShardOperator, SkipOperator, TakeOperator
from .operators.enumerate import EnumerateOperator
from .operators.group import GroupOperator
from .operators.ignore import IgnoreErrorsOperator
from .operators.interleave import InterleaveOperator
from .operators.judge import Judge
from .operators.mix import Choices, Draws, MixOperator, Picker, Weights
from .operators.protocol import Operator, Signal
from .operators.rebatch import RebatchOperator
from .operators.resample import ResampleOperator
from .operators.shelf import ShelfOperator
from .operators.shuffle import ShuffleOperator
from .operators.snapshot import SnapshotOperator
from .operators.take_while import TakeWhileOperator
from .operators.unique import UniqueOperator
from .operators.window import WindowOperator
from .operators.zip import ZipOperator
from .padding import Padding
from .place import START, Path, Place
from .seeds import derive
from .segment import Segment, segment_at
from .shelves import Shelves
from .stacking import Ragged, Sparse
from .store import Handles, Store
from .structure import DATASET, LEAF
from .verdicts import Verdicts
from .windowing import KeyedWindows, WindowFold
from .work import Work

__all__ = ["BUFFER_BYTES", "Settings", "build", "buffer_bytes_of", "judged", "padding_of", "top_of"]

#: What a shuffle may hold unless Options say otherwise.
BUFFER_BYTES = 4 << 30

#: How the elements of a segment come about, computed here or leased to workers, and where it is counted what does not.
Streams: TypeAlias = Callable[[Segment, Feed, Counts], Operator]


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """What building needs to know beside the graph."""

    store: Store
    seed: int
    epoch: int
    stream: Streams
    cut: Callable[[Node, str], Sequence[int | None] | Signal]  #: Where a leaf's file may be cut; PENDING if not known.
    rows_each: Callable[[int], int]  #: From a leaf's rows to how many make one job.
    buffer_bytes: int = BUFFER_BYTES
    folder: str = ""  #: In which relative file names are looked up.
    allocate: Allocate | None = None  #: Where blocks that are delivered as they are lie.
    top: Node | None = None  #: What makes them.
    eager: int = 0  #: How many streams of an interleave may be open before their turn.
    verdicts: Verdicts = field(default_factory=Verdicts)  #: What is decided about elements that fail.
    memory: Memory | None = None  #: Of its caches; None where they keep nothing there,
    desk: Desk | None = None  #: or in files.
    shelves: Shelves | None = None  #: Where snapshots are kept; None where they are not, nor read.
    counts: Counts = field(default_factory=Counts)  #: To which what does not come out of these operators goes.


def buffer_bytes_of(node: Node) -> int | None:
    """What `Options(buffer_bytes=...)` set, the outermost first."""
    if isinstance(node, Configured) and node.buffer_bytes is not None:
        return node.buffer_bytes
    found = (buffer_bytes_of(each) for each in node.inputs)
    return next((each for each in found if each is not None), None)


def top_of(node: Node) -> Node:
    """The operator whose elements come out of a graph as they are."""
    while isinstance(node, Configured | IgnoreErrors | Prefetch | Repeat | Take | Skip):
        node = node.source
    return node


def judged(graph: Node, to: Settings) -> Operator:
    """The operator that gives the elements of a whole graph, where it is decided what becomes of those that fail."""
    return Judge(build(graph, replace(to, counts=to.verdicts.counts)), to.verdicts)


@singledispatch
def build(node: Node, to: Settings, at: Place = START) -> Operator:
    """The operator that gives a node's elements, at a place: in this branch, in these passes of the repeats around.

    What is not stateful is part of a segment, and that is the general case.
    """
    segment = segment_at(node, at.branch, at.fixed)
    if segment.leaf is None and segment.input is not None and not segment.steps:
        return build(segment.input, to, at)
    return to.stream(segment, _feed(segment, to, at), to.counts)


def _feed(segment: Segment, to: Settings, at: Place) -> Feed:
    if segment.leaf is None or segment.flat:
        assert segment.input is not None, "a segment has a leaf or an input"
        grain = GRAIN if segment.flat else 1
        counts = to.counts.branch()
        source = build(segment.input, replace(to, counts=counts), at)
        return HandedFeed(segment.path, source, to.store, grain, counts=counts)
    leaf = at.path(segment.leaf)
    if isinstance(segment.leaf, Generator):
        return OnceFeed(Job(Work(segment.path, derive("leaf", list(leaf), list(at.passes)), 0, None)), to.store)
    if segment.input is not None:
        node, names = segment.leaf, build(segment.input, to, at)
        return FileFeed(segment.path, names, to.store, leaf, at.passes, lambda path: to.cut(node, path), to.folder)
    assert segment.rows is not None, "a leaf in memory has rows"
    view, count = segment.rows.view(lambda shuffle: _key(shuffle, to, at))
    return RowFeed(segment.path, derive("leaf", list(leaf), list(at.passes)), count, to.rows_each(count), view)


def _key(node: Shuffle | GlobalShuffle, to: Settings, at: Place) -> int:
    """What all draws of a shuffle depend on: its seed or where it stands, and the epoch and passes it is in."""
    own = ["seed", node.seed] if node.seed is not None else ["path", to.seed, *at.path(node)]
    return derive("shuffle", own, [to.epoch, list(at.passes)] if node.reshuffle else None)


def _segment(node: Node, to: Settings, at: Place) -> Operator:
    segment = segment_at(node, at.branch, at.fixed)
    return to.stream(segment, _feed(segment, to, at), to.counts)


@build.register
def _(node: Configured | Prefetch, to: Settings, at: Place = START) -> Operator:
    return build(node.source, to, at)


@build.register
def _(node: IgnoreErrors, to: Settings, at: Place = START) -> Operator:
    segment = segment_at(node, at.branch, at.fixed)
    if segment.leaf is not None or segment.steps:
        return _segment(node, to, at)
    return IgnoreErrorsOperator(build(node.source, to, at), to.store, to.verdicts, to.counts, node.log_warning)


@build.register
def _(node: GlobalShuffle, to: Settings, at: Place = START) -> Operator:
    return _segment(node, to, at)


@build.register
def _(node: Shuffle, to: Settings, at: Place = START) -> Operator:
    if countable(node) is not None:
        return _segment(node, to, at)
    known = cardinality(node.source)
    expected = known if known >= 0 else node.size
    return ShuffleOperator(
        build(node.source, to, at), to.store, node.size, _key(node, to, at), to.buffer_bytes, expected
    )


@build.register
def _(node: Batch, to: Settings, at: Place = START) -> Operator:
    allocate = to.allocate if node is to.top else None
    source = build(node.source, to, at)
    return BatchOperator(source, to.store, node.size, node.drop_remainder, Fold(allocate=allocate))


@build.register
def _(node: RaggedBatch, to: Settings, at: Place = START) -> Operator:
    fold = Fold(Ragged(node.ranks, node.splits_dtype), at.path(node))
    return BatchOperator(build(node.source, to, at), to.store, node.size, node.drop_remainder, fold)


@build.register
def _(node: SparseBatch, to: Settings, at: Place = START) -> Operator:
    fold = Fold(Sparse(node.row_shape), at.path(node))
    return BatchOperator(build(node.source, to, at), to.store, node.size, False, fold)


@build.register
def _(node: Rebatch, to: Settings, at: Place = START) -> Operator:
    source = build(node.source, to, at)
    if len(node.sizes) == 1:
        return BatchOperator(source, to.store, node.sizes[0], node.drop_remainder)
    origin = derive("rebatch", list(at.path(node)), list(at.passes))
    return RebatchOperator(source, to.store, node.sizes, node.drop_remainder, origin)


@build.register
def _(node: Scan, to: Settings, at: Place = START) -> Operator:
    segment, counts = segment_at(node, at.branch, at.fixed), to.counts.branch()
    source = build(node.source, replace(to, counts=counts), at)
    return to.stream(segment, SequentialFeed(segment.path, source, to.store, counts=counts), to.counts)


@build.register
def _(node: Unique, to: Settings, at: Place = START) -> Operator:
    return UniqueOperator(build(node.source, to, at), to.store)


@build.register
def _(node: AssertCardinality, to: Settings, at: Place = START) -> Operator:
    return AssertOperator(build(node.source, to, at), to.store, node.count)


def padding_of(node: PaddedBatch) -> Padding:
    """How a padded batch makes its elements equal."""
    return Padding(node.shapes, node.values, node.shapes_nest, node.values_nest)


@build.register
def _(node: PaddedBatch, to: Settings, at: Place = START) -> Operator:
    fold = Fold(padding_of(node), at.path(node))
    return BatchOperator(build(node.source, to, at), to.store, node.size, node.drop_remainder, fold)


@build.register
def _(node: Bucket, to: Settings, at: Place = START) -> Operator:
    return GroupOperator(build(node.source, to, at), to.store, Buckets(node, at.path(node)), to.buffer_bytes)


@build.register
def _(node: Window, to: Settings, at: Place = START) -> Operator:
    fold, source = WindowFold(at.path(node), False), build(node.source, to, at)
    return WindowOperator(source, to.store, node.size, node.shift, node.stride, node.drop_remainder, fold)


@build.register
def _(node: WindowByKey, to: Settings, at: Place = START) -> Operator:
    return GroupOperator(build(node.source, to, at), to.store, KeyedWindows(node, at.path(node)), to.buffer_bytes)


@build.register
def _(node: Resample, to: Settings, at: Place = START) -> Operator:
    own = ["seed", node.seed] if node.seed is not None else ["path", to.seed, *at.path(node)]
    key = derive("resample", own, to.epoch, list(at.passes))
    initial = None if node.initial is None else np.array(node.initial)
    return ResampleOperator(build(node.source, to, at), to.store, np.array(node.target), initial, key)


@build.register
def _(node: Repeat, to: Settings, at: Place = START) -> Operator:
    count = 0 if empty(node.source) else node.count  # or else passes over nothing would take for ever
    return RepeatOperator(lambda number: build(node.source, to, at.within(number)), count)


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


@build.register
def _(node: Take, to: Settings, at: Place = START) -> Operator:
    if countable(node) is not None:
        return _segment(node, to, at)
    source = build(node.source, to, at)
    return source if node.count < 0 else TakeOperator(source, to.store, node.count)


@build.register
def _(node: Skip, to: Settings, at: Place = START) -> Operator:
    if countable(node) is not None:
        return _segment(node, to, at)
    source = build(node.source, to, at)
    return TakeOperator(source, to.store, 0) if node.count < 0 else SkipOperator(source, to.store, node.count)


@build.register
def _(node: TakeWhile, to: Settings, at: Place = START) -> Operator:
    return TakeWhileOperator(build(node.source, to, at), to.store)


@build.register
def _(node: Shard, to: Settings, at: Place = START) -> Operator:
    if countable(node) is not None:
        return _segment(node, to, at)
    return ShardOperator(build(node.source, to, at), to.store, node.count, node.index)


@build.register
def _(node: Enumerate, to: Settings, at: Place = START) -> Operator:
    if one_for_one(node.source):
        return _segment(node, to, at)
    return EnumerateOperator(build(node.source, to, at), to.store, node.start)


@build.register
def _(node: Zip, to: Settings, at: Place = START) -> Operator:
    sources = [build(each, to, at.into(node, i)) for i, each in enumerate(node.sources)]
    return ZipOperator(sources, to.store, node.structure)


@build.register
def _(node: Concatenate, to: Settings, at: Place = START) -> Operator:
    return ConcatenateOperator(lambda i: build(node.sources[i], to, at.into(node, i)), len(node.sources))


@build.register
def _(node: Choose, to: Settings, at: Place = START) -> Operator:
    choices, *sources = (build(each, to, at.into(node, i)) for i, each in enumerate(node.inputs))
    picker = Choices(choices, to.store, len(sources))
    return MixOperator(picker, sources, to.store, node.stop_on_empty)


@build.register
def _(node: Sample, to: Settings, at: Place = START) -> Operator:
    own = ["seed", node.seed] if node.seed is not None else ["path", to.seed, *at.path(node)]
    key = derive("sample", own, [to.epoch, list(at.passes)] if node.rerandomize else None)
    sources = [build(each, to, at.into(node, i)) for i, each in enumerate(node.inputs)]
    if isinstance(node.weights, Node):
        picker: Picker = Weights(sources.pop(), to.store, len(node.sources), key=key)
    else:
        picker = Draws(np.array(node.weights, np.float64), key)
    return MixOperator(picker, sources, to.store, node.stop_on_empty)


@build.register
def _(node: Interleave, to: Settings, at: Place = START) -> Operator:
    segment = segment_at(node, at.branch, at.fixed)

    def opened(inputs: Handles) -> Operator:
        job = handed(segment.path, to.store, inputs, GRAIN, turns=True) if len(inputs) else None
        return to.stream(segment, OnceFeed(job, to.store, share=node.cycle), to.counts)

    return InterleaveOperator(build(node.source, to, at), to.store, opened, node.cycle, node.block, to.eager)
