"""Epochs: how consumers come into them, go on to the next, load a token, and leave their job."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from ..pipeline.errors import HeadraceError, to_data
from ..pipeline.messages import (
    Open,
    Opened,
    Refused,
    Session,
    Stale,
    Waiting,
)
from ..pipeline.token import position_of
from .actions import Action, Ask, Reply
from .admission import epoch_meant, latest, rewound_away, taken_over, unfit
from .alive import Alive
from .book import (
    Acknowledged,
    Closed,
    EpochOpened,
    Finished,
    JobEntry,
    Left,
)
from .conversation import Conversation
from .delivery import ahead
from .desk import Desk

__all__ = ["Epochs"]


@dataclass(slots=True, kw_only=True)
class Epochs(Alive):
    """Two epochs of a job at most are alive: the one that not all of its consumers have left, and the next."""

    desk: Desk = field(default_factory=Desk)

    def begins(self, entry: JobEntry, message: Open) -> bool:
        """Whether this would begin an epoch, rather than go on with one."""
        return 0 <= message.consumer < entry.consumers and epoch_meant(entry, message) not in entry.epochs

    def open(self, peer: str, message: Open) -> Iterator[Action]:
        """A consumer wants to be in an epoch."""
        entry, consumer = self.book.jobs.get(message.job), message.consumer
        if entry is None or message.incarnation != self.incarnation:
            yield Reply(peer, Stale(self.incarnation))
            return
        if (why := unfit(entry, message)) is not None:
            if self.speaker(message.job, consumer) == peer and message.generation < entry.places[consumer].generation:
                return  # late word of its own
            yield Reply(peer, Refused(to_data(why), entry.key, message.generation))
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
            yield Reply(peer, Refused(to_data(error), entry.key, message.generation))
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
            yield Reply(peer, Refused(to_data(error), entry.key, message.generation))
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
                yield talk.refused(rewound_away(entry), entry.key)
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
        # Of several none goes back: where one is behind, those ahead of it stay where they are.
        came_back, backward = place.left and not place.rewound, epoch < place.epoch and entry.consumers == 1
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
            entry = self.book.jobs[job]
            yield talk.refused(taken_over(entry, consumer), entry.key)
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
                outbox.skip, outbox.left, outbox.away = min(outbox.skip, cursor), False, False
                run.opened = True
                return
            yield from self.stop(run)
        run = self.begin(entry, epoch, {consumer: cursor})
        run.opened = True

    def leave(self, job: int, consumer: int) -> Iterator[Action]:
        """A consumer is done with a job; what would be for it is for nobody. With the last one the job ends."""
        others = (place for index, place in enumerate(self.book.jobs[job].places) if index != consumer)
        if all(place.left for place in others):
            yield from self.close(job)
            return
        yield self.record(Left(job, consumer))
        for run in self.runs_of(job):
            run.rounds.outboxes[consumer].leave()
        if (talk := self.conversations.get((job, consumer))) is not None:
            yield from self.drop(talk)
        yield from self.tidy(self.book.jobs[job])

    def close(self, job: int) -> Iterator[Action]:
        """A job has ended."""
        for run in self.runs_of(job):
            yield from self.stop(run)
        for consumer in range(self.book.jobs[job].consumers):
            self.conversations.pop((job, consumer), None)
            self.wanted.pop((job, consumer), None)
        self.desk.forget(job)
        self.memories.pop(job, None)
        if self.book.jobs[job].name:
            yield self.record(Finished(self.book.jobs[job].key))
        yield self.record(Closed(job))
