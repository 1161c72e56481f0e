"""Pipelines played in one process, saved at any moment and set up again, as a run in process or as a broker does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgpack
import numpy as np

from headrace.broker.lanes import Lane, LaneStream
from headrace.broker.spreading import Kind, lanes_of
from headrace.pipeline.building import Settings, build
from headrace.pipeline.counts import Counts
from headrace.pipeline.cutting import cut_at
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.execution import Stream, execute, settings
from headrace.pipeline.feeds import Feed, OnceFeed, payload_of
from headrace.pipeline.held import saved
from headrace.pipeline.nodes import Node
from headrace.pipeline.operators.protocol import Failed, Operator, Signal
from headrace.pipeline.records import scan_records
from headrace.pipeline.recovery import Recovered
from headrace.pipeline.segment import Segment, segment_of
from headrace.pipeline.store import Handles, Store
from headrace.pipeline.work import Appetite, Piece

__all__ = ["LOCAL", "MODES", "SHARED", "Player", "played"]

SEED, EPOCH = 5, 3


@dataclass(eq=False)
class Player:
    """A pipeline's operators, as far as they are pulled; computed where they are, or lane by lane, in any order."""

    graph: Node
    shared: bool = False  #: Whether streams are lanes, as in a broker.
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    every: int = 60  #: Bytes after which files are cut.
    look_ahead: int = 4
    rows: int = 4
    most: int = 9  #: The most elements that are pulled at once.
    piece: int = 3  #: The most elements that lanes are given at once.
    store: Store = field(default_factory=Store)
    operator: Operator = field(init=False)
    splits: count[int] = field(default_factory=count)
    lanes: list[LaneStream] = field(default_factory=list)
    pieces: dict[int, Iterator[Piece]] = field(default_factory=dict)
    computed: int = 0  #: Elements that streams gave.

    def __post_init__(self) -> None:
        self.settings = self._shared() if self.shared else settings(self.graph, self.store, SEED, EPOCH, "/")
        self.operator = build(self.graph, self.settings)

    def _shared(self) -> Settings:
        return Settings(
            self.store,
            SEED,
            EPOCH,
            stream=lambda segment, feed, counts: self._stream(segment, feed, counts),
            cut=self._cut,
            rows_each=lambda rows: self.rows,
            folder="/",
            eager=3,
        )

    def _cut(self, leaf: Node, path: str) -> Any:
        return (*scan_records(path, self.every)[:-1], None) if cut_at(leaf) == "records" else (0, None)

    @property
    def filtered(self) -> int:
        """How many elements were left out of what was taken so far."""
        return self.settings.counts.all_filtered

    def _stream(self, segment: Segment, feed: Feed, counts: Counts) -> LaneStream:
        stream = lanes_of(segment, feed, self.store, self._lanes)
        stream.forgiven, stream.counts = segment.forgiven is not None, counts
        return stream

    def _lanes(self, kind: type[Kind], feed: Feed, depth: int) -> Kind:
        share = feed.share if isinstance(feed, OnceFeed) else 1
        stream = kind(feed, self.store, depth, self.splits, self.look_ahead, self._closed, lambda lane: None, share)
        self.lanes.append(stream)
        return stream

    def _closed(self, stream: LaneStream) -> None:
        if stream in self.lanes:
            self.lanes.remove(stream)

    def take(self, wanted: int = 1 << 60) -> list[Any]:
        """So many elements, or all that are left: identity and value of each; of failed ones the error."""
        out: list[Any] = []
        while len(out) < wanted:
            got = self.operator.pull(int(self.random.integers(1, 1 + min(self.most, wanted - len(out)))))
            if got is Signal.END:
                break
            if got is Signal.PENDING:
                assert self.work(), "what is waited for is being computed"
            elif isinstance(got, Failed):
                out.append(str(got.error))
            elif isinstance(got, np.ndarray):
                out += self._values(got)
        return out

    def _values(self, got: Handles) -> Iterator[Any]:
        who = self.store.identities(got).tolist()
        while len(got):
            alike = got[: self.store.alike(got)]
            yield from zip(who, map(repr, self.store.gather(alike)), strict=False)
            self.store.release(alike)
            got, who = got[len(alike) :], who[len(alike) :]

    def work(self) -> bool:
        """Some lane gets a piece, as if from a worker; whether any could."""
        for stream in list(self.lanes):
            stream.extend()
        open_ones = [(stream, lane) for stream in self.lanes for lane in stream.open_lanes()]
        if not open_ones:
            return False
        stream, lane = open_ones[int(self.random.integers(len(open_ones)))]
        piece = next(self.pieces.setdefault(lane.split, self._computed(lane)))
        assert stream.arrive(lane, piece)
        self.computed += 0 if piece.block is None else piece.block.rows
        return True

    def _computed(self, lane: Lane) -> Iterator[Piece]:
        work, payload = lane.work, payload_of(self.store, lane.arrivals.job.inputs, lane.arrivals.carried)
        appetite = Appetite(elements=int(self.random.integers(1, self.piece + 1)))
        return execute(segment_of(self.graph, work.segment), work, payload, SEED, EPOCH, appetite)

    def saved(self) -> Any:
        """A checkpoint that went over a wire."""
        return msgpack.unpackb(msgpack.packb(saved(self.operator, self.store)))

    def restore(self, state: Any) -> None:
        """Stand where that was taken."""
        self.lanes.clear()
        recovered = Recovered(state["held"], self.graph, self.store, self.again)
        while recovered.pull(self.most) is Signal.PENDING:
            self.work()
        assert recovered.complete, "all that was held came again"
        self.operator = build(self.graph, self.settings)
        self.operator.restore(state["operator"], recovered.find)

    def again(self, path: Any, feed: Feed) -> Operator:
        """A stream of what is computed again."""
        segment = segment_of(self.graph, path)
        if self.shared:
            return lanes_of(segment, feed, self.store, self._lanes)
        return Stream(segment, feed, self.settings)


def played(dataset: Dataset, shared: bool = False, seed: int = 0, **more: Any) -> Player:
    """A player of a dataset; the seed is of how much is asked for at a time, and what comes first."""
    return Player(dataset.resolved, shared, np.random.default_rng(seed), **more)


LOCAL, SHARED = False, True
#: How a pipeline was run, and how it goes on.
MODES = [(LOCAL, SHARED), (SHARED, SHARED)]
