"""The broker: jobs and their epochs, sessions with clients, delivery. Events in, actions out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeAlias

from ..pipeline.blocks import Block
from ..pipeline.columns import Array
from ..pipeline.errors import HeadraceError, to_data
from ..pipeline.messages import (
    Close,
    Credit,
    Deliver,
    Ended,
    Message,
    Next,
    Open,
    Opened,
    Pieces,
    Refused,
    Register,
    Registered,
    Session,
    Stale,
    Waiting,
)
from ..pipeline.nodes import Node
from ..pipeline.orders import Granted, Release, Scan, Scanned, Want, Withdrawn
from .book import Acknowledged, Book, Checkpointed, Closed, EpochOpened, Fact, JobEntry, JobMade
from .outbox import Parcel
from .run import Limits, Run

__all__ = ["Action", "Ask", "Broker", "Event", "FromClient", "FromWorker", "Gone", "Record", "Reply", "Tell", "Tick"]

#: A client that said nothing for so long may be busy with a step, or gone: something is sent to find out.
PROBE_S = 10.0
#: How often to look for jobs that nobody came back for.
SWEEP_S = 60.0


#: What a network gives at least, in bytes a second: what is large may be under way for long.
SLOWEST = 25e6
#: And so many bytes take no time.
AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class FromClient:
    """A client said something."""

    peer: str
    message: Message


@dataclass(frozen=True, slots=True)
class FromWorker:
    """A worker computed something."""

    peer: str
    message: Pieces
    buffers: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now: float


@dataclass(frozen=True, slots=True)
class Gone:
    """What was sent to this client did not reach it: nobody of that name is connected."""

    peer: str


Event: TypeAlias = FromClient | FromWorker | Gone | Granted | Withdrawn | Scanned | Tick


@dataclass(frozen=True, slots=True)
class Record:
    """To disk, before anything that follows."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Reply:
    """To a client, with a block, if any."""

    peer: str
    message: Message
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """To a worker."""

    worker: str
    message: Credit


@dataclass(frozen=True, slots=True)
class Ask:
    """To the coordinator."""

    order: Want | Release | Scan


Action: TypeAlias = Record | Reply | Tell | Ask


@dataclass(slots=True)
class Conversation:
    """With the client that has a job's newest generation."""

    peer: str
    session: Session
    until: int = 0
    ended_told: bool = False
    sent: float = -1e9  #: When elements were last sent.
    heard: float = 0.0  #: When the client last said something.
    probed: float = 0.0  #: When it was last sent something to see whether it is there.
    reached: bool = True  #: Whether nothing failed to reach it since.
    gone: float | None = None  #: Since when nothing reaches it.
    printed: int = 0  #: Characters of what workers printed that were sent since it last said something.

    def speaks(self, peer: str, now: float) -> None:
        """The client said something."""
        self.peer, self.heard, self.probed, self.reached, self.gone = peer, now, now, True, None
        self.printed = 0


@dataclass(slots=True, kw_only=True)
class Broker:
    """Puts what workers computed in order and hands it to clients.

    Only the newest session of a job is heard. Everything produced is kept until it is acknowledged, and sent
    again, identically, where it may have been lost.
    """

    incarnation: int
    decode: Callable[[bytes], Node]  #: From a registered graph to nodes, without its functions.
    limits: Limits = field(default_factory=Limits)
    book: Book = field(default_factory=Book)
    allocate: Callable[[str, int], Array | None] | None = None  #: Room for so many bytes in memory shared with a peer.
    idle_s: float = 300.0  #: A run whose client is gone for so long is stopped until that opens it again.
    forget_s: float = 7 * 86400.0  #: A job whose client did not come back for so long is closed.
    missed: dict[int, float] = field(default_factory=dict)  #: Since when a job has no client.
    swept: float = 0.0
    now: float = 0.0
    splits: count[int] = field(default_factory=count)
    runs: dict[int, Run] = field(default_factory=dict)
    workers: int = 0  #: That are there.
    sent: int = 0  #: Elements handed to clients, those sent again included.
    conversations: dict[int, Conversation] = field(default_factory=dict)

    def handle(self, event: Event) -> list[Action]:
        """What to do about an event."""
        actions = list(self._react(event))
        for job in list(self.runs):
            actions += self._pump(job)
        return actions

    def _react(self, event: Event) -> Iterator[Action]:
        match event:
            case FromClient(peer, message):
                yield from self._client(peer, message)
            case FromWorker(_, message, buffers):
                for run in self.runs.values():
                    if run.lane(message.split) is not None:
                        run.pieces(message, buffers)
            case Granted():
                for run in self.runs.values():
                    run.granted(event)
            case Withdrawn():
                for run in self.runs.values():
                    run.withdrawn(event)
            case Scanned(job, path, bounds):
                if job in self.runs:
                    self.runs[job].scanned(path, bounds)
            case Gone(peer):
                for talk in self.conversations.values():
                    if talk.peer == peer:
                        talk.reached, talk.gone = False, self.now if talk.gone is None else talk.gone
            case Tick(now):
                self.now = now
                for job in list(self.conversations):
                    yield from self._look_after(job)
                if now - self.swept >= SWEEP_S:
                    self.swept = now
                    yield from self._forget()

    def _look_after(self, job: int) -> Iterator[Action]:
        """See whether a silent client is still there; a busy one may be silent for as long as it likes.

        Silence alone does not count, and neither does one connection that broke: a run is stopped where each
        probe failed for as long as `idle_s`. It goes on from its checkpoint when its client opens it again.
        """
        talk = self.conversations[job]
        if self.now - talk.probed < min(PROBE_S, self.idle_s / 2):
            return
        if talk.reached:
            talk.gone = None
        elif talk.gone is not None and self.now - talk.gone >= self.idle_s:
            del self.conversations[job]
            yield from self._stop(job)
            return
        talk.probed, talk.reached = self.now, True
        yield Reply(talk.peer, Waiting(talk.session, ""))

    def _forget(self) -> Iterator[Action]:
        """Close jobs whose clients have ended without a word. Who returns still later registers anew, and goes on."""
        jobs = self.book.jobs.keys() - self.conversations.keys()
        self.missed = {job: self.missed.get(job, self.now) for job in jobs}
        for job in sorted(jobs):
            if self.now - self.missed[job] >= self.forget_s:
                yield from self._close(job)

    def _client(self, peer: str, message: Message) -> Iterator[Action]:
        match message:
            case Register():
                yield from self._register(peer, message)
            case Open():
                yield from self._open(peer, message)
            case Next():
                yield from self._next(peer, message)
            case Close(job, generation) if job in self.book.jobs and generation >= self.book.jobs[job].generation:
                yield from self._close(job)

    def _register(self, peer: str, message: Register) -> Iterator[Action]:
        if message.key not in self.book.numbers:
            try:
                self.decode(message.graph)
            except HeadraceError as error:
                yield Reply(peer, Refused(to_data(error), message.key))
                return
            yield self._record(JobMade(self.book.last + 1, message.key, message.graph, message.seed, message.folder))
        yield Reply(peer, Registered(message.key, self.book.numbers[message.key]))

    def _record(self, fact: Fact) -> Record:
        self.book.apply(fact)
        return Record(fact)

    def _open(self, peer: str, message: Open) -> Iterator[Action]:
        entry = self.book.jobs.get(message.job)
        if entry is None or message.incarnation != self.incarnation:
            yield Reply(peer, Stale(self.incarnation))
            return
        epoch = max(entry.epoch, 0) if message.epoch < 0 else message.epoch
        asked, newest = (message.generation, epoch), (entry.generation, entry.epoch)
        if asked < newest:
            return  # a former life of the client speaks, or an epoch that it has left
        again = message.generation == entry.generation
        if asked != newest:
            yield self._record(EpochOpened(entry.number, epoch, message.generation))
        cursor = entry.acknowledged if message.cursor is None else message.cursor
        try:
            yield from self._run_from(entry, cursor, again)
        except HeadraceError as error:  # another version of us may have journaled a graph that we cannot read
            self.conversations.pop(entry.number, None)
            yield Reply(peer, Refused(to_data(error), entry.key))
            return
        session = (message.generation, self.incarnation, entry.number, epoch)
        talk = self.conversations.get(entry.number)
        if talk is None or talk.session != session:
            talk = self.conversations[entry.number] = Conversation(peer, session, until=cursor)
            self.runs[entry.number].outbox.rewind(cursor)
        talk.speaks(peer, self.now)
        yield Reply(peer, Opened(session, cursor))

    def _run_from(self, entry: JobEntry, cursor: int, again: bool) -> Iterator[Action]:
        """Have a run that can give the elements from `cursor` on, `again` to the same life of the client or another."""
        run = self.runs.get(entry.number)
        intact = run is not None and (again or not run.outbox.touched(cursor))
        if run is not None and run.epoch == entry.epoch and run.outbox.reaches(cursor) and intact:
            run.skip = min(run.skip, cursor)
            return
        if run is not None:
            yield from self._stop(entry.number)
        checkpoint = entry.checkpoint
        usable = checkpoint is not None and self._usable(checkpoint, cursor)
        run = Run(entry.number, entry.epoch, self.decode(entry.graph), entry.seed, self.limits, self.splits)
        run.folder = entry.folder
        run.allocate = partial(self._room, entry.number)
        run.start(checkpoint.state if checkpoint is not None and usable else None, cursor)
        run.checkpoint_at = self.now
        self.runs[entry.number] = run

    def _room(self, job: int, nbytes: int) -> Array | None:
        """Memory that is shared with the client of a job."""
        if self.allocate is None or job not in self.conversations:
            return None
        return self.allocate(self.conversations[job].peer, nbytes)

    def _usable(self, checkpoint: Checkpointed, cursor: int) -> bool:
        """Whether a run that begins at a checkpoint can give the elements from `cursor` on."""
        return checkpoint.cursor <= cursor

    def _stop(self, job: int) -> list[Action]:
        run = self.runs.pop(job)
        run.close()
        return [Ask(order) for order in run.orders]

    def _next(self, peer: str, message: Next) -> Iterator[Action]:
        talk = self.conversations.get(message.session[2])
        if talk is None:
            yield Reply(peer, Stale(self.incarnation))
            return
        if not self._current(talk, message.session):
            return  # of a session that is over
        talk.speaks(peer, self.now)
        run = self.runs[message.session[2]]
        talk.until = max(talk.until, message.until)
        if run.outbox.acknowledge(message.acknowledged):
            yield self._record(Acknowledged(run.job, run.epoch, message.acknowledged))
            if (settled := run.settled()) is not None:
                yield self._record(Checkpointed(run.job, run.epoch, *settled))
        if message.again:
            if self._lost(talk, run.outbox.bytes_from(message.received)):
                run.outbox.rewind(message.received)
            talk.ended_told = False
            if run.outbox.produced <= message.received and not run.ended:
                yield Reply(peer, Waiting(talk.session, run.why_waiting()))

    def _lost(self, talk: Conversation, nbytes: int) -> bool:
        """Whether so many bytes would have arrived since they were sent: or else large ones would be sent for ever."""
        return self.now - talk.sent >= (nbytes - AT_ONCE) / SLOWEST

    def _current(self, talk: Conversation, session: Session) -> bool:
        """Whether a request belongs to the conversation at hand."""
        return session == talk.session

    def _close(self, job: int) -> Iterator[Action]:
        if job in self.runs:
            yield from self._stop(job)
        self.conversations.pop(job, None)
        yield self._record(Closed(job))

    def _pump(self, job: int) -> Iterator[Action]:
        """Move a run as far as it goes."""
        run, talk = self.runs[job], self.conversations.get(job)
        if run.ended and talk is not None and talk.ended_told and not run.outbox.parcels:
            return
        if talk is not None:
            run.produce(talk.until)
            run.checkpoint(self.now)
            for parcel in run.outbox.unsent(talk.until):
                talk.sent = self.now
                yield self._deliver(talk, parcel)
            if run.ended and run.outbox.sent >= run.outbox.produced and not talk.ended_told:
                talk.ended_told = True
                yield Reply(
                    talk.peer,
                    Ended(talk.session, run.outbox.produced, run.checksum, run.ledger.to_data(run.outbox.produced)),
                )
        if not run.ended:
            run.look_ahead(self.workers)
        granted = list(run.credit(self.now))
        for order in run.orders:
            yield Ask(order)
        run.orders.clear()
        for worker, credit in granted:
            yield Tell(worker, credit)

    def _deliver(self, talk: Conversation, parcel: Parcel) -> Reply:
        self.sent += parcel.count
        layout = parcel.block.layout.to_data() if parcel.block is not None else None
        error = to_data(parcel.error) if parcel.error is not None else None
        message = Deliver(talk.session, parcel.first, parcel.count, layout, parcel.checksum, error)
        return Reply(talk.peer, message, parcel.block)
