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
def build(node: Node, to: Settings, passes: tuple[int, ...] = ()) -> Operator:
    """The operator that gives a node's elements, in the given pass of each repeat around it.

    What is not stateful is part of a segment, and that is the general case.
    """
    segment = segment_at(node)
    if segment.leaf is None and segment.input is not None and not segment.steps:
        return build(segment.input, to, passes)
    return to.stream(segment, _feed(segment, to, passes))


def _feed(segment: Segment, to: Settings, passes: tuple[int, ...]) -> Feed:
    if segment.leaf is None:
        assert segment.input is not None, "a segment has a leaf or an input"
        return HandedFeed(segment.path, build(segment.input, to, passes), to.store)
    leaf = (segment.leaf.height,)
    if segment.input is not None:
        node, names = segment.leaf, build(segment.input, to, passes)
        return FileFeed(segment.path, names, to.store, leaf, passes, lambda path: to.cut(node, path), to.folder)
    count = cardinality(segment.leaf)
    return RowFeed(segment.path, derive("leaf", list(leaf), list(passes)), count, to.rows_each(count))


@build.register
def _(node: Configured | Prefetch, to: Settings, passes: tuple[int, ...] = ()) -> Operator:
    return build(node.source, to, passes)


@build.register
def _(node: Shuffle, to: Settings, passes: tuple[int, ...] = ()) -> Operator:
    own = ["seed", node.seed] if node.seed is not None else ["path", to.seed, node.height]
    key = derive("shuffle", own, [to.epoch, list(passes)] if node.reshuffle else None)
    known = cardinality(node.source)
    expected = known if known >= 0 else node.size
    return ShuffleOperator(build(node.source, to, passes), to.store, node.size, key, to.buffer_bytes, expected)


@build.register
def _(node: Batch, to: Settings, passes: tuple[int, ...] = ()) -> Operator:
    return BatchOperator(build(node.source, to, passes), to.store, node.size, node.drop_remainder)


@build.register
def _(node: PaddedBatch, to: Settings, passes: tuple[int, ...] = ()) -> Operator:
    padding = Padding(node.shapes, node.values, node.shapes_nest, node.values_nest)
    return BatchOperator(build(node.source, to, passes), to.store, node.size, node.drop_remainder, padding)


@build.register
def _(node: Repeat, to: Settings, passes: tuple[int, ...] = ()) -> Operator:
    count = 0 if cardinality(node.source) == 0 else node.count
    return RepeatOperator(lambda number: build(node.source, to, (*passes, number)), count)


@build.register
def _(node: Take, to: Settings, passes: tuple[int, ...] = ()) -> Operator:
    source = build(node.source, to, passes)
    return source if node.count < 0 else TakeOperator(source, to.store, node.count)


@build.register
def _(node: Skip, to: Settings, passes: tuple[int, ...] = ()) -> Operator:
    source = build(node.source, to, passes)
    return TakeOperator(source, to.store, 0) if node.count < 0 else SkipOperator(source, to.store, node.count)
