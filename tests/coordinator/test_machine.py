"""The coordinator: leases, fences, and what is poison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from headrace.coordinator.machine import (
    Action,
    Coordinator,
    Died,
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
from headrace.coordinator.strikes import Cleared, Element, Forgiven, Strikes
from headrace.pipeline.messages import Bye, Heartbeat, Lease, Pieces, Revoke
from headrace.pipeline.orders import Granted, Release, Want, Withdrawn
from headrace.pipeline.work import Work

SEVEN = Want(7, job=1, epoch=0, work=Work((1,), 5, 0, 10), depth=0, limit=100, urgent=False)
URGENT = replace(SEVEN, urgent=True)
#: The rows behind those.
EIGHT = replace(SEVEN, split=8, work=Work((1,), 5, 10, 20))


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    made = Coordinator(incarnation=1, lease_s=10.0, slots=2)
    yield made
    made.check()


def leased(actions: Sequence[Action]) -> list[tuple[str, int]]:
    """Who was sent which split."""
    sent = [each for each in actions if isinstance(each, Send)]
    return [(each.worker, each.message.split) for each in sent if isinstance(each.message, Lease)]


def lease_of(actions: Sequence[Action]) -> Lease:
    """The only lease among these actions."""
    (found,) = [each.message for each in actions if isinstance(each, Send) and isinstance(each.message, Lease)]
    return found


def attempt_of(actions: Sequence[Action]) -> int:
    return lease_of(actions).attempt


def beat(worker: str, *leases: tuple[int, int]) -> Heard:
    return Heard(worker, Heartbeat([list(each) for each in leases]))


def dies_on(coordinator: Coordinator, worker: str, position: int, want: Want = URGENT) -> list[Action]:
    """A worker dies while it executes an element; the broker wants the split again."""
    found = coordinator.handle(Died(worker, Executing(want.split, position)))
    return found + coordinator.handle(want)


def test_a_split_that_is_wanted_goes_to_a_worker_that_joins(coordinator: Coordinator) -> None:
    assert coordinator.handle(SEVEN) == []
    granted, sent = coordinator.handle(Joined("a"))
    attempt = (1 << 32) + 1
    assert granted == Notify(Granted(7, attempt, "a"))
    assert sent == Send("a", Lease(7, attempt, 1, 0, SEVEN.work.to_data(), 100, 0))


def test_a_lost_workers_split_goes_to_the_next_idle_worker(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    first = attempt_of(coordinator.handle(SEVEN))
    coordinator.handle(Joined("b"))
    assert coordinator.handle(Died("a")) == [Notify(Withdrawn(7, first))]
    assert leased(coordinator.handle(SEVEN)) == [("b", 7)]


def test_splits_go_to_whom_holds_least(coordinator: Coordinator) -> None:
    for worker in "ab":
        coordinator.handle(Joined(worker))
    given = [leased(coordinator.handle(replace(SEVEN, split=split)))[0][0] for split in range(4)]
    assert given == ["a", "b", "a", "b"]


def test_a_worker_holds_no_more_leases_than_it_has_slots(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    given = [leased(coordinator.handle(replace(SEVEN, split=split))) for split in range(3)]
    assert given == [[("a", 0)], [("a", 1)], []]
    assert leased(coordinator.handle(Release(0))) == [("a", 2)]


def test_a_split_that_consumption_waits_for_is_leased_beyond_the_slots(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    for split in range(2):
        coordinator.handle(replace(SEVEN, split=split))
    assert leased(coordinator.handle(URGENT)) == [("a", 7)]


def test_what_waits_is_leased_urgent_first_then_downstream_then_in_order(coordinator: Coordinator) -> None:
    for split, depth, urgent in ((0, 0, False), (1, 0, False), (2, 5, False), (3, 0, True)):
        coordinator.handle(replace(SEVEN, split=split, depth=depth, urgent=urgent))
    assert leased(coordinator.handle(Joined("a"))) == [("a", 3), ("a", 2)]
    assert leased(coordinator.handle(Joined("b"))) == [("b", 0), ("b", 1)]


def test_attempts_grow_and_stand_above_those_of_earlier_incarnations(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    first = attempt_of(coordinator.handle(SEVEN))
    coordinator.handle(Joined("a"))
    second = attempt_of(coordinator.handle(SEVEN))
    later = Coordinator(incarnation=2)
    later.handle(Joined("a"))
    third = attempt_of(later.handle(SEVEN))
    assert first < second < third


def test_a_worker_that_says_hello_again_has_lost_its_leases(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    attempt = attempt_of(coordinator.handle(SEVEN))
    assert coordinator.handle(Joined("a")) == [Notify(Withdrawn(7, attempt))]


def test_a_worker_silent_for_a_lease_is_looked_at_and_loses_what_it_holds(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    attempt = attempt_of(coordinator.handle(SEVEN))
    assert [coordinator.handle(Tick(now)) for now in (4.0, 8.0)] == [[], []]
    assert coordinator.handle(Tick(10.0)) == [Examine("a")]
    assert coordinator.handle(Silent("a")) == [Notify(Withdrawn(7, attempt))]


def test_a_silent_worker_loses_its_leases_also_where_nobody_can_look(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    attempt = attempt_of(coordinator.handle(SEVEN))
    for now in (4.0, 8.0, 10.0):
        coordinator.handle(Tick(now))
    assert coordinator.handle(Tick(10.1)) == [Notify(Withdrawn(7, attempt))]


def test_whatever_a_worker_says_renews_its_leases(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    attempt = attempt_of(coordinator.handle(SEVEN))
    for now in (4.0, 8.0, 12.0, 16.0):
        coordinator.handle(beat("a", (7, attempt)))
        assert coordinator.handle(Tick(now)) == []


def test_the_leap_of_a_server_that_was_stopped_costs_no_worker_its_lease(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    coordinator.handle(SEVEN)
    assert coordinator.handle(Tick(1000.0)) == []


def test_a_worker_silent_for_two_leases_is_killed_once(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    found = [action for now in range(0, 40, 4) for action in coordinator.handle(Tick(float(now)))]
    assert found == [Kill("a", "silent for 20 s")]


def test_a_worker_that_speaks_after_it_was_to_end_is_ended_once_more(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    for now in (4.0, 8.0, 12.0, 16.0, 20.0):
        coordinator.handle(Tick(now))
    assert coordinator.handle(beat("a")) == [Kill("a", "it was to end, and has not")]


def test_a_worker_whose_host_is_gone_is_forgotten_and_may_come_back(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    for now in range(0, 31, 3):
        coordinator.handle(Tick(float(now)))
    assert "a" not in coordinator.workers
    assert coordinator.handle(URGENT) == []
    assert leased(coordinator.handle(Joined("a"))) == [("a", 7)]


def test_a_silent_worker_is_given_nothing(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    for now in (4.0, 8.0, 12.0):
        coordinator.handle(Tick(now))
    assert coordinator.handle(URGENT) == []
    assert leased(coordinator.handle(beat("a"))) == [("a", 7)]


def test_a_lease_that_never_arrived_is_sent_again_unchanged(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    first = lease_of(coordinator.handle(SEVEN))
    coordinator.handle(Tick(0.5))
    assert coordinator.handle(beat("a")) == []
    coordinator.handle(Tick(1.5))
    assert lease_of(coordinator.handle(beat("a"))) == first


def test_a_lease_that_its_worker_had_and_no_longer_names_is_withdrawn(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    attempt = attempt_of(coordinator.handle(SEVEN))
    coordinator.handle(beat("a", (7, attempt)))
    coordinator.handle(Tick(1.5))
    assert coordinator.handle(beat("a")) == [Notify(Withdrawn(7, attempt))]


def test_a_worker_that_names_a_lease_it_lost_is_told_so(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    attempt = attempt_of(coordinator.handle(SEVEN))
    coordinator.handle(Joined("a"))
    assert coordinator.handle(beat("a", (7, attempt))) == [Send("a", Revoke(7, attempt))]


def test_a_released_split_is_revoked_and_forgotten(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    attempt = attempt_of(coordinator.handle(SEVEN))
    assert coordinator.handle(Release(7)) == [Send("a", Revoke(7, attempt))]
    assert coordinator.handle(Joined("b")) == []


def test_a_worker_that_leaves_in_good_order_gives_its_leases_back(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    attempt = attempt_of(coordinator.handle(SEVEN))
    assert coordinator.handle(Heard("a", Bye())) == [Notify(Withdrawn(7, attempt))]
    assert coordinator.handle(SEVEN) == []


def test_a_stranger_is_not_heard(coordinator: Coordinator) -> None:
    assert coordinator.handle(beat("nobody", (7, 1))) == []
    assert coordinator.handle(Died("nobody", Executing(7, 3))) == []


# Poison.


def test_after_two_losses_on_an_element_the_third_try_is_alone_in_a_fresh_process(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    coordinator.handle(Joined("a"))
    coordinator.handle(Joined("b"))
    assert leased(dies_on(coordinator, "a", 3)) == [("b", 7)]
    coordinator.handle(Joined("c"))
    coordinator.handle(EIGHT)  # c is fresh no more
    found = dies_on(coordinator, "b", 3)
    assert leased(found) == []
    assert [each.worker for each in found if isinstance(each, Kill)] == ["c"]
    coordinator.handle(Died("c"))
    assert leased(coordinator.handle(Joined("d"))) == [("d", 7)]
    coordinator.handle(EIGHT)
    assert coordinator.handle(replace(EIGHT, split=9, urgent=True)) == [], "d is kept for the suspect alone"
    assert leased(coordinator.handle(Joined("e"))) == [("e", 9), ("e", 8)]


def test_a_try_alone_is_not_ended_for_another_suspect(coordinator: Coordinator) -> None:
    other = replace(EIGHT, urgent=True)
    coordinator.handle(URGENT)
    for worker in "ab":
        coordinator.handle(Joined(worker))
        dies_on(coordinator, worker, 3)
    assert leased(coordinator.handle(Joined("c"))) == [("c", 7)]
    coordinator.handle(other)
    coordinator.handle(Joined("d"))
    dies_on(coordinator, "d", 13, other)
    coordinator.handle(Joined("e"))
    found = dies_on(coordinator, "e", 13, other)
    assert [each for each in found if isinstance(each, Kill)] == [], "c is at the other suspect"
    assert leased(coordinator.handle(Joined("f"))) == [("f", 8)]


def test_a_fresh_process_goes_to_the_suspect_that_it_was_made_for(coordinator: Coordinator) -> None:
    downstream = replace(EIGHT, urgent=True, depth=3)
    coordinator.handle(URGENT)
    for worker in "ab":
        coordinator.handle(Joined(worker))
        dies_on(coordinator, worker, 3)
    coordinator.handle(Joined("c"))  # the suspect is alone there
    coordinator.handle(Died("c"))
    coordinator.handle(URGENT)
    coordinator.handle(downstream)
    assert leased(coordinator.handle(Joined("d"))) == [("d", 7)]
    assert leased(coordinator.handle(Joined("e"))) == [("e", 8)]


def test_the_only_worker_does_what_a_suspect_upstream_waits_for_when_no_other_comes(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    for worker in "ab":
        coordinator.handle(Joined(worker))
        dies_on(coordinator, worker, 3)
    attempt = attempt_of(coordinator.handle(Joined("c")))
    # The suspect is out of credit until these rows of what it gave are done.
    assert leased(coordinator.handle(replace(EIGHT, urgent=True, depth=1))) == []
    for now in (1.0, 2.0):
        coordinator.handle(beat("c", (7, attempt)))
        assert leased(coordinator.handle(Tick(now))) == [], "another worker may come"
    assert leased(coordinator.handle(Tick(2.5))) == [("c", 8)]
    assert leased(coordinator.handle(replace(EIGHT, split=9, urgent=True))) == [], "not downstream of it"


def test_a_suspect_that_nothing_waits_for_does_not_keep_its_worker_from_what_is_waited_for(
    coordinator: Coordinator,
) -> None:
    coordinator.handle(URGENT)
    for worker in "ab":
        coordinator.handle(Joined(worker))
        dies_on(coordinator, worker, 3)
    coordinator.handle(Joined("c"))
    coordinator.handle(replace(URGENT, urgent=False))
    assert leased(coordinator.handle(EIGHT)) == []
    assert leased(coordinator.handle(replace(EIGHT, urgent=True))) == [("c", 8)]


def test_the_third_loss_on_one_element_makes_it_poison(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    for worker in "abc":
        assert lease_of(coordinator.handle(Joined(worker))).work[6] == []
        dies_on(coordinator, worker, 3)
    (poison,) = lease_of(coordinator.handle(Joined("d"))).work[6]
    assert poison == [3, 3, "the process ended"]


def test_losses_on_different_elements_are_no_poison(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    for position, worker in enumerate("abcdef"):
        coordinator.handle(Joined(worker))
        dies_on(coordinator, worker, position)
    assert lease_of(coordinator.handle(Joined("g"))).work[6] == []


def test_deaths_that_hit_no_element_are_not_counted(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    for worker in "abcdef":
        coordinator.handle(Joined(worker))
        coordinator.handle(Died(worker))
        coordinator.handle(URGENT)
    assert lease_of(coordinator.handle(Joined("g"))).work[6] == []
    assert coordinator.strikes == Strikes()


@pytest.mark.parametrize("position", [-1, 10, 1 << 70])
def test_positions_that_the_split_does_not_have_are_not_counted(coordinator: Coordinator, position: int) -> None:
    coordinator.handle(Joined("a"))
    coordinator.handle(URGENT)
    coordinator.handle(Died("a", Executing(7, position)))
    assert coordinator.strikes == Strikes()


def test_a_death_on_an_element_whose_lease_had_moved_on_is_not_counted(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    coordinator.handle(URGENT)
    for now in (4.0, 8.0, 10.0, 10.1):
        coordinator.handle(Tick(now))  # a is stopped, and loses its lease
    coordinator.handle(Died("a", Executing(7, 3)))
    assert coordinator.strikes == Strikes()


def test_an_element_that_never_returns_is_counted_as_a_death_is(coordinator: Coordinator) -> None:
    coordinator.handle(Joined("a"))
    coordinator.handle(URGENT)
    for now in (4.0, 8.0, 10.0):
        coordinator.handle(Tick(now))
    coordinator.handle(Silent("a", Executing(7, 3)))
    coordinator.handle(Died("a", Executing(7, 3)))
    assert coordinator.strikes.causes == {Element(1, 0, (1,), 5, 3): ["it did not return within the lease of 10 s"]}


def test_an_element_that_comes_through_is_forgiven_before_it_can_be_delivered(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    coordinator.handle(Joined("a"))
    dies_on(coordinator, "a", 3)
    attempt = attempt_of(coordinator.handle(Joined("b")))
    assert coordinator.handle(Heard("b", Pieces(7, attempt, 0, 3, False))) == []
    assert coordinator.handle(Heard("b", Pieces(7, attempt - 1, 3, 4, False))) == []
    assert coordinator.handle(Heard("b", Pieces(7, attempt, 3, 4, False))) == [Record(Forgiven(1, 0, (1,), 5, 3))]
    assert coordinator.strikes == Strikes()


def test_poison_stays_poison_when_its_split_is_done_and_computed_again(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    for worker in "abc":
        coordinator.handle(Joined(worker))
        dies_on(coordinator, worker, 3)
    attempt = attempt_of(coordinator.handle(Joined("d")))
    assert coordinator.handle(Heard("d", Pieces(7, attempt, 3, 4, False))) == []
    coordinator.handle(Release(7))
    assert lease_of(coordinator.handle(replace(URGENT, split=12))).work[6] == [[3, 3, "the process ended"]]


def test_a_lease_sent_again_says_what_is_poison_although_its_order_was_renewed(coordinator: Coordinator) -> None:
    coordinator.handle(URGENT)
    for worker in "abc":
        coordinator.handle(Joined(worker))
        dies_on(coordinator, worker, 3)
    first = lease_of(coordinator.handle(Joined("d")))
    coordinator.handle(URGENT)
    coordinator.handle(Tick(1.5))
    assert lease_of(coordinator.handle(beat("d"))) == first


def test_strikes_are_cleared_when_their_epoch_or_job_is_over(coordinator: Coordinator) -> None:
    for split, (job, epoch) in enumerate([(1, 0), (1, 1), (2, 0)]):
        want = replace(URGENT, split=split, job=job, epoch=epoch)
        coordinator.handle(want)
        coordinator.handle(Joined("a"))
        dies_on(coordinator, "a", 3, want)
        coordinator.handle(Release(split))
    assert coordinator.handle(Over(1, 0)) == []
    assert coordinator.handle(Over(1, 1)) == [Record(Cleared(1, 1))]
    assert [each[:2] for each in coordinator.strikes.causes] == [(1, 1), (2, 0)]
    assert coordinator.handle(Over(1, None)) == [Record(Cleared(1, None))]
    assert [each[:2] for each in coordinator.strikes.causes] == [(2, 0)]


def test_who_waits_is_told_that_there_is_no_worker_or_none_that_speaks(coordinator: Coordinator) -> None:
    assert coordinator.why_waiting() == (
        "there is no worker: none has connected yet, or all have died. Start some with `headrace worker`"
    )
    coordinator.handle(Joined("a"))
    assert coordinator.why_waiting() is None
    for now in (4.0, 8.0, 12.0):
        coordinator.handle(Tick(now))
    assert coordinator.why_waiting() == "no worker has said anything for 12 s: a function may be stuck"


def test_who_waits_while_a_servers_own_workers_start_is_not_told_to_start_some(coordinator: Coordinator) -> None:
    coordinator.own = 2
    assert coordinator.why_waiting() == "the server's own workers (2) are starting"
