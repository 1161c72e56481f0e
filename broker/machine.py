"""The broker: jobs and their epochs, sessions with consumers, delivery. Events in, actions out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..pipeline.errors import HeadraceError, to_data
from ..pipeline.messages import (
    AskToken,
    Close,
    Message,
    Next,
    Open,
    Printed,
    Refused,
    Register,
    Registered,
    Session,
    Stale,
    Waiting,
)
from ..pipeline.orders import Granted, Scanned, Withdrawn
from .actions import Action, Answered, Ask, Event, FromClient, FromWorker, Gone, Quarantine, Record, Reply, Tell, Tick
from .admission import made, objection, taken_over
from .alive import asked
from .book import (
    Acknowledged,
    Checkpointed,
    EpochEnded,
    Judged,
)
from .conversation import Conversation
from .delivery import delivered, missing
from .epochs import Epochs
from .run import Run

__all__ = ["Action", "Ask", "Broker", "Event", "FromClient", "FromWorker", "Gone", "Record", "Reply", "Tell", "Tick"]

#: How often to look for jobs that nobody came back for.
SWEEP_S = 60.0
#: So many of those are kept; of more, the one that was left first is closed.
LEFT_MOST = 1000


@dataclass(slots=True, kw_only=True)
class Broker(Epochs):
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
                    yield from self.open(at.peer, at.message)
                yield from self._give(job)
            case Scanned(job, path, bounds, "shelf"):
                for run in self.runs_of(job):
                    run.shelves.answer(path, bounds)
            case Scanned(job, path, bounds):
                for run in self.runs_of(job):
                    run.scanned(path, bounds)
            case Answered(job, number, found):
                for run in self.runs_of(job):
                    run.desk.answer(number, found)
            case Gone(peer):
                for talk in self.conversations.values():
                    if talk.peer == peer:
                        talk.unreachable(self.now)
            case Tick(now):
                self.now = now
                for talk in list(self.conversations.values()):
                    yield from self._look_after(talk)
                for run in self.runs.values():
                    self.go_on_without(run, self.idle_s)
                if now - self.swept >= SWEEP_S:
                    self.swept = now
                    yield from self._forget()

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
        oldest = sorted(jobs, key=lambda job: (self.missed[job], job))
        for place, job in enumerate(oldest):
            if place < len(oldest) - LEFT_MOST or self.now - self.missed[job] >= self.forget_s:
                yield from self.close(job)
            elif self.now - self.missed[job] >= self.idle_s:
                yield from self.rest(job)

    def _client(self, peer: str, message: Message) -> Iterator[Action]:
        match message:
            case Register():
                yield from self._register(peer, message)
            case Open():
                yield from self.open(peer, message)
            case Next():
                yield from self._next(peer, message)
            case AskToken():
                yield from self._ask_token(peer, message)
            case Close(job, generation, consumer):
                place = self.place(job, consumer)
                if place is not None and generation >= place.generation and not place.left:
                    yield from self.leave(job, consumer)

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
        yield Reply(peer, Registered(message.key, entry.number, entry.generation(message.consumer)))

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
            yield talk.refused(error, self.book.jobs[run.job].key)
        yield from self.stop(run)

    def _current(self, talk: Conversation, session: Session) -> bool:
        """Whether a request belongs to the conversation at hand."""
        return session == talk.session

    def _not_current(self, peer: str, talk: Conversation | None, session: Session) -> Iterator[Action]:
        """Of a session that is over: whoever speaks may have to know."""
        generation, _, job, _, consumer = session
        place = self.place(job, consumer)
        if place is not None and generation < place.generation and self.speaker(job, consumer) != peer:
            entry = self.book.jobs[job]
            yield Reply(peer, Refused(to_data(taken_over(entry, consumer)), entry.key, generation))
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
            yield from map(Ask, run.shelves.taken())  # so that what an epoch keeps is there when its end is seen
            yield from asked(run)  # before the next epoch asks
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
        yield from asked(run)
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
            if (run.job, after) not in self.runs and len(self.runs_of(run.job)) < 2:
                yield from self._pump(self.begin(entry, after, {}))
