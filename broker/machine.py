"""The broker: jobs and their epochs, sessions with consumers, delivery. Events in, actions out."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from ..pipeline.errors import HeadraceError, to_data
from ..pipeline.messages import (
    AskToken,
    Close,
    Message,
    Next,
    Open,
    Opened,
    Printed,
    Refused,
    Register,
    Registered,
    Session,
    Stale,
    Waiting,
)
from ..pipeline.orders import Granted, Scanned, Withdrawn
from ..pipeline.token import position_of
from .actions import Action, Ask, Event, FromClient, FromWorker, Gone, Quarantine, Record, Reply, Tell, Tick
from .admission import epoch_meant, latest, made, objection, rewound_away, taken_over, unfit
from .alive import Alive
from .book import (
    Acknowledged,
    Checkpointed,
    Closed,
    EpochEnded,
    EpochOpened,
    Finished,
    JobEntry,
    Judged,
    Left,
)
from .conversation import Conversation
from .delivery import ahead, delivered, missing
from .desk import Desk
from .run import Run

__all__ = ["Action", "Ask", "Broker", "Event", "FromClient", "FromWorker", "Gone", "Record", "Reply", "Tell", "Tick"]

#: How often to look for jobs that nobody came back for.
SWEEP_S = 60.0


@dataclass(slots=True, kw_only=True)
class Broker(Alive):
    """Puts what workers computed in order and hands it to the consumers of each job.

    Only the newest session of a consumer is heard. Everything produced is kept until it is acknowledged, and sent
    again, identically, where it may have been lost. Two epochs of a job at most are alive: the one that not all
    of its consumers have left, and the next.
    """

    idle_s: float = 300.0  #: The runs of a job whose clients are gone for so long are stopped until one opens it again.
    forget_s: float = 7 * 86400.0  #: A job whose clients did not come back for so long is closed.
    prefill: bool = True  #: Whether the next epoch is computed while the last elements of one are delivered.
    missed: dict[int, float] = field(default_factory=dict)  #: Since when a job has no client.
    swept: float = 0.0
    workers: int = 0  #: That are there.
    sent: int = 0  #: Elements handed to clients, those sent again included.
    desk: Desk = field(default_factory=Desk)

    def handle(self, event: Event) -> list[Action]:
        """What to do about an event."""
        actions = list(self._react(event))
        for run in list(self.runs.values()):
            try:
                actions += self._pump(run)
            except Exception as error:
                if not run.foreign:
                    raise
                run.error = run.unfit(error)
            if run.error is not None:
                actions += self._fail(run, run.error)
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
            case Scanned(job, kind="ends"):
                for at in list(self.desk.looked(event)):
                    yield from self._open(at.peer, at.message)
                yield from self._give(job)
            case Scanned(job, path, bounds):
                for run in self.runs_of(job):
                    run.scanned(path, bounds)
            case Gone(peer):
                for talk in self.conversations.values():
                    if talk.peer == peer:
                        talk.unreachable(self.now)
            case Tick(now):
                self.now = now
                for talk in list(self.conversations.values()):
                    yield from self._look_after(talk)
                if now - self.swept >= SWEEP_S:
                    self.swept = now
                    yield from self._forget()

    def begins(self, entry: JobEntry, message: Open) -> bool:
        """Whether this would begin an epoch, rather than go on with one."""
        return 0 <= message.consumer < entry.consumers and epoch_meant(entry, message) not in entry.epochs

    def _look_after(self, talk: Conversation) -> Iterator[Action]:
        """See whether a silent client is still there; a busy one may be silent for as long as it likes.

        Where none of a job's clients is, its runs are stopped. They go on from a checkpoint when one comes again.
        """
        gone = talk.probe(self.now, self.idle_s)
        if gone is None:
            yield Reply(talk.peer, Waiting(talk.session, ""))
        elif gone:
            yield from self.drop(talk)

    def _forget(self) -> Iterator[Action]:
        """Close jobs whose clients have ended without a word. Who returns still later registers anew, and goes on."""
        jobs = self.book.jobs.keys() - {job for job, _ in self.conversations}
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
            case AskToken():
                yield from self._ask_token(peer, message)
            case Close(job, generation, consumer):
                place = self.place(job, consumer)
                if place is not None and generation >= place.generation and not (place.left or place.rewound):
                    yield from self._leave(job, consumer)

    # Jobs.

    def _register(self, peer: str, message: Register) -> Iterator[Action]:
        try:
            known = self.book.jobs.get(self.book.numbers.get(message.key, -1))
            if known is None or message.graph != known.graph:
                self.decode(message.graph)
            if (why := objection(self.book, message)) is not None:
                raise why
            if known is None:
                yield self.record(made(self.book.last + 1, message))
        except HeadraceError as error:
            yield Reply(peer, Refused(to_data(error), message.key))
            return
        entry = self.book.jobs[self.book.numbers[message.key]]
        yield Reply(peer, Registered(message.key, entry.number, entry.generation))

    def _leave(self, job: int, consumer: int) -> Iterator[Action]:
        """A consumer is done with a job; what would be for it is for nobody. With the last one the job ends."""
        others = (place for index, place in enumerate(self.book.jobs[job].places) if index != consumer)
        if all(place.left for place in others):
            yield from self._close(job)
            return
        yield self.record(Left(job, consumer))
        for run in self.runs_of(job):
            run.rounds.outboxes[consumer].leave()
        if (talk := self.conversations.get((job, consumer))) is not None:
            yield from self.drop(talk)
        yield from self.tidy(self.book.jobs[job])

    def _close(self, job: int) -> Iterator[Action]:
        for run in self.runs_of(job):
            yield from self.stop(run)
        for consumer in range(self.book.jobs[job].consumers):
            self.conversations.pop((job, consumer), None)
            self.wanted.pop((job, consumer), None)
        self.desk.forget(job)
        if self.book.jobs[job].name:
            yield self.record(Finished(self.book.jobs[job].key))
        yield self.record(Closed(job))

    # Epochs.

    def _open(self, peer: str, message: Open) -> Iterator[Action]:
        entry, consumer = self.book.jobs.get(message.job), message.consumer
        if entry is None or message.incarnation != self.incarnation:
            yield Reply(peer, Stale(self.incarnation))
            return
        if (why := unfit(entry, message)) is not None:
            if self._speaker(message.job, consumer) == peer and message.generation < entry.places[consumer].generation:
                return  # late word of its own
            yield Reply(peer, Refused(to_data(why), entry.key))
            return
        place = entry.places[consumer]
        if message.token and (message.generation > place.generation or place.rewound):
            loaded = yield from self._load(peer, entry, message)
            if not loaded:
                return
        epoch = epoch_meant(entry, message)
        again = message.generation == place.generation
        if (message.generation, epoch) < (place.generation, place.epoch) or (place.left and again):
            return  # late word of an epoch that it has left, or of before it left
        session = (message.generation, self.incarnation, entry.number, epoch, consumer)
        if epoch > latest(entry, consumer, self.wanted):
            yield from self._wait(peer, entry, session)
            return
        talk = self.conversations.get((entry.number, consumer))
        had = place.acknowledged if message.cursor is None else message.cursor
        if talk is not None and talk.session == session and had < place.acknowledged:
            return  # late word: it was answered, and has acknowledged more since
        yield from self._enter(entry, session, again)
        cursor = place.acknowledged if message.cursor is None else message.cursor
        try:
            yield from self._run_from(entry, session, cursor, again)
        except HeadraceError as error:  # another version of us may have journaled a graph that we cannot read
            self.conversations.pop((entry.number, consumer), None)
            yield Reply(peer, Refused(to_data(error), entry.key))
            return
        yield from self._greet(peer, session, cursor)

    def _load(self, peer: str, entry: JobEntry, message: Open) -> Generator[Action, None, bool]:
        """A consumer loads a token; whether that is done. The others have to load the same: what they had is void."""
        job, consumer = message.job, message.consumer
        try:
            element, _ = position_of(message.token)
            if entry.places[consumer].rewound and entry.stands(message.epoch, element):
                return True  # another one did, and it joins
            found = self.desk.take(peer, message, entry)
        except HeadraceError as error:
            yield Reply(peer, Refused(to_data(error), entry.key))
            return False
        if isinstance(found, list):
            yield from (Ask(scan) for scan in found)
            session = (message.generation, self.incarnation, job, message.epoch, consumer)
            yield Reply(peer, Waiting(session, "the files that the state names are looked at"))
            return False
        for run in self.runs_of(job):
            yield from self.stop(run)
        yield self.record(found)
        for talk in self.talks(job).values():
            del self.conversations[job, talk.consumer]
            if talk.consumer != consumer:
                yield Reply(talk.peer, Refused(to_data(rewound_away(entry)), entry.key))
        return True

    def _wait(self, peer: str, entry: JobEntry, session: Session) -> Iterator[Action]:
        """A consumer has to wait before an epoch that is two ahead of another's; those before it have lost it."""
        _, _, job, epoch, consumer = session
        self.wanted[job, consumer] = epoch
        for run in self.runs_of(job):
            if run.epoch < epoch:
                run.rounds.outboxes[consumer].leave()
        yield Reply(peer, Waiting(session, ahead(entry, consumer, self.talks(job), self.now)))

    def _enter(self, entry: JobEntry, session: Session, again: bool) -> Iterator[Action]:
        """Have it on record that a consumer is in an epoch; what it leaves behind is for nobody."""
        generation, _, job, epoch, consumer = session
        place = entry.places[consumer]
        self.wanted.pop((job, consumer), None)
        if (generation, epoch) == (place.generation, place.epoch) and not place.left:
            return
        there = max((each.acknowledged for each in entry.places if each.epoch == epoch), default=0)
        came_back, backward = place.left, epoch < place.epoch
        yield self.record(EpochOpened(job, epoch, generation, consumer))
        if came_back:  # what it missed is gone: it goes on where the others are
            run = self.runs.get((job, epoch))
            there = max(there, run.rounds.outboxes[consumer].produced if run is not None else 0)
            yield self.record(Acknowledged(job, epoch, there, consumer))
        for run in self.runs_of(job):
            if run.epoch < epoch:
                run.rounds.outboxes[consumer].leave()
            elif backward:
                yield from self.stop(run)
        yield from self.tidy(entry)

    def _greet(self, peer: str, session: Session, cursor: int) -> Iterator[Action]:
        _, _, job, epoch, consumer = session
        talk = self.conversations.get((job, consumer))
        if talk is not None and talk.peer != peer and talk.session[0] < session[0]:
            error = taken_over(self.book.jobs[job], consumer)
            yield Reply(talk.peer, Refused(to_data(error), self.book.jobs[job].key))
        if talk is None or talk.session != session:
            talk = self.conversations[job, consumer] = Conversation(peer, session, until=cursor)
            self.runs[job, epoch].rounds.outboxes[consumer].rewind(cursor)
        talk.speaks(peer, self.now)
        yield Reply(peer, Opened(session, cursor, self.runs[job, epoch].rounds.base))

    def _run_from(self, entry: JobEntry, session: Session, cursor: int, again: bool) -> Iterator[Action]:
        """Have a run that can give a consumer its elements from `cursor` on, `again` to the same life of it or another.

        Where it was gone too far, or a former life may have written into what it shares, the run is made anew; the
        others are sent again what they have not acknowledged.
        """
        _, _, job, epoch, consumer = session
        run = self.runs.get((job, epoch))
        if run is not None:
            outbox = run.rounds.outboxes[consumer]
            if outbox.reaches(cursor) and (again or not outbox.touched(cursor)):
                outbox.skip, outbox.left = min(outbox.skip, cursor), False
                run.opened = True
                return
            yield from self.stop(run)
        run = self.begin(entry, epoch, {consumer: cursor})
        run.opened = True

    # Delivery.

    def _next(self, peer: str, message: Next) -> Iterator[Action]:
        _, _, job, _, consumer = message.session
        talk = self.conversations.get((job, consumer))
        if talk is None or not self._current(talk, message.session):
            yield from self._not_current(peer, talk, message.session)
            return
        talk.speaks(peer, self.now)
        run = self.runs[talk.run]
        outbox = run.rounds.outboxes[consumer]
        talk.until = max(talk.until, message.until)
        if outbox.acknowledge(message.acknowledged):
            yield self.record(Acknowledged(run.job, run.epoch, message.acknowledged, consumer))
            if (settled := run.settled()) is not None:
                yield self.record(Checkpointed(run.job, run.epoch, *settled))
        if message.again:
            if talk.lost(outbox.bytes_from(message.received), self.now):
                outbox.rewind(message.received)
            talk.ended_told = False
            if outbox.produced <= message.received and not run.ended:
                yield Reply(talk.peer, Waiting(talk.session, self.why(run)))

    def _ask_token(self, peer: str, message: AskToken) -> Iterator[Action]:
        _, _, job, _, consumer = message.session
        talk = self.conversations.get((job, consumer))
        if talk is None or not self._current(talk, message.session):
            yield from self._not_current(peer, talk, message.session)
            return
        talk.speaks(peer, self.now)
        self.desk.asked[job, consumer] = message
        yield from self._give(job)

    def _give(self, job: int) -> Iterator[Action]:
        """Tell those who asked for tokens of a job, as far as the files have been looked at that these name."""
        for (number, consumer), message in list(self.desk.asked.items()):
            talk = self.conversations.get((number, consumer))
            if number != job:
                continue
            if talk is None or not self._current(talk, message.session):
                del self.desk.asked[number, consumer]
                continue
            told = self.desk.give(message, self.book.jobs[job], self.runs[talk.run])
            if isinstance(told, list):
                yield from (Ask(scan) for scan in told)
            else:
                del self.desk.asked[number, consumer]
                yield Reply(talk.peer, told)

    def _fail(self, run: Run, error: HeadraceError) -> Iterator[Action]:
        """An epoch cannot go on: all that are in it are told why."""
        for talk in self.talks_in(run):
            del self.conversations[run.job, talk.consumer]
            yield Reply(talk.peer, Refused(to_data(error), self.book.jobs[run.job].key))
        yield from self.stop(run)

    def _current(self, talk: Conversation, session: Session) -> bool:
        """Whether a request belongs to the conversation at hand."""
        return session == talk.session

    def _speaker(self, job: int, consumer: int) -> str | None:
        """The peer that is the newest life of a consumer."""
        talk = self.conversations.get((job, consumer))
        return talk.peer if talk is not None else None

    def _not_current(self, peer: str, talk: Conversation | None, session: Session) -> Iterator[Action]:
        """Of a session that is over: whoever speaks may have to know."""
        generation, _, job, _, consumer = session
        place = self.place(job, consumer)
        if place is not None and generation < place.generation and self._speaker(job, consumer) != peer:
            entry = self.book.jobs[job]
            yield Reply(peer, Refused(to_data(taken_over(entry, consumer)), entry.key))
        elif talk is None:
            yield Reply(peer, Stale(self.incarnation))

    def why(self, run: Run) -> str:
        """In words, what a consumer waits for."""
        if not run.full:
            return run.why_waiting()
        return missing(self.book.jobs[run.job], run, self.talks(run.job), self.now)

    def _pump(self, run: Run) -> Iterator[Action]:
        """Move a run as far as it goes."""
        talks = self.talks_in(run)
        if talks:
            run.produce(max(talk.until for talk in talks))
            yield from self._decide(run, talks)
            run.checkpoint(self.now)
            for talk in talks:
                for reply in delivered(run, talk, self.now):
                    self.sent += getattr(reply.message, "count", 0)
                    yield reply
        if not run.ended:
            run.look_ahead(self.workers)
        elif not run.followed and talks:
            yield from self._follow(run)
        granted = list(run.credit(self.now))
        for order in run.orders:
            yield Ask(order)
        run.orders.clear()
        for worker, credit in granted:
            yield Tell(worker, credit)

    def _decide(self, run: Run, talks: list[Conversation]) -> Iterator[Action]:
        """What was decided is on record before anything is sent that depends on it; and so is the end."""
        told = list(run.known) if not run.told else []  # its line may not have been written when the server died
        run.told = True
        for verdict in run.decide():
            yield self.record(Judged(run.job, run.epoch, verdict.serial, verdict.to_data()))
            if all(each.number != verdict.number for each in run.known):  # it was met again
                told.append(verdict)
        if path := run.verdicts.policy.path:
            for verdict in told:
                yield Quarantine(run.job, run.epoch, path, run.verdicts.run, verdict)
        while run.verdicts.warnings:
            text = run.verdicts.warnings.pop(0)
            yield from (Reply(talk.peer, Printed("server", f"{text}\n")) for talk in talks)
        if run.ended and run.epoch not in self.book.ended.get(run.job, ()):
            yield self.record(EpochEnded(run.job, run.epoch, run.numbers))

    def _follow(self, run: Run) -> Iterator[Action]:
        """All of an epoch is there to be delivered: the next one begins to be computed."""
        entry, after = self.book.jobs[run.job], run.epoch + 1
        if self.prefill and run.epoch == entry.epoch:
            run.followed = True
            if (run.job, after) not in self.runs:
                yield from self._pump(self.begin(entry, after, {}))
