"""The disk, played: facts as bytes, of which a crash takes those that are not committed; and what must hold of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from headrace.broker.book import Acknowledged
from headrace.coordinator.strikes import MOST, Cleared, Element, Forgiven, Struck
from headrace.facts import Fact, Memory, from_bytes, to_bytes
from headrace.pipeline.messages import Deliver, Lease, Message, Opened, Registered

from .weather import Lost

__all__ = ["Disk"]


@dataclass
class Disk:
    """What survives the server, and what a server that says something must have written before."""

    facts: list[bytes] = field(default_factory=list)
    pending: list[Fact] = field(default_factory=list)
    known: Memory = field(default_factory=Memory)  #: What the facts on it say.
    compactions: int = 0
    acknowledged: Counter[int] = field(default_factory=Counter)  #: Elements that are done with for ever, by epoch.
    struck: Counter[Element] = field(default_factory=Counter)

    def write(self, fact: Fact) -> None:
        self.pending.append(fact)

    def commit(self) -> None:
        for fact in self.pending:
            self.facts.append(to_bytes(fact))
            self.known.apply(from_bytes(self.facts[-1]))
            self._note(fact)
        self.pending.clear()

    def crash(self) -> None:
        """The server is gone, and with it what it had not committed."""
        self.pending.clear()

    def compact(self, memory: Memory) -> None:
        """As the server remembers things; each of what it wrote itself has been committed."""
        self.commit()
        self.facts = [to_bytes(fact) for fact in memory.facts()]
        self.known = self.read()
        self.compactions += 1

    def read(self) -> Memory:
        """What the facts say."""
        return Memory.of(map(from_bytes, self.facts))

    def next_life(self) -> Memory:
        """What the next server begins with."""
        self.pending += self.known.book.leftovers()
        self.commit()
        return self.read()

    def _note(self, fact: Fact) -> None:
        match fact:
            case Acknowledged(_, epoch, cursor):
                self.acknowledged[epoch] = max(cursor, self.acknowledged[epoch])
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
            case Opened((generation, _, job, epoch)):
                known = job in book.jobs and (book.jobs[job].generation, book.jobs[job].epoch) >= (generation, epoch)
            case Lease(_, _, job, epoch, work) if work[6]:
                known = self._poisoned(job, epoch) >= len(work[6])
            case Deliver((_, _, job, epoch), error={"kind": "PoisonError"}):
                known = self._poisoned(job, epoch) > 0
            case _:
                return
        if not known:
            raise Lost(f"not on disk, and said: {message}")

    def _poisoned(self, job: int, epoch: int) -> int:
        causes = self.known.strikes.causes
        return sum(each[:2] == (job, epoch) and len(causes[each]) >= MOST for each in causes)
