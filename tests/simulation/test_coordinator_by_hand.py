"""The coordinator in the hands of hypothesis: workers, wants and time in any order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.coordinator.machine import (
    Action,
    Coordinator,
    Died,
    Event,
    Examine,
    Executing,
    Heard,
    Joined,
    Kill,
    Notify,
    Over,
    Record,
    Send,
    Silent,
    Tick,
)
from headrace.coordinator.strikes import MOST, Strikes
from headrace.pipeline.messages import Bye, Heartbeat, Lease, Pieces, Revoke
from headrace.pipeline.orders import Granted, Release, Want, Withdrawn
from headrace.pipeline.work import Work

WHICH = st.integers(0, 5)
ROWS = 4  #: Of one split.


class CoordinatorByHand(RuleBasedStateMachine):
    """Events as they may come, and a broker that keeps to its part: it wants again what was withdrawn."""

    def __init__(self) -> None:
        super().__init__()
        self.coordinator = Coordinator(incarnation=1, lease_s=2.0)
        self.now = 0.0
        self.names, self.splits = count(), count()
        self.wanted: dict[int, int] = {}  #: Splits, and under which attempt each is granted; 0 while it is not.
        self.attempts: list[int] = []
        self.told: dict[str, dict[int, int]] = {}  #: What each worker was leased and not told to drop.
        self.replayed = Strikes()

    # What happens.

    def tell(self, event: Event) -> None:
        """Let it happen, and do what is said of it."""
        for action in self.coordinator.handle(event):
            self.heed(action)

    def heed(self, action: Action) -> None:
        match action:
            case Notify(Granted(split, attempt, _)):
                assert self.wanted[split] == 0, "granted twice"
                assert not self.attempts or attempt > self.attempts[-1], "an attempt's number grows"
                self.wanted[split] = attempt
                self.attempts.append(attempt)
            case Notify(Withdrawn(split, attempt)):
                assert self.wanted[split] == attempt, "withdrawn, and not granted"
                self.wanted[split] = -1
            case Send(worker, Lease(split, attempt)):
                assert self.wanted[split] == attempt, "a lease is told to the broker before it is given"
                assert not self.coordinator.workers[worker].killed
                self.told.setdefault(worker, {})[split] = attempt
            case Send(worker, Revoke(split)):
                self.told.get(worker, {}).pop(split, None)
            case Record(fact):
                self.replayed.apply(fact)
            case Kill(worker, _) | Examine(worker):
                assert worker in self.coordinator.workers

    def worker(self, which: int) -> str:
        return sorted(self.coordinator.workers)[which % len(self.coordinator.workers)]

    def _any_worker(self) -> bool:
        return bool(self.coordinator.workers)

    def _any_split(self) -> bool:
        return bool(self.wanted)

    @rule()
    def a_worker_comes(self) -> None:
        self.tell(Joined(f"worker-{next(self.names)}"))

    @precondition(_any_worker)
    @rule(which=WHICH)
    def a_worker_says_hello_again(self, which: int) -> None:
        name = self.worker(which)
        self.told[name] = {}
        self.tell(Joined(name))

    @rule(urgent=st.booleans(), depth=st.integers(0, 1))
    def the_broker_wants_a_split(self, urgent: bool, depth: int) -> None:
        split = next(self.splits)
        self.wanted[split] = 0
        self.want(split, urgent, depth)

    def want(self, split: int, urgent: bool, depth: int = 0) -> None:
        work = Work((0,), 1, split * ROWS, (split + 1) * ROWS)
        self.tell(Want(split, 1, 0, work, depth, 100, urgent))

    @precondition(_any_split)
    @rule(which=WHICH)
    def what_was_withdrawn_is_wanted_again(self, which: int) -> None:
        split = self.split(which)
        if self.wanted[split] == -1:
            self.wanted[split] = 0
            self.want(split, urgent=True)

    def split(self, which: int) -> int:
        return sorted(self.wanted)[which % len(self.wanted)]

    @precondition(_any_split)
    @rule(which=WHICH)
    def a_split_is_done(self, which: int) -> None:
        split = self.split(which)
        del self.wanted[split]
        self.tell(Release(split))

    @precondition(_any_worker)
    @rule(which=WHICH, forgets=st.booleans())
    def a_worker_says_what_it_holds(self, which: int, forgets: bool) -> None:
        name = self.worker(which)
        held = self.told.setdefault(name, {})
        if forgets and held:
            held.popitem()
        self.tell(Heard(name, Heartbeat([list(each) for each in held.items()])))

    @precondition(_any_split)
    @rule(which=WHICH, row=st.integers(0, ROWS - 1))
    def an_element_comes_through(self, which: int, row: int) -> None:
        split = self.split(which)
        lease = self.coordinator.granted.get(split)
        if lease is not None:
            first = split * ROWS + row
            self.tell(Heard(lease.worker, Pieces(split, lease.attempt, first, first + 1, False)))

    @precondition(_any_worker)
    @rule(which=WHICH, row=st.integers(-1, ROWS - 1), only_silent=st.booleans())
    def a_worker_dies_at_an_element(self, which: int, row: int, only_silent: bool) -> None:
        name = self.worker(which)
        leases = sorted(self.coordinator.workers[name].leases)
        executing = Executing(leases[0], leases[0] * ROWS + row) if leases and row >= 0 else None
        if not only_silent:
            self.told.pop(name, None)
            self.tell(Died(name, executing))
        elif self.coordinator.workers[name].examined:
            self.tell(Silent(name, executing))

    @precondition(_any_worker)
    @rule(which=WHICH)
    def a_worker_leaves(self, which: int) -> None:
        name = self.worker(which)
        self.told.pop(name, None)
        self.tell(Heard(name, Bye()))

    @rule(seconds=st.sampled_from([0.3, 0.9, 1.1, 2.1, 7.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Tick(self.now))

    @rule()
    def the_epoch_is_over(self) -> None:
        for split in list(self.wanted):
            del self.wanted[split]
            self.tell(Release(split))
        self.tell(Over(1, None))
        assert not self.coordinator.strikes.causes

    # What holds after each of these.

    @invariant()
    def leases_are_those_that_were_told(self) -> None:
        self.coordinator.check()
        granted = {split: lease.attempt for split, lease in self.coordinator.granted.items()}
        assert granted == {split: attempt for split, attempt in self.wanted.items() if attempt > 0}

    @invariant()
    def strikes_are_what_was_recorded(self) -> None:
        assert self.replayed == self.coordinator.strikes
        assert all(len(causes) <= MOST for causes in self.coordinator.strikes.causes.values())

    @invariant()
    def nothing_waits_while_somebody_has_room(self) -> None:
        """But for elements that are tried alone, and what is not yet needed while workers are full."""
        waiting = [split for split, attempt in self.wanted.items() if attempt == 0]
        free = self.free()
        if free and not self.coordinator.strikes.causes:
            assert not waiting

    def free(self) -> Sequence[str]:
        alive = [each for each in self.coordinator.workers.values() if not each.killed]
        return [
            each.name
            for each in alive
            if len(each.leases) < self.coordinator.slots and self.now - each.heard < self.coordinator.lease_s
        ]


TestCoordinatorByHand = CoordinatorByHand.TestCase
TestCoordinatorByHand.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
