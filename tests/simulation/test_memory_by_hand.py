"""What a server remembers, in the hands of hypothesis: any facts, a journal made small, killed or torn at any point."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headrace.broker.book import (
    Acknowledged,
    Checkpointed,
    Closed,
    EpochEnded,
    EpochOpened,
    Finished,
    JobEntry,
    JobMade,
    Judged,
    Left,
    Rewound,
)
from headrace.coordinator.strikes import Cleared, Forgiven, Struck
from headrace.facts import Fact, Memory, to_bytes
from headrace.journal import Journal

WHICH = st.integers(0, 5)
EVEN = st.sampled_from(["drop", "pad"])


def told(memory: Memory) -> list[bytes]:
    """What it says, to be compared."""
    return list(map(to_bytes, memory.facts()))


class MemoryByHand(RuleBasedStateMachine):
    """Facts as they may come to be so, on a real journal; in the end and in between it says what the memory says."""

    @initialize()
    def begin(self) -> None:
        """A first server, that knows nothing."""
        self.folder, self.lives = Path(mkdtemp()), count()
        self.jobs, self.generations = count(1), count()
        self.path = self.folder / "0" / "journal.sqlite"
        self.journal, self.live = Journal.open(self.path), Memory()
        self.history = [told(self.live)]  #: What was so at each commit.

    def be(self, fact: Fact) -> None:
        """First in memory, then to disk."""
        self.live.apply(fact)
        self.journal.write(fact)

    def _any_job(self) -> bool:
        return bool(self.live.book.jobs)

    def job(self, which: int) -> JobEntry:
        jobs = self.live.book.jobs
        return jobs[sorted(jobs)[which % len(jobs)]]

    @rule(name=st.sampled_from(["", "a", "b"]), consumers=st.integers(1, 3), even=EVEN)
    def a_job_is_made(self, name: str, consumers: int, even: str) -> None:
        number = self.live.book.last + 1
        key = f"job:{name}" if name else f"key-{number}"
        if key not in self.live.book.numbers:
            self.be(JobMade(number, key, b"graph", 5, "/data", name, consumers if name else 1, even))

    @precondition(_any_job)
    @rule(which=WHICH, consumer=st.integers(0, 2), ahead=st.integers(0, 1))
    def an_epoch_is_opened(self, which: int, consumer: int, ahead: int) -> None:
        """Nobody goes back, and nobody is two epochs ahead of another."""
        entry = self.job(which)
        consumer %= entry.consumers
        place = entry.places[consumer]
        epoch = max(place.epoch, 0) + (ahead if place.generation >= 0 and not place.rewound else 0)
        if not place.left and epoch <= max(entry.epoch, 0) + 1:
            self.be(EpochOpened(entry.number, epoch, next(self.generations), consumer))

    @precondition(_any_job)
    @rule(which=WHICH, consumer=st.integers(0, 2), more=st.integers(1, 9))
    def elements_are_acknowledged(self, which: int, consumer: int, more: int) -> None:
        entry = self.job(which)
        place = entry.places[consumer % entry.consumers]
        if place.generation >= 0 and not place.rewound:
            cursor = place.acknowledged + more
            self.be(Acknowledged(entry.number, place.epoch, cursor, consumer % entry.consumers))

    @precondition(_any_job)
    @rule(which=WHICH, cursor=st.integers(0, 99), state=st.binary(max_size=2000))
    def a_checkpoint_counts(self, which: int, cursor: int, state: bytes) -> None:
        entry = self.job(which)
        for epoch in entry.epochs:
            self.be(Checkpointed(entry.number, epoch, cursor, {"cursor": cursor, "operator": {"packed": state}}))

    @precondition(_any_job)
    @rule(which=WHICH, serial=st.integers(1, 9))
    def something_is_decided(self, which: int, serial: int) -> None:
        entry = self.job(which)
        for epoch in entry.epochs:
            self.be(Judged(entry.number, epoch, serial, ["skipped", serial]))

    @precondition(_any_job)
    @rule(which=WHICH, count=st.integers(0, 99))
    def an_epoch_is_produced(self, which: int, count: int) -> None:
        entry = self.job(which)
        for epoch in entry.epochs:
            self.be(EpochEnded(entry.number, epoch, {"count": count}))

    @precondition(_any_job)
    @rule(which=WHICH, consumer=st.integers(0, 2), back=st.integers(0, 1), element=st.integers(0, 99))
    def a_token_is_loaded(self, which: int, consumer: int, back: int, element: int) -> None:
        entry = self.job(which)
        consumer %= entry.consumers
        epoch = max(0, entry.epoch - back)
        self.be(Rewound(entry.number, epoch, element, {"cursor": element, "operator": {}}, consumer))
        self.be(EpochOpened(entry.number, epoch, next(self.generations), consumer))

    @precondition(_any_job)
    @rule(which=WHICH, consumer=st.integers(0, 2))
    def a_consumer_leaves(self, which: int, consumer: int) -> None:
        """The last one ends the job."""
        entry = self.job(which)
        consumer %= entry.consumers
        if entry.places[consumer].left:
            return
        self.be(Left(entry.number, consumer))
        if entry.over:
            if entry.name:
                self.be(Finished(entry.key))
            self.be(Closed(entry.number))
            self.be(Cleared(entry.number, None))

    @precondition(_any_job)
    @rule(which=WHICH, offset=st.integers(0, 3), cause=st.text(max_size=5))
    def an_element_costs_a_worker(self, which: int, offset: int, cause: str) -> None:
        entry = self.job(which)
        self.be(Struck(entry.number, max(entry.epoch, 0), (0, 1), (1 << 64) - 1, offset, cause.encode().hex()))

    @precondition(_any_job)
    @rule(which=WHICH, offset=st.integers(0, 3))
    def it_was_bad_luck(self, which: int, offset: int) -> None:
        entry = self.job(which)
        self.be(Forgiven(entry.number, max(entry.epoch, 0), (0, 1), (1 << 64) - 1, offset))

    @precondition(_any_job)
    @rule(which=WHICH)
    def an_epochs_strikes_are_forgotten(self, which: int) -> None:
        entry = self.job(which)
        self.be(Cleared(entry.number, max(entry.epoch, 0)))

    @rule()
    def it_is_committed(self) -> None:
        self.journal.commit()
        self.history.append(told(self.live))

    @rule()
    def the_journal_is_made_small(self) -> None:
        self.journal.compact(self.live.facts())
        self.history.append(told(self.live))

    @rule()
    def the_server_is_killed(self) -> None:
        """What was committed is so, and nothing else."""
        incarnation = self.journal.incarnation()
        self._next_life()
        assert told(self.live) == self.history[-1]
        assert self.journal.incarnation() == incarnation + 1

    @rule(share=st.floats(0, 1))
    def the_power_is_cut(self, share: float) -> None:
        """The end of what was written is torn off, anywhere; what was so at some commit is so again."""
        self._next_life(share)
        found = told(self.live)
        assert found in self.history
        while self.history[-1] != found:
            self.history.pop()

    def _next_life(self, share: float | None = None) -> None:
        """A server on what the last one has on its disk at this moment."""
        folder = self.folder / str(next(self.lives) + 1)
        shutil.copytree(self.path.parent, folder)
        if share is not None:
            log = folder / "journal.sqlite-wal"
            os.truncate(log, int(share * log.stat().st_size))
        self.journal.close()
        shutil.rmtree(self.path.parent)
        self.path = folder / self.path.name
        self.journal = Journal.open(self.path)
        self.live = Memory.of(self.journal.replay())

    @invariant()
    def the_fewest_facts_say_the_same_as_all(self) -> None:
        """And what they say is said by the same facts again."""
        assert Memory.of(self.live.facts()) == self.live

    def teardown(self) -> None:
        """Nothing of it is left."""
        if hasattr(self, "journal"):
            self.journal.close()
            shutil.rmtree(self.folder)


TestMemoryByHand = MemoryByHand.TestCase
TestMemoryByHand.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
