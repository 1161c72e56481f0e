"""Execution: units of work computed in this process, and whole plans, also those of datasets inside a unit of work.

This is all that workers compute, and the in-process run computes it with the same lines.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from .arrivals import Arrivals
from .building import BUFFER_BYTES, Settings, buffer_bytes_of, build
from .caching import Desk
from .counts import Counts
from .dice import read_random
from .errors import MalformedMessage, from_data, to_data
from .feeds import Feed, Job, SequentialFeed, job_of, payload_of, state_of
from .flat import Flat, Inside
from .generating import generated
from .memory import Memory
from .nodes import FlatMap, Generator, Interleave, Node, Random, Scan, Unbatch
from .operators.protocol import Failed, Find, Keep, Operator, Pulled, Signal, State
from .readers import Chunk, only, read
from .scanning import scanned
from .seeds import derive
from .segment import Segment, Watch, describe, run_steps
from .shelves import Shelves
from .store import Store
from .unbatching import unbatched
from .verdicts import Verdicts
from .work import Appetite, Payload, Piece, Work

__all__ = ["Stream", "compute", "execute", "settings"]

SECONDS_AHEAD = 0.01
#: Where few are asked for at a time, because others have their turn, so many are computed at once, at most.
MOST_AHEAD = 1024


def execute(
    segment: Segment,
    work: Work,
    payload: Payload | None,
    seed: int,
    epoch: int,
    appetite: Appetite,
    watch: Watch | None = None,
) -> Iterator[Piece]:
    """The pieces of a unit of work, in order; the last one says that it is the last.

    `appetite` may be changed between pieces. What fails is a piece of its own, and the next goes on behind it.
    """
    chunks: Iterable[Chunk]
    epoch = 0 if segment.fixed else epoch
    if payload is not None and segment.reads:
        segment = replace(segment, leaf=None)  # somebody else read for us
    match segment.leaf:
        case FlatMap() | Interleave() as leaf:
            assert payload is not None, "no elements to make others of"
            flat = Flat(leaf, segment.leaf_path, work, payload, seed, epoch, appetite, watch, compute)
            chunks = flat.chunks()
        case Unbatch():
            assert payload is not None, "no elements to make others of"
            chunks = unbatched(segment.leaf_path, work, payload)
            if work.only is not None:
                chunks = only(chunks, np.array(work.only, np.int64))
        case Scan() as leaf:
            assert payload is not None, "no elements to go through"
            chunks = scanned(leaf, segment.leaf_path, work, payload, seed, epoch, appetite, watch)
        case Generator() as leaf:
            chunks = generated(leaf, segment.leaf_path, work, seed, epoch, appetite, watch)
        case Random() as leaf:
            chunks = read_random(leaf, segment.leaf_path, work, seed, epoch)
        case leaf:
            # Where no function comes between, what is read is what is sent.
            chunks = read(leaf, work, payload, None if segment.steps or work.poison else appetite.allocate)
    return run_steps(segment, chunks, work, seed, epoch, appetite, watch)


def compute(
    node: Node, store: Store, seed: int, epoch: int, folder: str, inside: Inside | None = None, nested: bool = False
) -> Operator:
    """The operator that gives a graph's elements, computed here when it is pulled.

    A `nested` one is PENDING now and then where it takes long, so that whoever waits hears that time passes, and
    tells `inside` each element that a function sees.
    """
    return build(node, settings(node, store, seed, epoch, folder, inside=inside, nested=nested))


def settings(
    node: Node,
    store: Store,
    seed: int,
    epoch: int,
    folder: str,
    inside: Inside | None = None,
    nested: bool = False,
    verdicts: Verdicts | None = None,
    memory: Memory | None = None,
    shelves: Shelves | None = None,
    desk: Desk | None = None,
) -> Settings:
    """How to build a graph so that it is computed here."""
    place = Computing(store, seed, epoch, verdicts or Verdicts())
    return Settings(
        store,
        seed,
        epoch,
        stream=lambda segment, feed, counts: Stream(segment, feed, place, inside, nested, counts),
        cut=lambda leaf, path: (0, None),
        rows_each=lambda rows: max(1, rows),
        buffer_bytes=buffer_bytes_of(node) or BUFFER_BYTES,
        folder=folder,
        verdicts=place.verdicts,
        memory=memory,
        shelves=shelves,
        desk=desk,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Computing:
    """What streams that are computed here need to know."""

    store: Store
    seed: int
    epoch: int
    verdicts: Verdicts


@dataclass(slots=True)
class Stream(Operator):
    """A segment's elements, computed when they are asked for.

    Has the state of a stream that others compute: in what was saved there several units of work may be under way.
    """

    segment: Segment
    feed: Feed
    settings: Computing | Settings
    inside: Inside | None = None
    nested: bool = False
    counts: Counts = field(default_factory=Counts)
    lanes: deque[Job | Failed] = field(default_factory=deque)  #: That come before what the feed gives.
    ended: bool = False  #: Whether the feed has nothing behind the lanes.
    arrivals: Arrivals | None = None
    pieces: Iterator[Piece] | None = None
    appetite: Appetite = field(default_factory=lambda: Appetite(seconds=SECONDS_AHEAD))
    ahead: int = 1
    since: float | None = None  #: When it was last pulled first behind a pause.

    def pull(self, limit: int) -> Pulled:
        self.appetite.elements = max(limit, self.ahead)
        while True:
            if self.nested and self._pauses():
                return Signal.PENDING
            if self.arrivals is None:
                job = self._next()
                if isinstance(job, Failed) and self.segment.forgiven is not None:
                    self.settings.verdicts.ignore(job, self.counts, self.segment.warns)
                    continue
                if not isinstance(job, Job):
                    return job
                self.arrivals = Arrivals(job, self.settings.store, self.settings.verdicts, self.counts)
            got = self.arrivals.pop(limit)
            if got is None:
                if self.arrivals.spent:
                    self._finish()
                else:
                    self._compute(self.arrivals)
                continue
            if self.arrivals.abandoned:
                self._abandon(self.arrivals.job.work.origin)
            if not isinstance(got, Failed) or not got.ignored:
                return got
            self.settings.verdicts.ignore(got, self.counts, self.segment.warns)

    def _next(self) -> Job | Signal | Failed:
        if self.lanes:
            return self.lanes.popleft()
        if self.ended:
            return Signal.END
        return self.feed.next()

    def _abandon(self, origin: int) -> None:
        """Nothing behind a damage is read, also where others had cut the file."""
        self.lanes = deque(each for each in self.lanes if isinstance(each, Failed) or each.work.origin != origin)
        self.feed.abandon(origin)

    def _pauses(self) -> bool:
        """Whether it is time to say so, also where something came: operators behind may want much of it at once."""
        now = time.monotonic()
        if self.since is None:
            self.since = now  # at least one step is made before the next pause
        if now - self.since < SECONDS_AHEAD:
            return False
        self.since = None
        return True

    def _compute(self, arrivals: Arrivals) -> None:
        """The next piece. Where Ctrl-C came in between, the next call computes from the last piece on again."""
        to, job = self.settings, arrivals.job
        if self.pieces is None:
            work = replace(arrivals.left, ruled=to.verdicts.rulings(job, to.store))
            payload = payload_of(to.store, job.inputs, arrivals.carried)
            watch = None if self.inside is None else self._watch(job, payload)
            self.pieces = execute(self.segment, work, payload, to.seed, to.epoch, self.appetite, watch)
        pieces, self.pieces = self.pieces, None
        arrivals.add(piece := next(pieces))
        if arrivals.complete and isinstance(self.feed, SequentialFeed):
            self.feed.computed(job, arrivals.carried)
        to.verdicts.computed += 0 if piece.block is None else piece.block.rows
        self.pieces = pieces
        if job.work.turns:
            self.ahead = min(MOST_AHEAD, 2 * self.ahead)

    def _watch(self, job: Job, payload: Payload | None) -> Watch:
        """From the positions of a job to names of elements that do not depend on how the work was divided."""
        path, inside = list(self.segment.path), self.inside
        assert inside is not None

        def watch(position: int) -> None:
            row, within = divmod(position, job.grain)
            origin, offset = (
                (job.work.origin, job.work.offset_at(row)) if payload is None else payload.identities[row].tolist()
            )
            key = derive("inside", path, origin, offset, within)
            inside(key, lambda: describe(job.work, origin, offset))

        return watch

    def _finish(self) -> None:
        if self.arrivals is not None:
            self.arrivals.close()
        self.arrivals = self.pieces = None

    def close(self) -> None:
        self._finish()
        for each in self.lanes:
            if isinstance(each, Job):
                Arrivals(each, self.settings.store).close()
        self.lanes.clear()
        self.feed.close()

    def snapshot(self, keep: Keep) -> State:
        lanes = [_lane_state(each, keep) for each in self.lanes]
        if self.arrivals is not None and not self.arrivals.spent:
            lanes.insert(0, self.arrivals.state(keep))
        return {"feed": self.feed.snapshot(keep), "ended": self.ended, "lanes": lanes}

    def restore(self, state: State, find: Find) -> None:
        self.feed.restore(state["feed"], find)
        self.ended = bool(state["ended"])
        for each in state["lanes"]:
            if "error" in each:
                self.lanes.append(Failed(from_data(each["error"])))
            else:
                job = job_of(each, self.settings.store, find)
                if not self.feed.could_give(job):
                    raise MalformedMessage("work under way that is none of here")
                self.settings.store.opened(job.work)
                self.lanes.append(job)


def _lane_state(lane: Job | Failed, keep: Keep) -> State:
    if isinstance(lane, Failed):
        return {"error": to_data(lane.error)}
    return state_of(lane, lane.work.start, keep)
