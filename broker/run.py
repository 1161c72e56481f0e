"""An epoch's run: the operators of one job in one epoch, fed by lanes, emptied into an outbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

import numpy as np

from ..pipeline.build import BUFFER_BYTES, Settings, buffer_bytes_of, build, top_of
from ..pipeline.columns import Allocate
from ..pipeline.feeds import Feed, OnceFeed, payload_of
from ..pipeline.held import NotKept, Origins, found, keep, recovery
from ..pipeline.kernels.identity import chain
from ..pipeline.messages import Credit, Pieces
from ..pipeline.nodes import Lines, Node, Records
from ..pipeline.operators.protocol import Failed, Operator, Signal, State
from ..pipeline.orders import Granted, Release, Scan, Want, Withdrawn
from ..pipeline.pieces import piece_from
from ..pipeline.recovery import Recovered, RecoveryFeed
from ..pipeline.store import Store
from .lanes import Lane, LaneStream
from .outbox import Outbox, Parcel

__all__ = ["Limits", "Run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far ahead a broker lets workers run."""

    budget_bytes: int = 256 << 20  #: For what has arrived, or may, and is not consumed.
    window_bytes: int = 8 << 20  #: Credit of one split at a time.
    look_ahead: int = 8  #: Splits of one segment that are leased out at once,
    look_ahead_each: int = 0  #: and so many more for each worker that is there.
    rows_each: int = 4096  #: Rows of a leaf in memory that make one split, at most.
    splits_least: int = 16  #: Into so many splits a leaf in memory is cut, where it has the rows.
    parcel_bytes: int = 1 << 20  #: Small elements are delivered together, up to about this.
    resend_s: float = 1.0
    checkpoint_elements: int = 256
    checkpoint_s: float = 2.0
    least_s: float = 0.25  #: Between checkpoints, so that they cost little however fast elements go.


@dataclass(slots=True)
class Ledger:
    """What happened in an epoch, in numbers."""

    computed: int = 0  #: Elements that came from workers.
    repeated: int = 0  #: Leases that ended before their split was complete, so that it was leased again.
    duplicates: int = 0  #: Pieces that came again, or out of turn, and were left out.
    fenced: int = 0  #: Pieces of leases that were over.
    checkpoints: int = 0
    failed: int = 0  #: Elements that failed.

    def to_data(self, delivered: int) -> dict[str, int]:
        """The same and how much was delivered, for who wants to see it."""
        return asdict(self) | {"delivered": delivered}


@dataclass(slots=True, eq=False)
class Run:
    """All that is volatile of one epoch of one job. Built anew from a checkpoint after a death."""

    job: int
    epoch: int
    graph: Node
    seed: int
    limits: Limits
    splits: count[int]
    folder: str = ""  #: In which relative file names are looked up.
    allocate: Allocate | None = None  #: Where blocks for the client are to lie.
    store: Store = field(default_factory=Store)
    outbox: Outbox = field(default_factory=Outbox)
    ledger: Ledger = field(default_factory=Ledger)
    origins: Origins = field(default_factory=Origins)
    streams: list[LaneStream] = field(default_factory=list)
    bounds: dict[str, Sequence[int | None] | None] = field(default_factory=dict)  #: Of files; None while asked for.
    orders: list[Want | Release | Scan] = field(default_factory=list)  #: For the coordinator, to be taken.
    operator: Operator = field(init=False)
    state: State | None = None  #: A checkpoint whose elements are being computed again.
    skip: int = 0  #: Elements before this number need not be delivered: they were.
    checksum: int = 0
    ended: bool = False
    each_bytes: float = 0.0  #: Of an element delivered, learnt.
    checkpoints: list[tuple[int, State]] = field(default_factory=list)  #: Not yet acknowledged that far.
    checkpoint_at: float = 0.0
    checkpoint_cursor: int = 0

    def start(self, state: State | None, skip: int) -> None:
        """Begin at the epoch's start or at a checkpoint; deliver from element `skip` on."""
        self.skip = skip
        if state is None:
            self.operator = build(self.graph, self._settings())
            return
        self.outbox.produced = self.outbox.sent = self.outbox.acknowledged = self.checkpoint_cursor = state["cursor"]
        self.checksum, self.state = state["checksum"], state
        works = recovery(state["operator"])
        stream = self._stream(RecoveryFeed(works), 0)
        self.operator = Recovered(stream, self.store, sum(len(each.only or ()) for each in works))

    def _settings(self) -> Settings:
        return Settings(
            self.store,
            self.seed,
            self.epoch,
            stream=lambda segment, feed: self._stream(feed, segment.path[-1]),
            cut=self._cut,
            rows_each=lambda rows: max(1, min(self.limits.rows_each, rows // self.limits.splits_least)),
            buffer_bytes=buffer_bytes_of(self.graph) or BUFFER_BYTES,
            folder=self.folder,
            allocate=self.allocate,
            top=top_of(self.graph),
            eager=self.limits.look_ahead + 4 * self.limits.look_ahead_each,
        )

    def _stream(self, feed: Feed | RecoveryFeed, depth: int) -> LaneStream:
        stream = LaneStream(
            feed,  # type: ignore[arg-type]
            self.store,
            depth,
            self.splits,
            self.limits.look_ahead,
            opened=self.origins.add,
            closed=self._closed,
            release=self._release,
            share=feed.share if isinstance(feed, OnceFeed) else 1,
        )
        self.streams.append(stream)
        return stream

    def _closed(self, stream: LaneStream) -> None:
        if stream in self.streams:
            self.streams.remove(stream)

    def _release(self, lane: Lane) -> None:
        if lane.wanted:
            self.orders.append(Release(lane.split))

    def _cut(self, leaf: Node, path: str) -> Sequence[int | None] | Signal:
        if not isinstance(leaf, Records | Lines) or leaf.compression:
            return (0, None)
        if path not in self.bounds:
            self.bounds[path] = None
            self.orders.append(Scan(self.job, path, "records" if isinstance(leaf, Records) else "lines"))
        return self.bounds[path] or Signal.PENDING

    def scanned(self, path: str, bounds: Sequence[int | None]) -> None:
        """A file's boundaries are known."""
        self.bounds[path] = bounds

    # What comes in.

    def lane(self, split: int) -> tuple[LaneStream, Lane] | None:
        """The lane of a split, if it is still open."""
        for stream in self.streams:
            if split in stream.by_split:
                return stream, stream.by_split[split]
        return None

    def granted(self, order: Granted) -> None:
        """A split is leased: from now on only blocks of this attempt count."""
        if (at := self.lane(order.split)) is not None:
            lane = at[1]
            lane.attempt, lane.worker, lane.received, lane.told = order.attempt, order.worker, 0, None

    def withdrawn(self, order: Withdrawn) -> None:
        """A lease is over; the split is wanted again from its watermark."""
        if (at := self.lane(order.split)) is not None and at[1].attempt == order.attempt:
            at[1].attempt, at[1].wanted = None, False
            self.ledger.repeated += 1

    def pieces(self, message: Pieces, buffers: Sequence[Any]) -> None:
        """A worker computed something."""
        at = self.lane(message.split)
        if at is None or not self._counts(at[1], message.attempt):
            self.ledger.fenced += 1
            return
        stream, lane = at
        piece = piece_from(message, buffers, lane.arrivals.job.work)
        if not stream.arrive(lane, piece):
            self.ledger.duplicates += 1
        elif piece.block is not None:
            self.ledger.computed += piece.block.rows
        if lane.arrivals.complete:
            self._release(lane)
            lane.wanted = False

    def _counts(self, lane: Lane, attempt: int) -> bool:
        """Whether pieces of this attempt count: those of a lease that is over do not, whoever had it."""
        return lane.attempt == attempt

    # What goes out.

    def produce(self, until: int) -> None:
        """Fill the outbox up to element `until`, as far as what has arrived allows."""
        while not self.ended and self.outbox.produced < until:
            got = self.operator.pull(self._limit(until - self.outbox.produced))
            if got is Signal.PENDING:
                return
            if got is Signal.END:
                self._finish()
            elif isinstance(got, Failed):
                self.ledger.failed += 1
                self._put(Parcel(self.outbox.produced, 1, None, got.error, self.checksum))
            else:
                while len(got):  # elements of unlike structure travel apart
                    count = self.store.together(got)
                    self._deliver(got[:count])
                    got = got[count:]

    def _finish(self) -> None:
        """The epoch's end, or that of computing again what a checkpoint held: without all of it, from the start."""
        if not isinstance(self.operator, Recovered) or self.state is None:
            self.operator.close()
            self.ended = True
            return
        recovered, state = self.operator, self.state["operator"]
        recovered.close()
        if not recovered.complete:
            self.store, self.outbox = Store(), Outbox()
            self.checksum = self.checkpoint_cursor = 0
        self.operator, self.state = build(self.graph, self._settings()), None
        if recovered.complete:
            self.operator.restore(state, lambda data: found(data, recovered.handles, self.store))

    def _limit(self, room: int) -> int:
        return max(1, min(room, 1024, int(self.limits.parcel_bytes / self.each_bytes) if self.each_bytes else 1))

    def _deliver(self, handles: Any) -> None:
        self.checksum = int(chain(np.uint64(self.checksum), self.store.identities(handles)))
        block = self.store.whole(handles)
        if self.outbox.produced + len(handles) > self.skip:
            block = block or self.store.gather(handles, allocate=self.allocate)
            self.each_bytes = block.nbytes / block.rows
        self._put(Parcel(self.outbox.produced, len(handles), block, None, self.checksum))
        self.store.release(handles)

    def _put(self, parcel: Parcel) -> None:
        self.outbox.put(parcel)
        if parcel.next <= self.skip:
            self.outbox.sent = self.outbox.produced
            self.outbox.acknowledge(parcel.next)

    def look_ahead(self, workers: int) -> None:
        """Open lanes ahead of consumption, enough for so many workers, the most downstream segments first."""
        for stream in sorted(self.streams, key=lambda each: -each.depth):
            stream.look_ahead = self.limits.look_ahead + self.limits.look_ahead_each * workers
            stream.extend()

    def credit(self, now: float) -> Iterator[tuple[str, Credit]]:
        """Wants for new lanes, and to whom to tell what has arrived and may come."""
        spare = self.limits.budget_bytes - sum(
            stream.waiting_bytes + sum(lane.outstanding for lane in stream.open_lanes()) for stream in self.streams
        )
        for stream in sorted(self.streams, key=lambda each: -each.depth):
            for lane in stream.by_split.values():
                spare -= self._admit(stream, lane, spare)
                if lane.attempt is None:
                    if not lane.arrivals.complete:
                        self._want(stream, lane)
                elif self._untold(lane, now):
                    lane.told, lane.told_at = (lane.arrivals.watermark, lane.limit), now
                    yield lane.worker, Credit(lane.split, lane.attempt, *lane.told, lane.arrivals.complete)

    def _untold(self, lane: Lane, now: float) -> bool:
        """Whether a worker may not know what has arrived and may come: it is told again, since it could be lost."""
        news = lane.told != (lane.arrivals.watermark, lane.limit)
        return news or (not lane.arrivals.complete and now - lane.told_at >= self.limits.resend_s)

    def _admit(self, stream: LaneStream, lane: Lane, spare: int) -> int:
        """Raise a lane's limit as the budget allows; the bytes that this takes."""
        window = max(1, self.limits.window_bytes // stream.share)
        if lane.arrivals.complete or lane.outstanding > window // 2:
            return 0
        more = min(window - lane.outstanding, spare)
        if more <= 0:
            more = self._exception(stream, lane)
        if more:
            lane.limit = max(lane.limit, lane.received) + more  # a block may have overshot the limit
        return more

    def _exception(self, stream: LaneStream, lane: Lane) -> int:
        """One block of a head always may come: without it nothing would ever be consumed and freed."""
        return 1 if stream.is_head(lane) and not lane.arrivals.waiting and not lane.outstanding else 0

    def _want(self, stream: LaneStream, lane: Lane) -> None:
        urgent = stream.is_head(lane)
        if lane.wanted and lane.urgent == urgent:
            return
        if not lane.wanted:
            # A new attempt counts its bytes from nothing.
            lane.limit, lane.received = max(lane.outstanding, 0), 0
        lane.wanted, lane.urgent = True, urgent
        payload = payload_of(self.store, lane.arrivals.job.inputs)
        self.orders.append(Want(lane.split, self.job, self.epoch, lane.work, lane.depth, lane.limit, urgent, payload))

    # Checkpoints.

    def checkpoint(self, now: float) -> None:
        """Note where all operators stand, now and then; what is noted counts once it is acknowledged."""
        produced = self.outbox.produced
        since = now - self.checkpoint_at
        due = produced - self.checkpoint_cursor >= self.limits.checkpoint_elements and since >= self.limits.least_s
        late = produced > self.checkpoint_cursor and since >= self.limits.checkpoint_s
        if not (due or late) or self.state is not None or self.ended:
            return
        self.checkpoint_at, self.checkpoint_cursor = now, produced
        try:
            operator = self.operator.snapshot(lambda handles: keep(self.store, self.origins, handles))
        except NotKept:
            return
        self.ledger.checkpoints += 1
        self.checkpoints.append((produced, {"cursor": produced, "checksum": self.checksum, "operator": operator}))

    def settled(self) -> tuple[int, State] | None:
        """The newest checkpoint that is not after what is acknowledged; older ones are forgotten."""
        newest = None
        while self.checkpoints and self.checkpoints[0][0] <= self.outbox.acknowledged:
            newest = self.checkpoints.pop(0)
        return newest

    @property
    def waiting_bytes(self) -> int:
        """Of all that came from workers and was not consumed."""
        return sum(stream.waiting_bytes for stream in self.streams)

    def close(self) -> None:
        """Give up all leases."""
        self.operator.close()

    def why_waiting(self) -> str:
        """In words, what is waited for."""
        for stream in sorted(self.streams, key=lambda each: -each.depth):
            for lane in stream.open_lanes():
                where = (
                    f"at byte {lane.work.start:,} of {lane.work.path}"
                    if lane.work.path
                    else f"from {lane.work.start:,}"
                )
                holder = f"worker {lane.worker} is at it" if lane.attempt is not None else "no worker has it"
                return f"the next elements, {where}, are being computed: {holder}"
        if any(bounds is None for bounds in self.bounds.values()):
            return "a file is being scanned for places to cut it"
        return "nothing: it is about to go on"
