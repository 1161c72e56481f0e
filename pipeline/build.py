"""Building: from the graph to operators that can be pulled, in process or in a broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import TypeAlias

from .cardinality import cardinality
from .feeds import Feed, FileFeed, HandedFeed, RowFeed
from .nodes import Batch, Configured, Node, PaddedBatch, Prefetch, Repeat, Shuffle, Skip, Take
from .operators.batch import BatchOperator
from .operators.counting import RepeatOperator, SkipOperator, TakeOperator
from .operators.protocol import Operator, Signal
from .operators.shuffle import ShuffleOperator
from .padding import Padding
from .place import START, Place
from .seeds import derive
from .segment import Segment, segment_at
from .store import Store

__all__ = ["BUFFER_BYTES", "Settings", "build", "buffer_bytes_of"]

#: What a shuffle may hold unless Options say otherwise.
BUFFER_BYTES = 4 << 30

#: How the elements of a segment come about: computed here, or leased to workers.
Streams: TypeAlias = Callable[[Segment, Feed], Operator]


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


def buffer_bytes_of(node: Node) -> int | None:
    """What `Options(buffer_bytes=...)` set, the outermost first."""
    if isinstance(node, Configured) and node.buffer_bytes is not None:
        return node.buffer_bytes
    found = (buffer_bytes_of(each) for each in node.inputs)
    return next((each for each in found if each is not None), None)


@singledispatch
def build(node: Node, to: Settings, at: Place = START) -> Operator:
    """The operator that gives a node's elements, at a place: in this branch, in these passes of the repeats around.

    What is not stateful is part of a segment, and that is the general case.
    """
    segment = segment_at(node, at.branch)
    if segment.leaf is None and segment.input is not None and not segment.steps:
        return build(segment.input, to, at)
    return to.stream(segment, _feed(segment, to, at))


def _feed(segment: Segment, to: Settings, at: Place) -> Feed:
    if segment.leaf is None:
        assert segment.input is not None, "a segment has a leaf or an input"
        return HandedFeed(segment.path, build(segment.input, to, at), to.store)
    leaf = at.path(segment.leaf)
    if segment.input is not None:
        node, names = segment.leaf, build(segment.input, to, at)
        return FileFeed(segment.path, names, to.store, leaf, at.passes, lambda path: to.cut(node, path), to.folder)
    count = cardinality(segment.leaf)
    return RowFeed(segment.path, derive("leaf", list(leaf), list(at.passes)), count, to.rows_each(count))


@build.register
def _(node: Configured | Prefetch, to: Settings, at: Place = START) -> Operator:
    return build(node.source, to, at)


@build.register
def _(node: Shuffle, to: Settings, at: Place = START) -> Operator:
    own = ["seed", node.seed] if node.seed is not None else ["path", to.seed, *at.path(node)]
    key = derive("shuffle", own, [to.epoch, list(at.passes)] if node.reshuffle else None)
    known = cardinality(node.source)
    expected = known if known >= 0 else node.size
    return ShuffleOperator(build(node.source, to, at), to.store, node.size, key, to.buffer_bytes, expected)


@build.register
def _(node: Batch, to: Settings, at: Place = START) -> Operator:
    return BatchOperator(build(node.source, to, at), to.store, node.size, node.drop_remainder)


@build.register
def _(node: PaddedBatch, to: Settings, at: Place = START) -> Operator:
    padding = Padding(node.shapes, node.values, node.shapes_nest, node.values_nest)
    return BatchOperator(build(node.source, to, at), to.store, node.size, node.drop_remainder, padding)


@build.register
def _(node: Repeat, to: Settings, at: Place = START) -> Operator:
    count = 0 if cardinality(node.source) == 0 else node.count
    return RepeatOperator(lambda number: build(node.source, to, at.within(number)), count)


@build.register
def _(node: Take, to: Settings, at: Place = START) -> Operator:
    source = build(node.source, to, at)
    return source if node.count < 0 else TakeOperator(source, to.store, node.count)


@build.register
def _(node: Skip, to: Settings, at: Place = START) -> Operator:
    source = build(node.source, to, at)
    return TakeOperator(source, to.store, 0) if node.count < 0 else SkipOperator(source, to.store, node.count)
