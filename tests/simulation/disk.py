"""The disk, played: facts as bytes, of which a crash takes those that are not committed; and what must hold of them.

As the journal's SQLite file does, it keeps whole transactions: a killed server loses what it had not
committed, and a power cut the last transactions too, of which some byte had not reached the disk.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from headrace.broker.book import Acknowledged, Rewound
from headrace.coordinator.strikes import MOST, Cleared, Element, Forgiven, Struck
from headrace.facts import Fact, Memory, from_bytes, to_bytes
from headrace.pipeline.messages import Deliver, Lease, Message, Opened, Registered

from .weather import Lost

__all__ = ["Disk"]

#: So many transactions at most may be lost where the power is cut.
TORN = 6


@dataclass(slots=True)
class Moment:
    """How the disk was before a transaction."""

    facts: list[bytes]
    length: int
    acknowledged: Counter[tuple[int, int]]
    struck: Counter[Element]


@dataclass
class Disk:
    """What survives the server, and what a server that says something must have written before."""

    facts: list[bytes] = field(default_factory=list)
    pending: list[Fact] = field(default_factory=list)
    known: Memory = field(default_factory=Memory)  #: What the facts on it say.
    compactions: int = 0
    torn: int = 0  #: Transactions that power cuts took.
    #: Elements that are done with for ever, by consumer and epoch.
    acknowledged: Counter[tuple[int, int]] = field(default_factory=Counter)
    struck: Counter[Element] = field(default_factory=Counter)
    past: deque[Moment] = field(default_factory=lambda: deque(maxlen=TORN))

    def write(self, fact: Fact) -> None:
        """One more fact, which is not so before it is committed."""
        self.pending.append(fact)

    def commit(self) -> None:
        """What was written is so."""
        if not self.pending:
            return
        self._remember()
        for fact in self.pending:
            self.facts.append(to_bytes(fact))
            self.known.apply(from_bytes(self.facts[-1]))
            self._note(fact)
        self.pending.clear()

    def crash(self) -> None:
        """The server is gone, and with it what it had not committed."""
        self.pending.clear()

    def tear(self, transactions: int) -> None:
        """The power was cut before the last so many transactions had reached the disk."""
        for _ in range(min(transactions, len(self.past))):
            moment = self.past.pop()
            self.facts = moment.facts[: moment.length]
            self.acknowledged, self.struck = moment.acknowledged, moment.struck
            self.torn += 1
        self.known = self.read()

    def compact(self, memory: Memory) -> None:
        """As the server remembers things; each of what it wrote itself has been committed."""
        self.commit()
        self._remember()
        self.facts = [to_bytes(fact) for fact in memory.facts()]
        self.known = self.read()
        self.compactions += 1

    def _remember(self) -> None:
        self.past.append(Moment(self.facts, len(self.facts), self.acknowledged.copy(), self.struck.copy()))

    def read(self) -> Memory:
        """What the facts say."""
        return Memory.of(map(from_bytes, self.facts))

    def done_with(self, consumer: int, generation: int) -> dict[int, int]:
        """How many elements of each epoch a consumer is done with for ever.

        Of a life of it that the disk does not know (any more, where the power was cut) that says nothing: what it
        loaded may be lost, and it is not to know that before it asks.
        """
        if any(job.generation(consumer) != generation for job in self.known.book.jobs.values()):
            return {}
        return {epoch: count for (who, epoch), count in self.acknowledged.items() if who == consumer}

    def next_life(self) -> Memory:
        """What the next server begins with."""
        self.pending += self.known.book.leftovers()
        self.commit()
        return self.read()

    def _note(self, fact: Fact) -> None:
        match fact:
            case Acknowledged(_, epoch, cursor, consumer):
                at = consumer, epoch
                self.acknowledged[at] = max(cursor, self.acknowledged[at])
            case Rewound(_, epoch):
                for who in [who for who in self.acknowledged if who[1] >= epoch]:
                    del self.acknowledged[who]
            case Struck(job, epoch, segment, origin, offset):
                element = Element(job, epoch, segment, origin, offset)
                self.struck[element] += 1
                if self.struck[element] > MOST:
                    raise Lost(f"{element} has cost {self.struck[element]} workers")
            case Forgiven(job, epoch, segment, origin, offset):
                del self.struck[Element(job, epoch, segment, origin, offset)]
            case Cleared(job, before):
                for each in [each for each in self.struck if each.job == job]:
                    if before is None or each.epoch < before:
                        del self.struck[each]

    def allows(self, message: Message) -> None:
        """Lost where a server says what it would not know after a crash at this moment."""
        book = self.known.book
        match message:
            case Registered(key, job):
                known = book.numbers.get(key) == job
            case Opened(session):
                entry = book.jobs.get(session[2])
                place = entry.places[session[4]] if entry is not None else None
                known = place is not None and (place.generation, place.epoch) >= (session[0], session[3])
            case Lease(_, _, job, epoch, work) if work[6]:
                known = self._poisoned(job, epoch) >= len(work[6])
            case Deliver(session, error={"kind": "PoisonError"}):
                entry = book.jobs.get(session[2])
                told = entry is not None and entry.entry(session[3]).rewound is not None  # by the token
                known = told or self._poisoned(session[2], session[3]) > 0
            case _:
                return
        if not known:
            raise Lost(f"not on disk, and said: {message}")

    def _poisoned(self, job: int, epoch: int) -> int:
        causes = self.known.strikes.causes
        return sum(each[:2] == (job, epoch) and len(causes[each]) >= MOST for each in causes)
