"""Spreading: what one worker reads, handed along to all for the functions behind it.

A generator, or a file that cannot be entered in the middle, is one lease. Its functions are leased apart from it, on
what was read, a few elements at a time. To whoever looks from outside, at checkpoints, identities, verdicts, it is one
segment, as it is in process: what is under way between the two is read again by whoever goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from ..pipeline.counts import Counts
from ..pipeline.errors import to_data
from ..pipeline.feeds import HANDED_BYTES, HANDED_MOST, Feed, HandedFeed, Job
from ..pipeline.operators.protocol import Failed, Find, Keep, Pulled, Signal, State
from ..pipeline.place import Path
from ..pipeline.segment import Segment
from ..pipeline.store import Handles, Store
from ..pipeline.verdicts import Verdicts
from ..pipeline.work import Work
from .lanes import Lane, LaneStream

__all__ = ["Kind", "Make", "SpreadStream", "lanes_of"]

Kind = TypeVar("Kind", bound=LaneStream)

#: In about so many pieces a worker is to compute what it is handed.
PIECES = 8


class Make(Protocol):
    """From a feed, and how far downstream it is, to a stream of lanes."""

    def __call__(self, kind: type[Kind], feed: Feed, depth: int) -> Kind:
        """The stream."""


def lanes_of(segment: Segment, feed: Feed, store: Store, make: Make) -> LaneStream:
    """The stream of a segment's elements, where it is worth it with one before it that reads for it."""
    depth = segment.path[-1]
    if not segment.spread:
        return make(LaneStream, feed, depth)
    reading = make(ReadStream, feed, segment.leaf_path[-1])
    reading.leaf = segment.leaf_path
    return make(SpreadStream, SpreadFeed(segment.path, reading, store), depth)


@dataclass(slots=True, eq=False)
class ReadStream(LaneStream):
    """What the leaf of a segment gives, without the functions."""

    leaf: Path = ()

    def _open(self, job: Job) -> Lane:
        # `super()` does not work in a dataclass with slots
        return LaneStream._open(self, replace(job, work=replace(job.work, segment=self.leaf), part_of=job.segment))


@dataclass(slots=True)
class SpreadFeed(HandedFeed):
    """The same, a few elements at a time, for the functions."""

    def next(self) -> Job | Signal | Failed:
        """The next few elements."""
        job = HandedFeed.next(self)
        return replace(job, part_of=self.segment) if isinstance(job, Job) else job

    def _learn(self, count: int, nbytes: int) -> None:
        """No more than is little to hand along; when it may be more is told by what comes."""
        self.size = max(1, min(self.size, HANDED_BYTES * count // max(1, nbytes)))

    def _done(self, count: int, nbytes: int, pieces: int) -> None:
        """Twice as many as came well, while that is little for a lease, in bytes and in time: a piece is short."""
        most = min(HANDED_MOST, HANDED_BYTES * count // max(1, nbytes), PIECES * count // pieces)
        self.size = max(1, min(most, max(self.size, 2 * count)))


@dataclass(slots=True, eq=False)
class SpreadStream(LaneStream):
    """What comes of these. Its state is that of a stream that runs the functions where it reads."""

    def __post_init__(self) -> None:
        """No marks: what is under way is told by where the leaf is to be read on."""

    @property
    def reading(self) -> ReadStream:
        """The stream before it."""
        assert isinstance(self.feed, SpreadFeed)
        assert isinstance(self.feed.source, ReadStream)
        return self.feed.source

    def judged_by(self, verdicts: Verdicts) -> None:
        """What is decided about elements that fail, in either."""
        self.verdicts = self.reading.verdicts = verdicts

    def pull(self, limit: int) -> Pulled:
        got = LaneStream.pull(self, limit)
        if self.lanes and isinstance(self.lanes[0], Lane):
            self._counts(self.lanes[0])
        return got

    def _open(self, job: Job) -> Lane:
        lane = LaneStream._open(self, job)
        lane.arrivals.counts = Counts()
        return lane

    def _drop(self, lane: Lane) -> None:
        self._counts(lane)
        LaneStream._drop(self, lane)

    def _counts(self, lane: Lane) -> None:
        """What a lane left out counts once it is consumed: before, whoever goes on reads it again."""
        if lane.arrivals.counts is not self.counts:
            self.counts.filtered += lane.arrivals.counts.filtered
            lane.arrivals.counts = self.counts

    def snapshot(self, keep: Keep) -> State:
        starts: dict[int, int] = {}
        lanes: list[Any] = []
        for each in self._under_way():
            if isinstance(each, Failed) and each.spot is None:
                lanes.append({"error": to_data(each.error)})
            for origin, offset in self._places(each):
                if origin not in starts:
                    starts[origin] = offset
                    lanes.append({"work": replace(self.store.works[origin], start=offset).to_data()})
        state = self.reading.snapshot(keep)
        lanes += [each for each in state["lanes"] if "error" in each or _origin(each) not in starts]
        return {**state, "lanes": lanes}

    def restore(self, state: State, find: Find) -> None:
        self.reading.restore(state, find)

    def _under_way(self) -> Iterator[Handles | Failed]:
        """What was read and is not consumed, in order, and what failed in between."""
        for lane in self.lanes:
            inputs = lane.arrivals.job.inputs if isinstance(lane, Lane) else None
            if isinstance(lane, Failed):
                yield lane
            elif inputs is not None:
                # What was left out at the front of another lane than the first does not count yet.
                yield inputs[lane.arrivals.consumed :] if lane.arrivals.counts is self.counts else inputs
        assert isinstance(self.feed, SpreadFeed)
        yield self.feed.rest

    def _places(self, found: Handles | Failed) -> Iterator[tuple[int, int]]:
        """Of each origin the first that is there: origin and offset."""
        if isinstance(found, Failed):
            if found.spot is not None:
                yield found.spot.origin, found.spot.offset
            return
        who = self.store.identities(found)
        for first in np.sort(np.unique(who[:, 0], return_index=True)[1]).tolist():
            yield int(who[first, 0]), int(who[first, 1])


def _origin(lane: dict[str, Any]) -> int:
    return Work.from_data(lane["work"]).origin
