"""An epoch's run: the operators of one job in one epoch, fed by lanes, dealt out to consumers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from ..pipeline.building import BUFFER_BYTES, Settings, buffer_bytes_of, judged, top_of
from ..pipeline.cache_files import Request
from ..pipeline.caching import Desk, Nothing
from ..pipeline.columns import Array
from ..pipeline.counts import Counts
from ..pipeline.cutting import cut_at
from ..pipeline.errors import FailedPreconditionError, HeadraceError, MalformedMessage, ResourceExhaustedError
from ..pipeline.feeds import Feed, OnceFeed, payload_of
from ..pipeline.held import saved
from ..pipeline.memory import Memory
from ..pipeline.messages import Credit, Pieces
from ..pipeline.nodes import Node
from ..pipeline.operators.protocol import Failed, Operator, Signal, State
from ..pipeline.orders import Granted, Release, Scan, Want, Withdrawn
from ..pipeline.pieces import piece_from
from ..pipeline.recovery import Recovered
from ..pipeline.segment import Segment, segment_of
from ..pipeline.store import Store
from ..pipeline.verdicts import Verdict, Verdicts, policy_of
from .lanes import Lane, LaneStream
from .ledger import Effort
from .rounds import Rounds
from .shelving import RunShelves
from .spreading import Kind, lanes_of

__all__ = ["VERDICTS", "Limits", "Run"]

#: After so many verdicts there is a checkpoint, so that they need not be known any more.
VERDICTS = 256


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
    name: str = ""  #: Of its job, in what is told of skipped elements.
    rounds: Rounds = field(default_factory=Rounds)
    memory: Memory | None = None  #: Of the caches of its job.
    desk: Desk = field(init=False)
    requests: list[Request] = field(default_factory=list)  #: About the files of caches, to be taken.
    begun: float = 0.0  #: When.
    opened: bool = False  #: Whether a consumer is in it; before, it computes ahead.
    followed: bool = False  #: Whether the next epoch's run was begun behind it.
    effort: Effort = field(default_factory=Effort)
    verdicts: Verdicts = field(init=False)  #: What becomes of elements that fail.
    known: Sequence[Verdict] = ()  #: What had been decided when this began.
    decided: int = 0  #: Verdicts since the last checkpoint.
    told: bool = False  #: Whether what is known was told once more to whoever keeps what was skipped.
    streams: list[LaneStream] = field(default_factory=list)
    bounds: dict[str, Sequence[int | None] | None] = field(default_factory=dict)  #: Of files; None while asked for.
    orders: list[Want | Release | Scan] = field(default_factory=list)  #: For the coordinator, to be taken.
    shelves: RunShelves = field(init=False)
    operator: Operator = field(init=False)
    state: State | None = None  #: A checkpoint whose elements are being computed again.
    beginning: State | None = None  #: Where all stood before anything was computed, if it began so.
    foreign: bool = False  #: Whether it began with what a client handed in: that may lead to anything.
    error: HeadraceError | None = None  #: Why it cannot go on.
    ended: bool = False  #: Whether all elements of the epoch have come.
    checkpoints: list[tuple[int, State]] = field(default_factory=list)  #: Not yet acknowledged that far.
    checkpoint_at: float = 0.0
    checkpoint_cursor: int = 0

    def __post_init__(self) -> None:
        self.shelves = RunShelves(self.job, self.splits, self.orders)
        self.desk = Desk(self.requests.append, self.splits)

    @property
    def busy(self) -> bool:
        """Whether a consumer that is there still is to get something of it."""
        return not self.ended or self.rounds.acknowledged < self.rounds.made or self.rounds.nbytes > 0

    @property
    def numbers(self) -> dict[str, Any]:
        """The ledger: what became of all elements so far."""
        rounds = self.rounds
        each = [outbox.produced for outbox in rounds.outboxes]
        dealt = {"delivered": sum(each) - rounds.padded, "dropped": rounds.dropped, "padded": rounds.padded}
        stream = self.verdicts.counts.ledger(rounds.produced, rounds.checksum)
        return {**self.effort.to_data(), **stream, **dealt, "consumers": each}

    @property
    def store(self) -> Store:
        """Where its elements are."""
        return self.rounds.store

    def start(self, state: State | None = None, known: Sequence[Verdict] = ()) -> None:
        """Begin at the epoch's start or at a checkpoint, knowing what was decided since."""
        self.known = known
        self._judge()
        if state is None:
            self.operator = judged(self.graph, self._settings())
            self.beginning = {"cursor": 0, "checksum": 0, "decided": 0} | saved(self.operator, self.store)
            return
        try:
            self.rounds.begin(state)
            self.checkpoint_cursor, self.state = state["cursor"], state
            self.operator = Recovered(
                state["held"],
                self.graph,
                self.store,
                lambda path, feed: self._streams(segment_of(self.graph, path), feed),
            )
        except Exception as error:
            raise self.unfit(error) from error

    def unfit(self, error: Exception) -> HeadraceError:
        """What a checkpoint is that does not fit: one from a token may hold anything."""
        if isinstance(error, HeadraceError):
            return error.with_traceback(None)  # whose frames hold us
        return MalformedMessage(f"the state does not fit this pipeline: {type(error).__name__}: {error}")

    def _judge(self) -> None:
        """Begin to decide, and to count."""
        self.verdicts = Verdicts(policy_of(self.graph, self.folder), self.name)
        self.verdicts.learn(self.known)

    def decide(self) -> list[Verdict]:
        """What was decided since this was asked last: to be on record before anything more is delivered."""
        found = self.verdicts.take()
        self.decided += len(found)
        return found

    def _settings(self) -> Settings:
        return Settings(
            self.store,
            self.seed,
            self.epoch,
            stream=lambda segment, feed, counts: self._counted(self._streams(segment, feed), segment, counts),
            cut=self._cut,
            rows_each=lambda rows: max(1, min(self.limits.rows_each, rows // self.limits.splits_least)),
            buffer_bytes=buffer_bytes_of(self.graph) or BUFFER_BYTES,
            folder=self.folder,
            allocate=self._room if self.rounds.consumers == 1 else None,  # nobody knows yet whose it will be
            top=top_of(self.graph),
            eager=self.limits.look_ahead + 4 * self.limits.look_ahead_each,
            verdicts=self.verdicts,
            memory=self.memory,
            shelves=self.shelves,
            desk=self.desk,
        )

    def _room(self, nbytes: int) -> Array | None:
        """Memory that the one consumer shares."""
        return self.rounds.room(0, nbytes) if self.rounds.room is not None else None

    def _counted(self, stream: LaneStream, segment: Segment, counts: Counts) -> LaneStream:
        """A segment's stream; one that computes again what was held counts nothing, and decides nothing."""
        stream.judged_by(self.verdicts)
        stream.counts = counts
        stream.forgiven, stream.warns, stream.tags = segment.forgiven is not None, segment.warns, segment.tags
        return stream

    def _streams(self, segment: Segment, feed: Feed) -> LaneStream:
        return lanes_of(segment, feed, self.store, self._stream)

    def _stream(self, kind: type[Kind], feed: Feed, depth: int) -> Kind:
        stream = kind(
            feed,
            self.store,
            depth,
            self.splits,
            self.limits.look_ahead,
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
        if (kind := cut_at(leaf)) is None:
            return (0, None)
        if path not in self.bounds:
            self.bounds[path] = None
            self.orders.append(Scan(self.job, path, kind))
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
            self.effort.repeated += 1

    def pieces(self, message: Pieces, buffers: Sequence[Any]) -> None:
        """A worker computed something."""
        at = self.lane(message.split)
        if at is None or not self._counts(at[1], message.attempt):
            self.effort.fenced += 1
            return
        stream, lane = at
        piece = piece_from(message, buffers, lane.arrivals.job.work)
        if not stream.arrive(lane, piece):
            self.effort.duplicates += 1
        elif piece.block is not None:
            self.effort.computed += piece.block.rows
        if lane.arrivals.complete:
            self._release(lane)
            lane.wanted = False

    def _counts(self, lane: Lane, attempt: int) -> bool:
        """Whether pieces of this attempt count: those of a lease that is over do not, whoever had it."""
        return lane.attempt == attempt

    # What goes out.

    def produce(self, until: int) -> None:
        """Fill the outboxes up to round `until`, as far as what has arrived, and what they may hold, allow."""
        while not self.ended and self.error is None and self.rounds.made < until and not self.full:
            got = self.operator.pull(self._limit(until))
            if got is Signal.PENDING:
                return
            if got is Signal.END:
                self._finish()
            elif isinstance(got, Failed):
                self.rounds.fail(got.error)
            else:
                self.rounds.deal(got)

    @property
    def full(self) -> bool:
        """Whether no more is to be produced before more is acknowledged.

        A loop is done with its element when it comes for the next: one round behind that always may be produced.
        """
        rounds = self.rounds
        return rounds.nbytes >= self.limits.budget_bytes and rounds.made > rounds.acknowledged + 1

    def _limit(self, until: int) -> int:
        """How many elements to ask for: whole rounds, of which each consumer's part fits into a parcel."""
        rounds = self.rounds
        fitting = int(self.limits.parcel_bytes / rounds.each_bytes) if rounds.each_bytes else 1
        return (max(1, min(until - rounds.made, 1024, fitting)) - 1) * rounds.consumers + rounds.lacking

    def _finish(self) -> None:
        """The epoch's end, or that of computing again what a checkpoint held: without all of it, from the start."""
        if not isinstance(self.operator, Recovered) or self.state is None:
            self.operator.close()
            if self.rounds.base - self.rounds.produced >= self.rounds.filled_up:
                self.error = FailedPreconditionError(
                    f"the state stands after {self.rounds.base:,} elements of epoch {self.epoch}, which has only "
                    f"{self.rounds.produced:,} here: does a function do other things than when it was taken?"
                )
                return
            self.rounds.finish()
            self.ended = True
            return
        recovered, state = self.operator, self.state["operator"]
        recovered.close()
        if not recovered.complete:
            self.rounds, self.checkpoint_cursor = self.rounds.again(Store()), 0
            self._judge()
        self.operator, self.state = judged(self.graph, self._settings()), None
        if recovered.complete:
            try:
                self.operator.restore(state, recovered.find)
            except Exception as error:
                self.error = self.unfit(error)

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
        urgent = self.opened and stream.is_head(lane)
        if lane.wanted and lane.urgent == urgent:
            return
        if not lane.wanted:
            # A new attempt counts its bytes from nothing.
            lane.limit, lane.received = max(lane.outstanding, 0), 0
        lane.wanted, lane.urgent = True, urgent
        payload = payload_of(self.store, lane.arrivals.job.inputs, lane.arrivals.carried)
        work = replace(lane.work, ruled=stream.verdicts.rulings(lane.arrivals.job, self.store))
        self.orders.append(Want(lane.split, self.job, self.epoch, work, lane.depth, lane.limit, urgent, payload))

    # Checkpoints.

    def checkpoint(self, now: float) -> None:
        """Note where all operators stand, now and then; what is noted counts once it is acknowledged."""
        produced = self.rounds.produced
        since = now - self.checkpoint_at
        due = produced - self.checkpoint_cursor >= self.limits.checkpoint_elements and since >= self.limits.least_s
        late = produced > self.checkpoint_cursor and since >= self.limits.checkpoint_s
        due = due or (self.decided >= VERDICTS and since >= self.limits.least_s)
        if not (due or late) or self.state is not None or self.ended:
            return
        self.checkpoint_at, self.checkpoint_cursor, self.decided = now, produced, 0
        with suppress(ResourceExhaustedError):  # the one before stays, and more is computed again
            state = self.rounds.to_data() | saved(self.operator, self.store) | {"decided": self._known_before()}
            self.effort.checkpoints += 1
            if self.checkpoints and self.checkpoints[-1][0] == produced:
                self.checkpoints.pop()  # nothing came but failures
            self.checkpoints.append((produced, state))

    def _known_before(self) -> int:
        """The serial number up to which verdicts need not be known by whoever begins at a checkpoint taken now."""
        marks = (each.marks.serials[0] for each in self.streams if each.marks is not None and each.marks.serials)
        return min([self.verdicts.serial, *marks])

    def settled(self) -> tuple[int, State] | None:
        """The newest checkpoint that is not after what is acknowledged; older ones are forgotten."""
        newest = None
        settled = self.rounds.settled
        while self.checkpoints and self.checkpoints[0][0] <= settled:
            newest = self.checkpoints.pop(0)
        return newest

    @property
    def waiting_bytes(self) -> int:
        """Of all that came from workers and was not consumed."""
        return sum(stream.waiting_bytes for stream in self.streams)

    def close(self) -> None:
        """Give up all leases, and let go of what leads back here.

        Else all that it holds, as slabs and their descriptors, would stay until Python looks for circles, which it does
        the more rarely the more there is.
        """
        self.operator.close()
        self.operator = Nothing()

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
