"""A worker's session: which of its leases to work on, what to send, what to send again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..pipeline.errors import to_data
from ..pipeline.messages import (
    Credit,
    Heartbeat,
    Hello,
    Lease,
    Message,
    Pieces,
    Program,
    Revoke,
    Stale,
    Welcome,
    WhatIs,
)
from ..pipeline.work import Piece, Work

__all__ = ["Action", "Begin", "Drop", "Event", "Learn", "Produced", "Received", "Say", "Tick", "WorkerSession"]


#: What a network gives at least, in bytes a second: large pieces may be under way for long, and are not lost.
SLOWEST = 25e6
#: Programs that are kept, beside those of jobs at hand: their arrays take memory, and room on the disk.
MOST_KNOWN = 8


@dataclass(frozen=True, slots=True)
class Received:
    """The server said something."""

    message: Message


@dataclass(frozen=True, slots=True)
class Produced:
    """The next piece of a lease was computed."""

    split: int
    attempt: int
    piece: Piece


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now: float


Event: TypeAlias = Received | Produced | Tick


@dataclass(frozen=True, slots=True)
class Say:
    """To the server; the piece's block follows."""

    message: Message
    piece: Piece | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Get ready to compute this lease."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget what was begun."""

    split: int


@dataclass(frozen=True, slots=True)
class Learn:
    """A job's program has come."""

    program: Program


Action: TypeAlias = Say | Begin | Drop | Learn


@dataclass(slots=True)
class Held:
    """A lease and how far it is."""

    lease: Lease
    limit: int
    sent: int = 0
    unacknowledged: deque[Piece] = field(default_factory=deque)
    sent_at: float = 0.0
    finished: bool = False  #: Whether all is computed.
    turns: bool = False  #: Whether others are to have their turn before more of it is computed.
    turn: int = 0  #: When it had its last one.

    @property
    def nbytes(self) -> int:
        """Of what is not acknowledged."""
        return sum(piece.nbytes for piece in self.unacknowledged)

    @property
    def runnable(self) -> bool:
        """Whether there is something to compute and credit for it: what is sent may pass the limit by one block."""
        return not self.finished and self.sent < self.limit


@dataclass(slots=True, kw_only=True)
class WorkerSession:
    """Holds leases, computes the most downstream and oldest of those that have credit, keeps what is not acknowledged.

    While one of them is consumed in turn with others, it computes a piece of each in turn. A lease without credit
    parks at the end of a piece, and another goes on.
    """

    hello: Hello
    heartbeat_s: float = 1.0
    resend_s: float = 1.0
    now: float = 0.0
    incarnation: int | None = None
    asked_at: float = -1e9
    beat_at: float = -1e9
    held: dict[int, Held] = field(default_factory=dict)
    known: dict[int, None] = field(default_factory=dict)  #: Jobs whose program is here, the last one used last.
    produced: int = 0  #: Pieces, of all leases.
    busy_s: float = 0.0
    parked_s: float = 0.0

    def handle(self, event: Event) -> list[Action]:
        """What to do about an event."""
        match event:
            case Received(message):
                return list(self._hear(message))
            case Produced(split, attempt, piece):
                return list(self._produced(split, attempt, piece))
            case Tick(now):
                self.now = now
                return list(self._tick())

    def choose(self) -> int | None:
        """The split to compute next."""
        if not self.held:
            return None
        ready = {s: held for s, held in self.held.items() if held.runnable and held.lease.job in self.known}
        if any(held.turns for held in ready.values()):
            return min(ready, key=lambda split: (ready[split].turn, split))
        return min(ready, key=lambda split: (-ready[split].lease.depth, split), default=None)

    @property
    def parked(self) -> bool:
        """Whether there is work, but no credit for any of it."""
        return any(not held.finished for held in self.held.values()) and self.choose() is None

    def _hear(self, message: Message) -> Iterator[Action]:
        match message:
            case Welcome(incarnation, heartbeat_s):
                yield from self._meet(incarnation, heartbeat_s)
            case Stale():
                self.incarnation, self.asked_at = None, -1e9
                yield from self._tick()
            case Lease(split, attempt, job):
                if split not in self.held or self.held[split].lease.attempt < attempt:
                    self.held[split] = Held(message, message.limit, turns=work_of(message).turns)
                    yield Begin(message)
                    yield from self._beat()  # so that the lease is known to have arrived
                if job in self.known:
                    self._use(job)
                else:
                    yield Say(WhatIs(job))
            case Program(job):
                if job not in self.known:
                    self._use(job)
                    yield Learn(message)
            case Credit(split, attempt):
                yield from self._credit(message)
            case Revoke(split, attempt) if split in self.held and self.held[split].lease.attempt <= attempt:
                yield from self._drop(split)

    def _meet(self, incarnation: int, heartbeat_s: float) -> Iterator[Action]:
        if self.incarnation is not None and incarnation < self.incarnation:
            return  # late word from a former life of the server
        if incarnation != self.incarnation:
            for split in list(self.held):
                yield from self._drop(split)
            # Job numbers of another server may mean other jobs.
            self.known = {}
        self.incarnation, self.heartbeat_s = incarnation, heartbeat_s

    def _use(self, job: int) -> None:
        """A job's program is of use; those that were of none for longest are forgotten, and asked for if need be."""
        self.known.pop(job, None)
        self.known[job] = None
        held = {each.lease.job for each in self.held.values()}
        idle = [each for each in self.known if each not in held and each != job]
        for each in idle[: max(0, len(idle) - MOST_KNOWN)]:
            del self.known[each]

    def _credit(self, message: Credit) -> Iterator[Action]:
        held = self.held.get(message.split)
        if held is None or held.lease.attempt != message.attempt:
            return
        held.limit = max(held.limit, message.limit)
        before = len(held.unacknowledged)
        while held.unacknowledged and held.unacknowledged[0].next <= message.watermark:
            if held.unacknowledged[0].last and not message.complete:
                break
            held.unacknowledged.popleft()
        if len(held.unacknowledged) != before:
            held.sent_at = self.now
        if message.complete:
            yield from self._drop(message.split)

    def _drop(self, split: int) -> Iterator[Action]:
        del self.held[split]
        yield Drop(split)

    def _produced(self, split: int, attempt: int, piece: Piece) -> Iterator[Action]:
        held = self.held.get(split)
        if held is None or held.lease.attempt != attempt:
            return
        held.sent += piece.nbytes
        self.produced += 1
        held.turn = self.produced
        stop = work_of(held.lease).stop
        held.finished = piece.last or (stop is not None and piece.next >= stop)
        if not held.unacknowledged:
            held.sent_at = self.now
        held.unacknowledged.append(piece)
        yield self._say(held, piece)

    def _say(self, held: Held, piece: Piece) -> Say:
        layout = piece.block.layout.to_data() if piece.block is not None else None
        error = to_data(piece.error) if piece.error is not None else None
        lease = held.lease
        told = Pieces(
            lease.split,
            lease.attempt,
            piece.first,
            piece.next,
            piece.last,
            layout,
            error,
            left_out=piece.left_out,
            ignored=piece.ignored,
            tags=piece.width,
            state=piece.state is not None,
        )
        return Say(told, piece)

    def _tick(self) -> Iterator[Action]:
        if self.incarnation is None:
            if self.now - self.asked_at >= self.resend_s:
                self.asked_at = self.now
                yield Say(replace(self.hello, fresh=not self.produced))
            return
        if self.now - self.beat_at >= self.heartbeat_s:
            yield from self._beat()
        for held in self.held.values():
            if held.unacknowledged and self.now - held.sent_at >= self.resend_s + held.nbytes / SLOWEST:
                held.sent_at = self.now
                for piece in held.unacknowledged:
                    yield self._say(held, piece)
        unknown = {held.lease.job for held in self.held.values()} - self.known.keys()
        if unknown and self.now - self.asked_at >= self.resend_s:
            self.asked_at = self.now
            yield from (Say(WhatIs(job)) for job in sorted(unknown))

    def _beat(self) -> Iterator[Action]:
        self.beat_at = self.now
        leases = [[split, held.lease.attempt] for split, held in self.held.items()]
        yield Say(Heartbeat(leases, self.busy_s, self.parked_s))


def work_of(lease: Lease) -> Work:
    """What a lease asks for."""
    return Work.from_data(lease.work)
