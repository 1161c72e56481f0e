"""Strikes: facts about elements, which outlive the server and the splits that the elements were in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.coordinator.machine import Action, Coordinator, Died, Executing, Joined, Notify, Record, Send
from headrace.coordinator.strikes import Cleared, Fact, Forgiven, Strikes, Struck
from headrace.pipeline.blocks import BlockBuilder
from headrace.pipeline.flat import GRAIN, INSIDE
from headrace.pipeline.messages import Lease
from headrace.pipeline.orders import Release, Want
from headrace.pipeline.structure import flatten
from headrace.pipeline.work import Payload, Work

URGENT = Want(7, job=1, epoch=0, work=Work((1,), 5, 0, 10), depth=0, limit=100, urgent=True)


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator(incarnation=1, lease_s=10.0)


def leases_of(actions: Sequence[Action]) -> list[tuple[str, Lease]]:
    """Who was sent which leases."""
    sent = [(each.worker, each.message) for each in actions if isinstance(each, Send)]
    return [(worker, message) for worker, message in sent if isinstance(message, Lease)]


def poison_of(actions: Sequence[Action]) -> list[tuple[int, int]]:
    """What the only lease among these says is poison: at which positions, and how many strikes."""
    ((_, lease),) = leases_of(actions)
    return [(position, strikes) for position, strikes, _ in lease.work[6]]


def facts_of(actions: Sequence[Action]) -> list[Fact]:
    return [each.fact for each in actions if isinstance(each, Record)]


def strikes_of(facts: Sequence[Fact]) -> Strikes:
    strikes = Strikes()
    for fact in facts:
        strikes.apply(fact)
    return strikes


def next_life(coordinator: Coordinator, facts: Sequence[Fact]) -> Coordinator:
    """A coordinator that knows what was journaled."""
    strikes = strikes_of(facts)
    assert strikes == coordinator.strikes
    return Coordinator(incarnation=coordinator.incarnation + 1, lease_s=10.0, strikes=strikes)


def dies_on(coordinator: Coordinator, worker: str, position: int, want: Want = URGENT) -> list[Fact]:
    """A worker dies while it executes an element; the broker wants the split again."""
    actions = coordinator.handle(Died(worker, Executing(want.split, position)))
    return facts_of([*actions, *coordinator.handle(want)])


facts = st.builds(
    lambda kind, job, epoch, offset: (
        Cleared(job, epoch or None)
        if kind == "clear"
        else Struck(job, epoch, (1, job), 1 << 63, offset, kind)
        if kind != "forgive"
        else Forgiven(job, epoch, (1, job), 1 << 63, offset)
    ),
    st.sampled_from(["killed", "stuck", "killed", "forgive", "clear"]),
    st.integers(1, 2),
    st.integers(0, 2),
    st.integers(0, 2),
)


@given(st.lists(facts, max_size=30))
def test_the_fewest_facts_say_the_same_as_all(facts: list[Fact]) -> None:
    strikes = strikes_of(facts)
    fewest = strikes.facts()
    assert strikes_of(fewest) == strikes
    assert list(strikes_of(fewest).causes) == list(strikes.causes)
    for left_out in range(len(fewest)):
        assert strikes_of(fewest[:left_out] + fewest[left_out + 1 :]) != strikes, "one of them says nothing"


def test_a_strike_is_recorded_before_anything_that_follows(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    coordinator.handle(Joined("a"))
    actions = coordinator.handle(Died("a", Executing(7, 3), "killed by SIGSEGV"))
    assert actions[0] == Record(Struck(1, 0, (1,), 5, 3, "killed by SIGSEGV"))
    assert isinstance(actions[1], Notify)


def test_a_server_restart_between_strikes_does_not_forget_them(coordinator: Coordinator) -> None:
    facts: list[Fact] = []
    for number, worker in enumerate("abc"):
        # Another life counts splits anew, and cuts the input at other places.
        want = replace(URGENT, split=number, work=Work((1,), 5, number, None))
        coordinator.handle(want)
        assert poison_of(coordinator.handle(Joined(worker))) == []
        facts += dies_on(coordinator, worker, 3, want)
        coordinator = next_life(coordinator, facts)
    coordinator.handle(replace(URGENT, work=Work((1,), 5, 3, 4)))
    assert poison_of(coordinator.handle(Joined("d"))) == [(3, 3)]


def test_a_server_restart_does_not_forget_that_a_suspect_is_tried_alone(coordinator: Coordinator) -> None:
    facts: list[Fact] = []
    coordinator.handle(URGENT)
    for worker in "ab":
        coordinator.handle(Joined(worker))
        facts += dies_on(coordinator, worker, 3)
    later = next_life(coordinator, facts)
    later.handle(URGENT)
    assert [worker for worker, _ in leases_of(later.handle(Joined("c")))] == ["c"]
    assert later.handle(replace(URGENT, split=8, work=Work((1,), 5, 10, 20))) == [], "c is kept for the suspect"


def handed(split: int, *identities: tuple[int, int]) -> Want:
    """A split of elements that are handed along: who they are comes with them."""
    builder = BlockBuilder()
    for _ in identities:
        builder.add(*flatten(np.int64(0)))
    payload = Payload(builder.build(), np.array(identities, np.uint64))
    return replace(URGENT, split=split, work=Work((2,), 0, 0, len(identities)), payload=payload)


def test_elements_handed_along_are_known_wherever_they_stand(coordinator: Coordinator) -> None:
    facts: list[Fact] = []
    orders = [handed(1, (9, 4), (1 << 63, 5)), handed(2, (1 << 63, 5), (9, 6)), handed(3, (8, 5), (9, 4), (1 << 63, 5))]
    for worker, want, place in zip("abc", orders, (1, 0, 2), strict=True):
        coordinator.handle(want)
        coordinator.handle(Joined(worker))
        facts += facts_of(coordinator.handle(Died(worker, Executing(want.split, place))))
        coordinator.handle(Release(want.split))
    assert [fact for fact in facts if isinstance(fact, Struck)][2].origin == 1 << 63
    later = next_life(coordinator, facts)
    later.handle(handed(0, (7, 5), (1 << 63, 5)))
    assert poison_of(later.handle(Joined("d"))) == [(1, 3)]
    assert poison_of(later.handle(handed(1, (7, 5), (9, 4)))) == []


def test_in_a_view_a_strike_is_known_by_the_row_and_not_by_its_position(coordinator: Coordinator) -> None:
    # Rows 1, 3, 5, ... of a leaf, shuffled: what matters is which row stands at position 4.
    view = ((1, 2, 10), (99, 10))
    work = Work((1,), 5, 0, 10, view=view)
    row = work.offset_at(4)
    assert row % 2 == 1
    coordinator.handle(replace(URGENT, work=work))
    coordinator.handle(Joined("a"))
    (struck,) = dies_on(coordinator, "a", 4, replace(URGENT, work=work))
    assert isinstance(struck, Struck)
    assert struck.offset == row
    assert [at for at, *_ in coordinator.strikes.within(replace(URGENT, work=work))] == [4]
    unviewed = replace(URGENT, work=replace(work, view=(), stop=20))
    assert [at for at, *_ in coordinator.strikes.within(unviewed)] == [row]
    assert [at for at, *_ in coordinator.strikes.within(replace(URGENT, work=replace(work, start=5)))] == []


@pytest.mark.parametrize(("work", "position"), [(Work((1,), 5, 2, 3), 1), (Work((2,), 0, GRAIN, 3 * GRAIN), GRAIN + 7)])
def test_what_is_on_the_way_to_the_few_that_are_wanted_may_be_poison(
    coordinator: Coordinator, work: Work, position: int
) -> None:
    """A generator is run from its start, and a dataset inside an element too, where buffers are filled again."""
    want = handed(7, (9, 4), (9, 5), (9, 6)) if not work.origin else URGENT
    want = replace(want, work=replace(work, only=(work.stop - 1,) if work.stop else ()))
    facts: list[Fact] = []
    for worker in "abc":
        coordinator.handle(want)
        coordinator.handle(Joined(worker))
        facts += dies_on(coordinator, worker, position | INSIDE, want)
    later = next_life(coordinator, facts)
    later.handle(want)
    assert poison_of(later.handle(Joined("d"))) == [(position | INSIDE, 3)]
    passed = replace(want, work=replace(want.work, start=2 * GRAIN))
    assert list(later.strikes.within(passed)) == [], "it is behind what is still to be computed"
