"""The book: what a broker must know after its own death. Facts change it, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Acknowledged", "Book", "Checkpointed", "Closed", "Counted", "EpochOpened", "Fact", "JobEntry", "JobMade"]


@dataclass(frozen=True, slots=True)
class JobMade:
    """A pipeline was registered."""

    job: int
    key: str
    graph: bytes
    seed: int
    folder: str = ""


@dataclass(frozen=True, slots=True)
class EpochOpened:
    """A client began an epoch, or came back to it, in this life of it."""

    job: int
    epoch: int
    generation: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The training loop is done with everything before `cursor`."""

    job: int
    epoch: int
    cursor: int


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """Where all operators stood when exactly `cursor` elements had been produced."""

    job: int
    epoch: int
    cursor: int
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Closed:
    """The client is done with a job."""

    job: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Job numbers up to `last` were given, also where no job has them any more."""

    last: int


Fact: TypeAlias = JobMade | EpochOpened | Acknowledged | Checkpointed | Closed | Counted


@dataclass(slots=True)
class JobEntry:
    """One job as the book has it."""

    number: int
    key: str
    graph: bytes
    seed: int
    folder: str = ""
    generation: int = -1
    epoch: int = -1
    acknowledged: int = 0
    checkpoint: Checkpointed | None = None

    def facts(self) -> Iterator[Fact]:
        """The fewest facts that rebuild this entry."""
        yield JobMade(self.number, self.key, self.graph, self.seed, self.folder)
        if (self.generation, self.epoch) != (-1, -1):
            yield EpochOpened(self.number, self.epoch, self.generation)
        if self.acknowledged:
            yield Acknowledged(self.number, self.epoch, self.acknowledged)
        if self.checkpoint is not None:
            yield self.checkpoint


@dataclass(slots=True)
class Book:
    """Jobs by number. Replaying all facts in order gives the book that wrote them."""

    jobs: dict[int, JobEntry] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)  #: Job by key.
    last: int = 0

    def apply(self, fact: Fact) -> None:
        """Let a fact be so."""
        match fact:
            case JobMade(job, key, graph, seed, folder):
                self.jobs[job] = JobEntry(job, key, graph, seed, folder)
                self.numbers[key] = job
                self.last = max(job, self.last)
            case EpochOpened(job, epoch, generation):
                entry = self.jobs[job]
                if epoch != entry.epoch:
                    entry.acknowledged, entry.checkpoint = 0, None
                entry.epoch, entry.generation = epoch, generation
            case Acknowledged(job, epoch, cursor) if self.jobs[job].epoch == epoch:
                self.jobs[job].acknowledged = max(cursor, self.jobs[job].acknowledged)
            case Checkpointed(job, epoch) if self.jobs[job].epoch == epoch:
                self.jobs[job].checkpoint = fact
            case Closed(job):
                del self.numbers[self.jobs.pop(job).key]
            case Counted(last):
                self.last = max(last, self.last)

    def leftovers(self) -> list[Fact]:
        """The ends of jobs that were never opened: in a server's next life whoever wants them registers anew."""
        return [Closed(number) for number, entry in self.jobs.items() if entry.epoch < 0]

    def facts(self) -> list[Fact]:
        """The fewest facts that rebuild this book."""
        found = [fact for number in sorted(self.jobs) for fact in self.jobs[number].facts()]
        return found if self.last == max(self.jobs, default=0) else [*found, Counted(self.last)]
