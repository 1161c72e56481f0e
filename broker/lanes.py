"""Lanes: a segment's splits, leased out ahead and merged in order, each with credit of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from ..pipeline.arrivals import Arrivals
from ..pipeline.counts import Counts
from ..pipeline.errors import MalformedMessage, from_data, to_data
from ..pipeline.feeds import Feed, HandedFeed, Job, SequentialFeed, job_of
from ..pipeline.operators.protocol import Failed, Find, Keep, Operator, Pulled, Signal, State
from ..pipeline.store import Store
from ..pipeline.verdicts import Verdicts
from ..pipeline.work import Piece, Work
from .marks import Marks

__all__ = ["Lane", "LaneStream"]


@dataclass(slots=True, eq=False)
class Lane:
    """One split: its job, what came of it, and under which lease more may come."""

    split: int
    depth: int
    arrivals: Arrivals
    attempt: int | None = None
    worker: str = ""
    received: int = 0  #: Bytes under this attempt.
    limit: int = 0  #: Bytes admitted under this attempt.
    told: tuple[int, int] | None = None  #: Watermark and limit that the worker was told.
    told_at: float = 0.0
    urgent: bool = False
    wanted: bool = False  #: Whether the coordinator has an order for it.

    @property
    def work(self) -> Work:
        """What is still to be computed."""
        return self.arrivals.left

    @property
    def count(self) -> int:
        """How many elements are handed along."""
        return 0 if self.arrivals.job.inputs is None else len(self.arrivals.job.inputs)

    @property
    def spent(self) -> bool:
        """Whether nothing of it is still to be handed on."""
        stop = self.arrivals.job.work.stop
        return self.arrivals.spent or (stop is not None and self.arrivals.consumed >= stop)

    @property
    def outstanding(self) -> int:
        """Bytes that may still come without further credit."""
        return max(0, self.limit - self.received)


@dataclass(slots=True, eq=False)
class LaneStream(Operator):
    """A segment's elements, computed by workers.

    Splits are consumed in the order of the feed, however they arrive. The first lane is the head:
    consumption waits for it.
    """

    feed: Feed
    store: Store
    depth: int
    splits: count[int]
    look_ahead: int
    closed: Callable[[LaneStream], None]
    release: Callable[[Lane], None]
    share: int = 1  #: How many such streams share what one alone may have under way.
    verdicts: Verdicts = field(default_factory=Verdicts)  #: What is decided about elements that fail.
    counts: Counts = field(default_factory=Counts)  #: To which what does not come out of it goes.
    forgiven: bool = False  #: Whether what fails before the segment is dropped by it,
    warns: bool = False  #: and told.
    tags: int | None = None  #: How many each element has, where they are looked at.
    lanes: deque[Lane | Failed] = field(default_factory=deque)
    by_split: dict[int, Lane] = field(default_factory=dict)
    ended: bool = False
    marks: Marks | None = None  #: Where elements are handed along.

    def __post_init__(self) -> None:
        if isinstance(self.feed, HandedFeed) and not isinstance(self.feed, SequentialFeed):
            self.marks = Marks(self.feed)

    def judged_by(self, verdicts: Verdicts) -> None:
        """By what is decided about elements that fail."""
        self.verdicts = verdicts

    def pull(self, limit: int) -> Pulled:
        while True:
            if not self.lanes and not self.extend(1):
                return Signal.END if self.ended else Signal.PENDING
            head = self.lanes[0]
            if isinstance(head, Failed):
                self.lanes.popleft()
                if not self.forgiven:
                    return head
                self.verdicts.ignore(head, self.counts, self.warns)
                continue
            got = head.arrivals.pop(limit)
            if got is not None:
                if head.arrivals.abandoned:
                    self._abandon(head)
                if not isinstance(got, Failed) or not got.ignored:
                    return got
                self.verdicts.ignore(got, self.counts, self.warns)
                continue
            if not head.arrivals.spent:
                return Signal.PENDING
            self.lanes.popleft()
            self._drop(head)

    def extend(self, most: int | None = None) -> bool:
        """Open lanes as far ahead as is allowed; whether there is any lane."""
        while len(self.lanes) < (most or self.look_ahead) and not self.ended:
            if self.marks is not None:
                self.marks.take(self.told, self.verdicts.serial)
            job = self.feed.next()
            if isinstance(job, Job):
                self._open(job)
            elif isinstance(job, Failed):
                self.lanes.append(job)
            elif job is Signal.END:
                self.ended = True
            else:
                break
        return bool(self.lanes)

    def _open(self, job: Job) -> Lane:
        lane = Lane(next(self.splits), self.depth, Arrivals(job, self.store, self.verdicts, self.counts))
        self.lanes.append(lane)
        self.by_split[lane.split] = lane
        return lane

    def _drop(self, lane: Lane) -> None:
        del self.by_split[lane.split]
        lane.arrivals.close()
        self.release(lane)

    def _abandon(self, head: Lane) -> None:
        """Nothing behind a damage is read, however intact it is: as it would be were the file one split."""
        origin = head.arrivals.job.work.origin
        rest = [each for each in self.by_split.values() if each.arrivals.job.work.origin == origin and each is not head]
        for lane in rest:
            self.lanes.remove(lane)
            self._drop(lane)
        self.feed.abandon(origin)

    def arrive(self, lane: Lane, piece: Piece) -> bool:
        """Take a piece of the current attempt; False where it came before, or something before it is missing.

        Raises:
            MalformedMessage: its elements have no tags, or others, where operators look at these.
        """
        if piece.block is not None and self.tags not in (None, piece.width):
            raise MalformedMessage(f"a piece with {piece.width} tags where there are {self.tags}")
        lane.told = None  # whatever it is, the worker is told again what has arrived
        if piece.first != lane.arrivals.watermark or lane.arrivals.complete:
            return False
        lane.received += piece.nbytes
        lane.arrivals.add(piece)
        self._carry(lane.arrivals)
        return True

    def _carry(self, arrivals: Arrivals) -> None:
        """What the state of a sequential function has become is that with which the next job begins."""
        if arrivals.complete and isinstance(self.feed, SequentialFeed):
            self.feed.computed(arrivals.job, arrivals.carried)

    def open_lanes(self) -> Iterator[Lane]:
        """The lanes of which something is still to come, the first one first."""
        return (lane for lane in self.lanes if isinstance(lane, Lane) and not lane.arrivals.complete)

    def is_head(self, lane: Lane) -> bool:
        """Whether consumption waits for this lane."""
        return bool(self.lanes) and self.lanes[0] is lane

    @property
    def waiting_bytes(self) -> int:
        """Of all that arrived and was not consumed."""
        return sum(lane.arrivals.waiting_bytes for lane in self.by_split.values())

    def close(self) -> None:
        for lane in self.by_split.values():
            lane.arrivals.close()
            self.release(lane)
        self.lanes.clear()
        self.by_split.clear()
        self.ended = True
        self.feed.close()
        self.closed(self)

    @property
    def told(self) -> int:
        """How much it would take to tell what is under way, in bytes."""
        return sum(lane.arrivals.told for lane in self.by_split.values())

    def snapshot(self, keep: Keep) -> State:
        if self.marks is not None and (feed := self.marks.state(*self._next_input(), self.told, keep)) is not None:
            return {"feed": feed, "ended": False, "lanes": []}
        return {
            "feed": self.feed.snapshot(keep),
            "ended": self.ended,
            "lanes": [_lane_state(each, keep) for each in self.lanes if isinstance(each, Failed) or not each.spent],
        }

    def _next_input(self) -> tuple[int, int]:
        """Which element handed along is not done with, and how much of it is."""
        assert isinstance(self.feed, HandedFeed), "elements are handed along"
        number = self.feed.given - sum(1 if isinstance(each, Failed) else each.count for each in self.lanes)
        head = self.lanes[0] if self.lanes else None
        if not isinstance(head, Lane):
            return number, 0
        row, within = divmod(head.arrivals.consumed, self.feed.grain)
        return (number + row, within) if row < head.count else (number + head.count, 0)

    def restore(self, state: State, find: Find) -> None:
        self.feed.restore(state["feed"], find)
        self.ended = state["ended"]
        for each in state["lanes"]:
            if "error" in each:
                self.lanes.append(Failed(from_data(each["error"])))
            else:
                job = job_of(each, self.store, find)
                if not self.feed.could_give(job):
                    raise MalformedMessage("work under way that is none of here")
                self._open(job)


def _lane_state(lane: Lane | Failed, keep: Keep) -> dict[str, Any]:
    """What of this lane is not consumed yet."""
    if isinstance(lane, Failed):
        return {"error": to_data(lane.error)}
    return lane.arrivals.state(keep)
