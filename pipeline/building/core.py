"""What building is: its settings, and the segment of what has no state. The other files register the operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import TypeAlias

from ..caching import Desk
from ..columns import Allocate
from ..counts import Counts
from ..feeds import Feed, FileFeed, HandedFeed, Job, OnceFeed, RowFeed
from ..flat import GRAIN
from ..memory import Memory
from ..nodes import (
    Configured,
    Generator,
    GlobalShuffle,
    IgnoreErrors,
    Node,
    Prefetch,
    Repeat,
    Shuffle,
    Skip,
    Take,
)
from ..operators.judge import Judge
from ..operators.protocol import Operator, Signal
from ..place import START, Place
from ..seeds import derive
from ..segment import Segment, segment_at
from ..shelves import Shelves
from ..store import Store
from ..verdicts import Verdicts
from ..work import Work

__all__ = [
    "BUFFER_BYTES",
    "Settings",
    "Streams",
    "build",
    "buffer_bytes_of",
    "built_segment",
    "judged",
    "shuffle_key",
    "top_of",
]

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
    view, count = segment.rows.view(lambda shuffle: shuffle_key(shuffle, to, at))
    return RowFeed(segment.path, derive("leaf", list(leaf), list(at.passes)), count, to.rows_each(count), view)


def shuffle_key(node: Shuffle | GlobalShuffle, to: Settings, at: Place) -> int:
    """What all draws of a shuffle depend on: its seed or where it stands, and the epoch and passes it is in."""
    own = ["seed", node.seed] if node.seed is not None else ["path", to.seed, *at.path(node)]
    return derive("shuffle", own, [to.epoch, list(at.passes)] if node.reshuffle else None)


def built_segment(node: Node, to: Settings, at: Place) -> Operator:
    segment = segment_at(node, at.branch, at.fixed)
    return to.stream(segment, _feed(segment, to, at), to.counts)
