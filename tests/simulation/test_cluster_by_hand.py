"""The cluster in the hands of hypothesis: each message comes, is lost or comes twice as it likes, and anybody dies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headrace.broker.run import Limits, Run
from headrace.facts import Memory, to_bytes
from headrace.pipeline.dataset import Dataset

from .cluster import Cluster
from .weather import Network

#: Where in what is under way, from its beginning or its end.
PLACES = st.integers(-3, 8)
PIPELINES = ("flat", "filtered images", "hop after shuffle", "poison behind a shuffle", "lines", "zip", "interleave")
BUDGET = 400
LIMITS = Limits(
    budget_bytes=BUDGET,
    window_bytes=100,
    look_ahead=3,
    rows_each=9,
    splits_least=2,
    parcel_bytes=50,
    checkpoint_elements=2,
    least_s=0,
)


@dataclass(slots=True)
class Mail(Network):
    """A network that does nothing by itself."""

    under_way: list[Callable[[], None]] = field(default_factory=list)
    by_itself: bool = False

    def send(self, deliver: Callable[[], None]) -> None:
        """It lies there, until somebody takes it along."""
        if self.by_itself:
            self.timeline.at(0.001, deliver)
        else:
            self.under_way.append(deliver)

    def take(self, place: int) -> Callable[[], None]:
        """One message, which no longer lies there."""
        return self.under_way.pop(place % len(self.under_way))

    def carry(self) -> None:
        """From now on everything comes, and in order."""
        self.by_itself = True
        for deliver in self.under_way:
            self.send(deliver)
        self.under_way.clear()


class ByHand(RuleBasedStateMachine):
    """What can happen to a cluster; what holds after each of it; and that it comes to its end after all of it."""

    pipelines: ClassVar[Mapping[str, Dataset]]

    @initialize(
        name=st.sampled_from(PIPELINES),
        seed=st.integers(0, 1 << 32),
        piece=st.integers(1, 4),
        consumers=st.integers(1, 3),
        even=st.sampled_from(["drop", "pad"]),
    )
    def begin(self, name: str, seed: int, piece: int, consumers: int, even: str) -> None:
        """A cluster in calm weather, whose network waits for us."""
        self.cluster = Cluster(
            seed,
            self.pipelines[name],
            limits=LIMITS,
            piece=piece,
            consumers=consumers,
            even=even,
            network=self._mail,
            calm_after_s=1e9,
        )

    def _mail(self, *parts: object) -> Mail:
        self.mail = Mail(*parts)  # type: ignore[arg-type]
        return self.mail

    def _under_way(self) -> bool:
        return bool(self.mail.under_way)

    @precondition(_under_way)
    @rule(place=PLACES)
    def a_message_comes(self, place: int) -> None:
        self.mail.take(place)()

    @precondition(_under_way)
    @rule(place=PLACES)
    def a_message_is_lost(self, place: int) -> None:
        self.mail.take(place)

    @precondition(_under_way)
    @rule(place=PLACES)
    def a_message_comes_and_will_come_again(self, place: int) -> None:
        message = self.mail.take(place)
        self.mail.under_way.append(message)
        message()

    @precondition(_under_way)
    @rule(most=st.integers(2, 40))
    def the_first_messages_come(self, most: int) -> None:
        for _ in range(min(most, len(self.mail.under_way))):
            self.mail.take(0)()

    @rule(seconds=st.sampled_from([0.02, 0.1, 0.6, 2.5, 7.0]))
    def time_passes(self, seconds: float) -> None:
        """Workers compute, the trainer takes what it has, and all of them see how late it is."""
        self.cluster.timeline.wait(seconds)

    @rule(turns=st.integers(1, 10))
    def all_goes_well_for_a_while(self, turns: int) -> None:
        """Everything said comes, and everybody has a turn."""
        for _ in range(turns):
            for _ in range(len(self.mail.under_way)):
                self.mail.take(0)()
            self.cluster.timeline.wait(0.05)

    @precondition(lambda self: self.cluster.host.server is not None)
    @rule(torn=st.integers(0, 6))
    def the_server_dies(self, torn: int) -> None:
        self.cluster.host.crash()
        self.cluster.host.disk.tear(torn)

    @precondition(lambda self: self.cluster.host.server is not None)
    @rule()
    def the_journal_is_made_small(self) -> None:
        self.cluster.host.compact()

    @precondition(lambda self: self.cluster.crew.workers)
    @rule(which=st.integers(0, 3), stopped=st.booleans())
    def a_worker_dies_or_is_stopped(self, which: int, stopped: bool) -> None:
        name = sorted(self.cluster.crew.workers)[which % len(self.cluster.crew.workers)]
        if stopped:
            self.cluster.crew.stop(name, 3.0)
        else:
            self.cluster.crew.crash(name)

    @rule(wanted=st.integers(0, 3))
    def another_number_of_workers_is_wanted(self, wanted: int) -> None:
        self.cluster.crew.scale(wanted)

    @rule(consumer=st.integers(0, 2))
    def a_trainer_dies(self, consumer: int) -> None:
        self.cluster.crash_client(consumer % len(self.cluster.trainers))

    @rule(consumer=st.integers(0, 2), seconds=st.sampled_from([0.5, 4.0, 9.0]))
    def a_trainer_is_cut_off(self, consumer: int, seconds: float) -> None:
        self.cluster.trainers[consumer % len(self.cluster.trainers)].cut_until = self.cluster.now + seconds

    @invariant()
    def what_the_server_knows_is_on_its_disk(self) -> None:
        """What it has not said yet may still be on the way there."""
        host = self.cluster.host
        if host.server is not None:
            host.disk.commit()
            assert facts(host.disk.read()) == facts(host.server.memory)

    @invariant()
    def memory_is_bounded(self) -> None:
        server = self.cluster.host.server
        for run in server.broker.runs.values() if server is not None else ():
            assert held_bytes(run) <= BUDGET + margin(run)

    def teardown(self) -> None:
        """All that was lost is asked for again, and the trainer has its two epochs."""
        if hasattr(self, "cluster"):
            self.mail.carry()
            self.cluster.crew.scale(2)
            self.cluster.run(limit_s=self.cluster.now + 120.0).settle()


def facts(memory: Memory) -> list[bytes]:
    """What it says, to be compared."""
    return list(map(to_bytes, memory.facts()))


def held_bytes(run: Run) -> int:
    """What came for a run and was not consumed, and what may still come without another word."""
    return run.waiting_bytes + sum(lane.outstanding for stream in run.streams for lane in stream.open_lanes())


def margin(run: Run) -> int:
    """Every lane may overshoot by the block at which its credit ends; these blocks are small."""
    return 600 * sum(len(stream.by_split) for stream in run.streams)


def play(pipelines: Mapping[str, Dataset], examples: int, steps: int) -> None:
    """So many runs of at most so many steps."""
    ByHand.pipelines = pipelines
    health = list(HealthCheck)
    run_state_machine_as_test(
        ByHand,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=health
        ),
    )


def test_whatever_comes_in_whatever_order_ends_well(pipelines: dict[str, Dataset]) -> None:
    play(pipelines, examples=20, steps=30)


@pytest.mark.slow
def test_whatever_comes_in_whatever_order_ends_well_at_length(pipelines: dict[str, Dataset]) -> None:
    play(pipelines, examples=3000, steps=80)
