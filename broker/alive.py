"""What is alive of a broker's jobs: the runs of their epochs, and the conversations with their consumers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from ..pipeline.columns import Array
from ..pipeline.memory import Memory
from ..pipeline.nodes import Node
from ..pipeline.seeds import derive
from ..pipeline.verdicts import Verdict
from .actions import Action, Ask, AskFile, Record
from .book import Book, Checkpointed, Fact, JobEntry, Place
from .conversation import Conversation
from .ledger import Totals
from .rounds import Rounds
from .run import Limits, Run

__all__ = ["Alive", "asked"]


@dataclass(slots=True, kw_only=True)
class Alive:
    """Runs and conversations, how they begin and end, and the book that outlives them.

    Whoever speaks is in an epoch that has a run.
    """

    incarnation: int
    decode: Callable[[bytes], Node]  #: From a registered graph to nodes, without its functions.
    limits: Limits = field(default_factory=Limits)
    book: Book = field(default_factory=Book)
    allocate: Callable[[str, int], Array | None] | None = None  #: Room for so many bytes in memory shared with a peer.
    now: float = 0.0
    splits: count[int] = field(default_factory=count)
    runs: dict[tuple[int, int], Run] = field(default_factory=dict)  #: By job and epoch.
    memories: dict[int, Memory] = field(default_factory=dict)  #: Of the caches of jobs that have a client.
    totals: Totals = field(default_factory=Totals)  #: Of all ledgers.
    conversations: dict[tuple[int, int], Conversation] = field(default_factory=dict)  #: By job and consumer.
    wanted: dict[tuple[int, int], int] = field(default_factory=dict)  #: Epochs that consumers wait to open.

    def runs_of(self, job: int) -> list[Run]:
        """The epochs of a job that are alive, the earlier one first."""
        return sorted((run for run in self.runs.values() if run.job == job), key=lambda run: run.epoch)

    def talks(self, job: int) -> dict[int, Conversation]:
        """Those with the consumers of a job, by consumer."""
        return {consumer: talk for (number, consumer), talk in self.conversations.items() if number == job}

    def talks_in(self, run: Run) -> list[Conversation]:
        """Those with the consumers that are in an epoch."""
        consumers = range(run.rounds.consumers)
        found = (self.conversations.get((run.job, consumer)) for consumer in consumers)
        return [talk for talk in found if talk is not None and talk.session[3] == run.epoch]

    def speaker(self, job: int, consumer: int) -> str | None:
        """The peer that is the newest life of a consumer."""
        talk = self.conversations.get((job, consumer))
        return talk.peer if talk is not None else None

    def place(self, job: int, consumer: int) -> Place | None:
        """Where a consumer is, if there is such a one."""
        entry = self.book.jobs.get(job)
        return entry.places[consumer] if entry is not None and 0 <= consumer < entry.consumers else None

    def record(self, fact: Fact) -> Record:
        """Let a fact be so, and have it written down."""
        self.book.apply(fact)
        return Record(fact)

    def drop(self, talk: Conversation) -> Iterator[Action]:
        """A conversation is over; without any other of its job nothing is computed for it."""
        job = talk.run[0]
        del self.conversations[job, talk.consumer]
        self.wanted.pop((job, talk.consumer), None)
        if not self.talks(job):
            yield from self.rest(job)

    def rest(self, job: int) -> Iterator[Action]:
        """Nobody is there for whom to compute or keep anything; whoever comes goes on from a checkpoint."""
        self.memories.pop(job, None)
        for run in self.runs_of(job):
            yield from self.stop(run)

    def tidy(self, entry: JobEntry) -> Iterator[Action]:
        """Stop what nobody is in any more."""
        for run in self.runs_of(entry.number):
            if run.epoch < entry.epoch:
                yield from self.stop(run)

    def begin(self, entry: JobEntry, epoch: int, cursors: dict[int, int]) -> Run:
        """A new run of an epoch, from the newest checkpoint that is of use to all consumers."""
        known = entry.entry(epoch)
        room = partial(self.room, entry.number)
        rounds = Rounds(entry.consumers, known.base, entry.even, room)
        for consumer, (outbox, place) in enumerate(zip(rounds.outboxes, entry.places, strict=True)):
            outbox.left = place.left or place.epoch > epoch
            outbox.skip = cursors.get(consumer, place.acknowledged if place.epoch == epoch else 0)
        run = Run(entry.number, epoch, self.decode(entry.graph), entry.seed, self.limits, self.splits)
        run.memory = self.memories.setdefault(entry.number, Memory())
        run.folder, run.rounds, run.begun, run.checkpoint_at = entry.folder, rounds, self.now, self.now
        run.name, run.foreign = f"{derive('run', entry.key):016x}", known.rewound is not None
        needed = min((each.skip for each in rounds.outboxes if not each.left), default=0)
        checkpoint = known.checkpoint
        usable = checkpoint is not None and self._usable(checkpoint, known.base + entry.consumers * needed)
        decided = [Verdict.from_data(each.verdict) for each in known.judged.values()]
        run.start(checkpoint.state if checkpoint is not None and usable else None, decided)
        self.runs[entry.number, epoch] = run
        return run

    def room(self, job: int, consumer: int, nbytes: int) -> Array | None:
        """Memory that is shared with a consumer of a job."""
        talk = self.conversations.get((job, consumer))
        return self.allocate(talk.peer, nbytes) if self.allocate is not None and talk is not None else None

    def _usable(self, checkpoint: Checkpointed, cursor: int) -> bool:
        """Whether a run that begins at a checkpoint can give the elements from `cursor` on."""
        return checkpoint.cursor <= cursor

    def go_on_without(self, run: Run, idle_s: float) -> None:
        """Consumers that are gone for so long hold up the others no more, who else might wait for ever.

        Of these each may be one that had all it wanted, where a power cut took its last word.
        """
        if run.full and self.now - run.begun >= idle_s:
            for consumer, outbox in enumerate(run.rounds.outboxes):
                if (run.job, consumer) not in self.conversations and not (outbox.left or outbox.away):
                    outbox.depart()

    def stop(self, run: Run) -> list[Action]:
        """Give up a run; it can be begun again."""
        del self.runs[run.job, run.epoch]
        self.totals.note(run.job, run.epoch, run.numbers, over=True)
        run.close()
        return [*map(Ask, [*run.shelves.taken(), *run.orders]), *asked(run)]


def asked(run: Run) -> list[Action]:
    """What a run asks about the files of caches since this was asked last."""
    found: list[Action] = [AskFile(run.job, each) for each in run.requests]
    run.requests.clear()
    return found
