"""The book: what a broker must know after its own death. Facts change it, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

__all__ = [
    "REMEMBERED",
    "Acknowledged",
    "Book",
    "Checkpointed",
    "Closed",
    "Counted",
    "EpochEnded",
    "EpochEntry",
    "EpochOpened",
    "Fact",
    "Finished",
    "JobEntry",
    "JobMade",
    "Judged",
    "Left",
    "Place",
    "Rewound",
]

#: So many jobs that have finished are known by name; the oldest are forgotten.
REMEMBERED = 10_000
#: The ledgers of so many epochs of a job are kept, the last ones,
LEDGERS = 4
#: and of so many jobs, the last ones to end an epoch, unless more are open.
LEDGERS_OF = 64


@dataclass(frozen=True, slots=True)
class JobMade:
    """A pipeline was registered."""

    job: int
    key: str
    graph: bytes
    seed: int
    folder: str = ""
    name: str = ""
    consumers: int = 1
    even: str = "drop"


@dataclass(frozen=True, slots=True)
class EpochOpened:
    """A consumer began an epoch, or came back to it, in this life of it."""

    job: int
    epoch: int
    generation: int
    consumer: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A consumer's training loop is done with all of its elements before `cursor`."""

    job: int
    epoch: int
    cursor: int
    consumer: int = 0


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """Where all operators stood when exactly `cursor` elements of the epoch had been produced, for all consumers."""

    job: int
    epoch: int
    cursor: int
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """An element failed, and what was decided about it (see `verdicts`). Nothing behind it is sent before."""

    job: int
    epoch: int
    serial: int
    verdict: list[Any]


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """All of an epoch came: what became of all its elements."""

    job: int
    epoch: int
    ledger: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rewound:
    """A consumer loaded a token: all go on behind `element` elements of an epoch, from a checkpoint, if any."""

    job: int
    epoch: int
    element: int
    state: dict[str, Any] | None
    consumer: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """A consumer is done with a job that others still have."""

    job: int
    consumer: int


@dataclass(frozen=True, slots=True)
class Closed:
    """All are done with a job."""

    job: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A named job of this key came to its end: who says it again is to be asked whether that is meant."""

    key: str


@dataclass(frozen=True, slots=True)
class Counted:
    """Job numbers up to `last` were given, also where no job has them any more."""

    last: int


Fact: TypeAlias = (
    JobMade
    | EpochOpened
    | Acknowledged
    | Checkpointed
    | Judged
    | EpochEnded
    | Rewound
    | Left
    | Closed
    | Finished
    | Counted
)


@dataclass(slots=True)
class Place:
    """Where one consumer of a job is."""

    generation: int = -1  #: Its newest life; -1 before it came at all.
    epoch: int = -1  #: That of whoever came first, as long as it did not come.
    acknowledged: int = 0  #: Of its own elements in that epoch.
    left: bool = False
    rewound: bool = False  #: Whether another consumer loaded a token, which it has to load, too, before it goes on.

    def facts(self, job: int, consumer: int) -> Iterator[Fact]:
        """The fewest facts that rebuild it."""
        if self.generation >= 0:
            yield EpochOpened(job, self.epoch, self.generation, consumer)
        if self.acknowledged:
            yield Acknowledged(job, self.epoch, self.acknowledged, consumer)
        if self.left:
            yield Left(job, consumer)


@dataclass(slots=True)
class EpochEntry:
    """One epoch of a job that not all consumers have left behind."""

    base: int = 0  #: Rounds count from this element on.
    checkpoint: Checkpointed | None = None
    judged: dict[int, Judged] = field(default_factory=dict)  #: By serial number: what that checkpoint does not know.
    rewound: Rewound | None = None  #: What it began with, if not with its first element.

    def judge(self, fact: Judged) -> None:
        """A verdict; the newest of one element stands for it."""
        others = {serial: each for serial, each in self.judged.items() if each.verdict[1:4] != fact.verdict[1:4]}
        self.judged = {**others, fact.serial: fact}

    def settle(self, checkpoint: Checkpointed) -> None:
        """Whoever begins anew begins here; what was decided before need not be known any more."""
        self.checkpoint = checkpoint
        known = checkpoint.state.get("decided", 0)
        self.judged = {serial: each for serial, each in self.judged.items() if serial > known}

    def facts(self) -> Iterator[Fact]:
        """The fewest facts that rebuild it, but for its base."""
        if self.checkpoint is not None:
            yield self.checkpoint
        yield from self.judged.values()


@dataclass(slots=True)
class JobEntry:
    """One job as the book has it."""

    number: int
    key: str
    graph: bytes
    seed: int
    folder: str = ""
    name: str = ""
    even: str = "drop"
    places: list[Place] = field(default_factory=lambda: [Place()])  #: By consumer.
    epochs: dict[int, EpochEntry] = field(default_factory=dict)  #: That were opened: two at most.

    @property
    def consumers(self) -> int:
        """How many it has."""
        return len(self.places)

    @property
    def title(self) -> str:
        """What to call it."""
        return f"job {self.name!r}" if self.name else f"job {self.number}"

    @property
    def epoch(self) -> int:
        """The earliest that a consumer is in; -1 before any came."""
        return min((each.epoch for each in self.places if not each.left), default=-1)

    def generation(self, consumer: int) -> int:
        """The newest life of a consumer; -1 where it never came, or there is none of this number."""
        return self.places[consumer].generation if 0 <= consumer < self.consumers else -1

    @property
    def over(self) -> bool:
        """Whether all consumers have left."""
        return all(each.left for each in self.places)

    def entry(self, epoch: int) -> EpochEntry:
        """What is known of an epoch."""
        return self.epochs.get(epoch) or EpochEntry()

    def settled(self, epoch: int) -> int:
        """Elements of an epoch, of all consumers together, that no consumer that is there will need again."""
        rounds = (each.acknowledged for each in self.places if each.epoch == epoch and not each.left)
        return self.entry(epoch).base + self.consumers * min(rounds, default=0)

    def facts(self) -> Iterator[Fact]:
        """The fewest facts that rebuild this entry."""
        yield JobMade(self.number, self.key, self.graph, self.seed, self.folder, self.name, self.consumers, self.even)
        yield from self._rewound()
        yield from self._first()
        for consumer, place in enumerate(self.places):
            if not place.rewound:
                yield from place.facts(self.number, consumer)
            elif place.left:
                yield Left(self.number, consumer)
        for each in self.epochs.values():
            yield from each.facts()

    def _rewound(self) -> Iterator[Fact]:
        """The token that an epoch began with, and before it who has not loaded that yet."""
        for each in self.epochs.values():
            if each.rewound is not None:
                waiting = [(index, place) for index, place in enumerate(self.places) if place.rewound]
                for consumer, place in waiting:
                    yield from replace(place, acknowledged=0, left=False).facts(self.number, consumer)
                yield each.rewound

    def stands(self, epoch: int, element: int) -> bool:
        """Whether a token of just there was loaded."""
        rewound = self.entry(epoch).rewound
        return rewound is not None and rewound.element == element

    def rewind(self, fact: Rewound) -> None:
        """Go on where a token says."""
        for place in self.places:
            place.epoch, place.acknowledged, place.left, place.rewound = fact.epoch, 0, False, True
        checkpoint = None
        if fact.state is not None:
            checkpoint = Checkpointed(fact.job, fact.epoch, fact.state["cursor"], fact.state)
        self.epochs = {fact.epoch: EpochEntry(fact.element, checkpoint, rewound=fact)}

    def _first(self) -> Iterator[Fact]:
        """Which epoch the job began with, where that is told by nobody who came: for those who still may come."""
        waiting = [each.epoch for each in self.places if each.generation < 0]
        came = [(index, each) for index, each in enumerate(self.places) if each.generation >= 0]
        if waiting and came and came[0][1].epoch != waiting[0]:
            yield EpochOpened(self.number, waiting[0], came[0][1].generation, came[0][0])

    def open(self, consumer: int, epoch: int, generation: int) -> None:
        """A consumer is in an epoch."""
        place = self.places[consumer]
        if epoch != place.epoch:
            place.acknowledged = 0
        place.epoch, place.generation, place.left, place.rewound = epoch, generation, False, False
        for each in self.places:
            if each.epoch < 0:
                each.epoch = epoch
        self.epochs.setdefault(epoch, EpochEntry())
        self.forget()

    def forget(self) -> None:
        """Leave out epochs that all have left behind."""
        now, been = self.epoch, {each.epoch for each in self.places}
        self.epochs = {epoch: self.epochs[epoch] for epoch in sorted(self.epochs) if epoch in been and epoch >= now}


@dataclass(slots=True)
class Book:
    """Jobs by number. Replaying all facts in order gives the book that wrote them."""

    jobs: dict[int, JobEntry] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)  #: Job by key.
    finished: dict[str, None] = field(default_factory=dict)  #: Keys of named jobs that have ended, the oldest first.
    ended: dict[int, dict[int, EpochEnded]] = field(default_factory=dict)  #: By job and epoch, also of closed jobs.
    last: int = 0

    def apply(self, fact: Fact) -> None:
        """Let a fact be so."""
        match fact:
            case JobMade():
                self._make(fact)
            case EpochOpened(job, epoch, generation, consumer):
                self.jobs[job].open(consumer, epoch, generation)
            case Acknowledged(job, epoch, cursor, consumer):
                place = self.jobs[job].places[consumer]
                if place.epoch == epoch:
                    place.acknowledged = max(cursor, place.acknowledged)
            case Checkpointed(job, epoch) if epoch in self.jobs[job].epochs:
                self.jobs[job].epochs[epoch].settle(fact)
            case Judged(job, epoch) if epoch in self.jobs[job].epochs:
                self.jobs[job].epochs[epoch].judge(fact)
            case EpochEnded():
                self._keep(fact)
            case Rewound(job):
                self.jobs[job].rewind(fact)
            case Left(job, consumer):
                self.jobs[job].places[consumer].left = True
                self.jobs[job].forget()
            case Closed(job):
                del self.numbers[self.jobs.pop(job).key]
            case Finished(key):
                self.finished.pop(key, None)
                self.finished[key] = None
                if len(self.finished) > REMEMBERED:
                    del self.finished[next(iter(self.finished))]
            case Counted(last):
                self.last = max(last, self.last)

    def _keep(self, ended: EpochEnded) -> None:
        """The ledgers of each job's last epochs, and of the last jobs."""
        kept = self.ended.pop(ended.job, {})
        kept[ended.epoch] = ended
        self.ended[ended.job] = {epoch: kept[epoch] for epoch in sorted(kept)[-LEDGERS:]}
        over = [job for job in self.ended if job not in self.jobs]
        for job in over[: max(0, len(self.ended) - LEDGERS_OF)]:
            del self.ended[job]

    def _make(self, made: JobMade) -> None:
        places = [Place() for _ in range(made.consumers)]
        self.jobs[made.job] = JobEntry(
            made.job, made.key, made.graph, made.seed, made.folder, made.name, made.even, places
        )
        self.numbers[made.key] = made.job
        self.finished.pop(made.key, None)
        self.last = max(made.job, self.last)

    def leftovers(self) -> list[Fact]:
        """The ends of jobs that were never opened: in a server's next life whoever wants them registers anew."""
        return [Closed(number) for number, entry in self.jobs.items() if entry.epoch < 0]

    def facts(self) -> list[Fact]:
        """The fewest facts that rebuild this book."""
        found: list[Fact] = [Finished(key) for key in self.finished]
        found += [fact for number in sorted(self.jobs) for fact in self.jobs[number].facts()]
        found += [fact for kept in self.ended.values() for fact in kept.values()]
        return found if self.last == max(self.jobs, default=0) else [*found, Counted(self.last)]
