"""Several consumers of one job: rounds, ends that are even, late ones, lost ones, those who leave or come again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headrace.broker.book import Acknowledged, Checkpointed, Closed, Finished, Left
from headrace.broker.machine import Gone, Tick
from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.messages import Deliver, Ended, Next, Open, Opened, Refused, Registered, Waiting

from .crew import Crew, peer_of
from .house import LIMITS, dataset_of, shuffled


def in_turn(crew: Crew, rounds: int) -> None:
    """All take so many rounds, one by one."""
    for _ in range(rounds):
        for consumer in range(crew.consumers):
            crew.ask(consumer, crew.received(consumer) + 1)


def everything(crew: Crew) -> None:
    """All take all."""
    for consumer in range(crew.consumers):
        crew.ask(consumer, 1000)
    for consumer in range(crew.consumers):
        crew.ask(consumer, 1000)


def dealt(values: list[Any], consumers: int) -> list[list[Any]]:
    """As cards are dealt, whole rounds alone."""
    whole = len(values) // consumers * consumers
    return [values[consumer:whole:consumers] for consumer in range(consumers)]


@pytest.mark.parametrize("dataset", [dataset_of(12), shuffled()])
@pytest.mark.parametrize("parcel_bytes", [1, 1 << 20])
@pytest.mark.parametrize("consumers", [2, 3, 5])
def test_elements_are_dealt_out_in_turn(dataset: Dataset, parcel_bytes: int, consumers: int) -> None:
    crew = Crew(dataset, consumers, limits=replace(LIMITS, parcel_bytes=parcel_bytes))
    crew.open_all()
    everything(crew)
    expected = dealt([int(each) for each in dataset.iterate(0)], consumers)
    assert [crew.values(consumer) for consumer in range(consumers)] == expected
    assert [[number for number, _ in crew.had(consumer)] for consumer in range(consumers)] == [
        list(range(len(each))) for each in expected
    ]


def test_small_elements_of_one_consumer_travel_together() -> None:
    dataset = Dataset.range(600).shuffle(300, seed=1).with_options(Options(seed=5))
    crew = Crew(dataset, 2, limits=replace(LIMITS, parcel_bytes=1 << 20))
    crew.open_all()
    everything(crew)
    parcels = [each for each in crew.told(1) if isinstance(each, Deliver)]
    assert sum(each.count for each in parcels) == 300
    assert len(parcels) < 100
    assert max(each.count for each in parcels) > 10


def test_nothing_of_a_round_is_given_before_all_of_it_is_there() -> None:
    crew = Crew(dataset_of(12), 3)
    crew.house.working = False
    crew.open_all()
    crew.ask(0, 10)
    crew.house.work_once()  # the first four elements: one round and a third of the next
    assert crew.values(0) == [0]
    assert crew.house.broker.runs[crew.job, 0].rounds.made == 1


def test_a_last_round_that_is_not_full_is_dropped_and_counted() -> None:
    crew = Crew(dataset_of(11), 3)
    crew.open_all()
    everything(crew)
    assert [len(crew.values(consumer)) for consumer in range(3)] == [3, 3, 3]
    for consumer in range(3):
        (end,) = crew.ends(consumer)
        assert (end.total, end.ledger["dropped"], end.ledger["padded"], end.ledger["delivered"]) == (3, 2, 0, 9)


def test_a_last_round_that_is_not_full_is_padded_with_its_first_element_and_counted() -> None:
    crew = Crew(dataset_of(11), 4, even="pad")
    crew.open_all()
    everything(crew)
    assert [crew.values(consumer) for consumer in range(4)] == [[0, 16, 64], [1, 25, 81], [4, 36, 100], [9, 49, 64]]
    masks = [[each.mask for each in crew.told(consumer) if isinstance(each, Deliver)] for consumer in (2, 3)]
    assert masks == [[True, True, True], [True, True, False]]
    (end,) = crew.ends(3)
    assert (end.total, end.ledger["dropped"], end.ledger["padded"], end.ledger["delivered"]) == (3, 0, 1, 11)


@pytest.mark.parametrize("even", ["drop", "pad"])
def test_full_rounds_leave_nothing_to_drop_or_pad(even: str) -> None:
    crew = Crew(dataset_of(12), 3, even=even)
    crew.open_all()
    everything(crew)
    assert all(crew.ends(consumer)[0].total == 4 for consumer in range(3))
    assert all(each.mask for each in crew.told(2) if isinstance(each, Deliver))


@pytest.mark.parametrize(("even", "totals"), [("drop", 0), ("pad", 1)])
def test_fewer_elements_than_consumers(even: str, totals: int) -> None:
    crew = Crew(dataset_of(2), 5, even=even)
    crew.open_all()
    everything(crew)
    assert [crew.ends(consumer)[0].total for consumer in range(5)] == [totals] * 5
    assert [crew.values(consumer) for consumer in range(5)] == ([[0], [1], [0], [0], [0]] if totals else [[]] * 5)


def test_an_epoch_without_elements_ends_for_all() -> None:
    crew = Crew(dataset_of(0), 3, even="pad")
    crew.open_all()
    everything(crew)
    assert [crew.ends(consumer)[0].total for consumer in range(3)] == [0, 0, 0]


def test_an_element_that_failed_has_its_place() -> None:
    def fails(x: Any) -> Any:
        if x in (4, 9):
            raise ValueError("as planned")
        return x

    dataset = Dataset.range(10).map(fails).with_options(Options(seed=5))
    crew = Crew(dataset, 3, even="pad")
    crew.open_all()
    everything(crew)
    failed = [
        [each.first for each in crew.told(consumer) if isinstance(each, Deliver) and each.error]
        for consumer in range(3)
    ]
    # Element 4 is the second of consumer 1; 9 is alone in its round, which it fills up.
    assert failed == [[3], [1, 3], [3]]
    assert [crew.values(consumer) for consumer in range(3)] == [[0, 3, 6], [1, 7], [2, 5, 8]]


def test_checksums_of_what_each_had_are_its_own_and_agree_with_its_end() -> None:
    crew = Crew(dataset_of(12), 3)
    crew.open_all()
    everything(crew)
    last = [[each.checksum for each in crew.told(consumer) if isinstance(each, Deliver)][-1] for consumer in range(3)]
    assert last == [crew.ends(consumer)[0].checksum for consumer in range(3)]
    assert len(set(last)) == 3


# Who is late, and who is slow.


def test_others_wait_for_a_slow_consumer_once_the_budget_is_full_and_are_told_for_whom() -> None:
    crew = Crew(dataset_of(40), 3, limits=replace(LIMITS, budget_bytes=6000))
    crew.open_all()
    crew.house.tell(Tick(5.0))
    crew.ask(2, 1)
    crew.house.tell(Tick(45.0))
    for _ in range(20):
        crew.ask(0, crew.received(0) + 1)
        crew.ask(1, crew.received(1) + 1)
    assert 2 <= len(crew.values(0)) < 13
    assert crew.why(0) == "consumer 2 of 3 of job 'train' has not taken its batches for 40 s: epoch 0, round 0"
    crew.ask(2, 40)
    assert len(crew.values(2)) >= 2


def test_a_budget_of_nothing_still_lets_all_go_on_side_by_side() -> None:
    crew = Crew(dataset_of(12), 3, limits=replace(LIMITS, budget_bytes=0))
    crew.open_all()
    for taken in range(4):  # a loop is done with an element when it comes for the next
        for consumer in range(3):
            crew.ask(consumer, taken + 1, done=max(0, taken - 1))
    assert [len(crew.values(consumer)) for consumer in range(3)] == [4, 4, 4]


def test_one_consumer_alone_never_holds_more_than_the_budget_and_one_element() -> None:
    crew = Crew(dataset_of(200), 1, limits=replace(LIMITS, budget_bytes=6000))
    crew.open(0)
    crew.ask(0, 200, done=0)
    rounds = crew.house.broker.runs[crew.job, 0].rounds
    assert 6000 <= rounds.nbytes <= 6000 + 1000
    assert rounds.made < 20


def test_a_consumer_that_comes_late_finds_its_rounds() -> None:
    crew = Crew(dataset_of(12), 3)
    for consumer in (0, 1):
        crew.open(consumer)
    for consumer in (0, 1):
        crew.ask(consumer, 100)
    assert crew.values(0) == [0, 9, 36, 81]
    assert crew.open(2) == [Opened((9, 1, 1, 0, 2), 0)]
    crew.ask(2, 100)
    assert crew.values(2) == [4, 25, 64, 121]


def test_one_that_never_came_is_named_to_those_who_wait() -> None:
    crew = Crew(dataset_of(40), 2, limits=replace(LIMITS, budget_bytes=0))
    crew.open(0)
    crew.ask(0, 40)
    crew.ask(0, 40)
    assert crew.why(0) == "consumer 1 of 2 of job 'train' has not come yet: epoch 0, round 0"


# Lives of one consumer.


def test_a_newer_life_goes_on_after_the_last_acknowledged_and_the_older_one_is_told() -> None:
    crew = Crew(dataset_of(30), 3)
    crew.open_all()
    in_turn(crew, 3)
    crew.house.say(Next(crew.sessions[1], 2, 3, 3), peer_of(1))
    old = crew.sessions[1]
    assert crew.house.say(Open(1, 1, 10, -1, None, 1), "again")[-1] == Opened((10, 1, 1, 0, 1), 2)
    taken = "consumer 1 of job 'train' was taken over by a newer iterator"
    assert crew.refusals(1) == [taken]
    crew.house.say(Next(old, 3, 3, 9), peer_of(1))
    assert crew.refusals(1) == [taken, taken]
    crew.house.say(Next((10, 1, 1, 0, 1), 2, 2, 100), "again")
    assert crew.house.delivered("again") == [(r, (3 * r + 1) ** 2) for r in range(2, 10)]
    in_turn(crew, 0)
    assert crew.refusals(0) == crew.refusals(2) == []


def test_late_word_of_its_own_from_before_is_no_newer_iterator() -> None:
    crew = Crew(dataset_of(30), 2)
    crew.open_all()
    old = crew.sessions[1]
    crew.open(1, generation=10)
    crew.house.say(Next(old, 0, 0, 9), peer_of(1))
    assert crew.refusals(1) == []


def test_all_go_on_after_the_server_died_with_nothing_lost_and_nothing_twice() -> None:
    expected = dealt([int(each) for each in shuffled().iterate(0)], 3)
    crew = Crew(shuffled(), 3)
    crew.open_all()
    for _ in range(5):
        in_turn(crew, 1)
        crew.house.tell(Tick(crew.house.broker.now + 1.0))
    crew.ask(0, crew.received(0) + 2)
    crew.ask(0, crew.received(0))  # two rounds ahead of the others
    before = [crew.values(consumer) for consumer in range(3)]
    checkpoint = crew.house.broker.book.jobs[1].epochs[0].checkpoint
    assert checkpoint is not None
    assert 0 < checkpoint.cursor <= 15
    cursors = [place.acknowledged for place in crew.house.broker.book.jobs[1].places]
    again = Crew(shuffled(), 3, incarnation=2, book=crew.house.broker.book, generation=10)
    again.open_all()
    everything(again)
    for consumer, cursor in enumerate(cursors):
        values = dict(crew.had(consumer)[:cursor]) | dict(again.had(consumer))
        assert again.had(consumer)[0][0] == min(number for number, _ in again.had(consumer))
        assert [values[number] for number in range(len(values))] == expected[consumer]
        assert len(before[consumer]) >= cursor
    assert len({again.ends(consumer)[0].checksum for consumer in range(3)}) == 3


@pytest.mark.parametrize("taken", range(1, 8))
def test_checksums_after_a_restart_are_those_of_a_run_without(taken: int) -> None:
    whole = Crew(shuffled(), 3)
    whole.open_all()
    everything(whole)
    crew = Crew(shuffled(), 3, limits=replace(LIMITS, rows_each=5))
    crew.open_all()
    for _ in range(taken):
        in_turn(crew, 1)
        crew.house.tell(Tick(crew.house.broker.now + 1.0))
    again = Crew(shuffled(), 3, incarnation=2, book=crew.house.broker.book, generation=10)
    again.open_all()
    everything(again)
    for consumer in range(3):
        assert again.ends(consumer)[0].checksum == whole.ends(consumer)[0].checksum


def test_what_counts_for_a_checkpoint_is_what_all_are_done_with() -> None:
    crew = Crew(shuffled(), 2)
    crew.open_all()
    for _ in range(6):
        crew.ask(0, crew.received(0) + 1)
        crew.house.tell(Tick(crew.house.broker.now + 1.0))
    assert not [fact for fact in crew.house.facts if isinstance(fact, Checkpointed)]
    crew.ask(1, 6)
    crew.ask(1, 6)
    cursors = [fact.cursor for fact in crew.house.facts if isinstance(fact, Checkpointed)]
    assert cursors
    assert max(cursors) <= 2 * 6


# Who leaves.


def test_a_consumer_that_leaves_keeps_nobody_waiting_and_the_job_ends_with_the_last() -> None:
    crew = Crew(dataset_of(60), 3, limits=replace(LIMITS, budget_bytes=0))
    crew.open_all()
    in_turn(crew, 2)
    crew.leave(2)
    assert Left(1, 2) in crew.house.facts
    for _ in range(25):
        for consumer in (0, 1):
            crew.ask(consumer, crew.received(consumer) + 1)
    assert [len(crew.values(consumer)) for consumer in range(3)] == [20, 20, 2]
    crew.leave(0)
    assert 1 in crew.house.broker.book.jobs
    crew.leave(1)
    assert crew.house.facts[-2:] == [Finished("job:train"), Closed(1)]
    assert (crew.house.broker.runs, crew.house.broker.conversations, crew.house.wants) == ({}, {}, {})


def test_a_consumer_that_left_may_come_again_and_goes_on_where_the_others_are() -> None:
    crew = Crew(dataset_of(60), 2)
    crew.open_all()
    in_turn(crew, 2)
    crew.leave(1)
    late = Open(1, 1, 9, -1, None, 1)
    assert crew.house.say(late, peer_of(1)) == [], "late word of before it left"
    for _ in range(6):
        crew.ask(0, crew.received(0) + 1)
    (opened,) = crew.open(1, generation=10)
    assert isinstance(opened, Opened)
    assert opened.cursor == len(crew.values(0)) == 8
    crew.ask(1, 100)
    assert crew.values(1)[2:] == [(2 * number + 1) ** 2 for number in range(8, 30)]


def test_a_job_that_all_are_gone_from_is_parked_and_goes_on_when_they_return() -> None:
    crew = Crew(shuffled(), 2)
    crew.house.broker.idle_s = 1.0
    crew.open_all()
    in_turn(crew, 3)
    for now in range(1, 6):
        crew.house.tell(Gone(peer_of(0)))
        crew.house.tell(Tick(float(now)))
    assert crew.house.broker.runs, "one of them is there"
    for now in range(6, 12):
        crew.house.tell(Gone(peer_of(1)))
        crew.house.tell(Tick(float(now)))
    assert (crew.house.broker.runs, crew.house.wants) == ({}, {})
    crew.house.replies.clear()
    for consumer in range(2):
        cursor = crew.house.broker.book.jobs[1].places[consumer].acknowledged
        assert crew.open(consumer) == [Opened((9, 1, 1, 0, consumer), cursor)]
    everything(crew)
    expected = dealt([int(each) for each in shuffled().iterate(0)], 2)
    assert [crew.values(consumer) for consumer in range(2)] == [expected[0][2:], expected[1][2:]]


# Jobs by name.


def test_registrations_of_one_name_meet_in_one_job() -> None:
    crew = Crew(dataset_of(), 2)
    assert crew.house.say(crew.register, "other") == [Registered("job:train", 1)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"consumers": 4}, "it has 2 consumers, not 4"),
        ({"even": "pad"}, "its even is 'drop', not 'pad'"),
        ({"seed": 6}, "its seed is 5, not 6"),
    ],
)
def test_a_registration_that_means_something_else_is_refused_by_what_differs(change: Any, said: str) -> None:
    crew = Crew(dataset_of(), 2)
    (refused,) = crew.house.say(replace(crew.register, **change), "other")
    assert isinstance(refused, Refused)
    assert refused.error["kind"] == "FailedPreconditionError"
    assert refused.error["args"][0].startswith(f"job 'train' is there already, and {said}")


@pytest.mark.parametrize("change", [{"consumers": 0}, {"consumers": 5000}, {"even": "odd"}])
def test_consumers_that_cannot_be_are_refused(change: Any) -> None:
    crew = Crew(dataset_of(), 2)
    (refused,) = crew.house.say(replace(crew.register, key="job:new", **change))
    assert isinstance(refused, Refused)
    assert refused.error["kind"] == "InvalidArgumentError"


@pytest.mark.parametrize("consumer", [-1, 2])
def test_a_consumer_that_the_job_has_not_is_refused(consumer: int) -> None:
    crew = Crew(dataset_of(), 2)
    (refused,) = crew.open(consumer)
    assert isinstance(refused, Refused)
    assert refused.error["args"] == [f"job 'train' has no consumer {consumer}: it has 2"]


def test_a_name_that_has_finished_is_refused_or_run_again_where_that_is_said() -> None:
    crew = Crew(dataset_of(), 1)
    crew.open(0)
    everything(crew)
    crew.leave(0)
    (refused,) = crew.house.say(crew.register)
    assert isinstance(refused, Refused)
    assert refused.error["args"] == [
        "job 'train' has finished: choose another name, or iterate(..., again=True) for a new run"
    ]
    assert crew.house.say(replace(crew.register, again=True)) == [Registered("job:train", 2)]
    assert crew.house.say(crew.register) == [Registered("job:train", 2)], "it runs"


# Epochs.


def test_who_registers_is_told_of_its_own_last_life_and_not_of_another_consumers() -> None:
    crew = Crew(shuffled(), 3)
    crew.open(1, generation=30)
    crew.open(2, generation=20)
    told = [crew.house.say(replace(crew.register, consumer=consumer)) for consumer in (0, 1, 2, 7)]
    assert told == [[Registered("job:train", 1, generation)] for generation in (-1, 30, 20, -1)]


def test_the_next_epoch_is_computed_ahead_once_all_of_one_was_made_and_not_delivered_before_it_is_opened() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open_all()
    crew.ask(0, 5)
    assert crew.house.broker.runs.keys() == {(1, 0)}
    crew.ask(0, 100)
    assert crew.house.broker.runs.keys() == {(1, 0), (1, 1)}
    ahead = crew.house.broker.runs[1, 1]
    assert ahead.effort.computed == 12
    assert ahead.rounds.produced == 0
    crew.ask(1, 100)
    computed = len(crew.house.computed)
    for consumer in range(2):
        assert crew.open(consumer, epoch=1) == [Opened((9, 1, 1, 1, consumer), 0)]
    everything(crew)
    # What epoch 2 takes is computed ahead by now, and nothing of epoch 1 twice.
    assert crew.house.broker.runs[1, 1] is ahead
    assert ahead.effort.computed == 12
    assert len(crew.house.computed) > computed
    assert [crew.values(consumer)[6:] for consumer in range(2)] == dealt([i * i for i in range(12)], 2)


def test_what_is_computed_ahead_is_never_urgent_before_it_is_opened() -> None:
    crew = Crew(dataset_of(12), 1)
    crew.open(0)
    crew.ask(0, 11)
    crew.house.working = False
    crew.ask(0, 100)
    assert {want.epoch: want.urgent for want in crew.house.wants.values()} == {1: False}
    crew.open(0, epoch=1)
    assert any(want.urgent for want in crew.house.wants.values() if want.epoch == 1)


def test_nothing_is_computed_ahead_for_who_has_closed_or_is_gone_or_where_the_server_ends() -> None:
    crew = Crew(dataset_of(12), 1)
    crew.house.broker.prefill = False
    crew.open(0)
    crew.ask(0, 100)
    assert crew.house.broker.runs.keys() == {(1, 0)}
    crew.house.broker.prefill = True
    crew.house.tell(Tick(1.0))
    assert crew.house.broker.runs.keys() == {(1, 0), (1, 1)}
    crew.leave(0)
    assert (crew.house.broker.runs, crew.house.wants) == ({}, {})


def test_a_consumer_may_be_one_epoch_ahead_of_the_slowest_and_not_two() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open_all()
    crew.ask(0, 100)
    crew.ask(1, 2)
    assert crew.open(0, epoch=1) == [Opened((9, 1, 1, 1, 0), 0)]
    crew.ask(0, 100)
    assert crew.values(0) == [0, 4, 16, 36, 64, 100] * 2
    crew.house.tell(Tick(30.0))
    (waiting,) = crew.open(0, epoch=2)
    assert waiting == Waiting(
        (9, 1, 1, 2, 0),
        "consumer 1 of 2 of job 'train' has not taken its batches for 30 s: it is still in epoch 0, round 0, and "
        "the others may be one epoch ahead of it",
    )
    crew.ask(1, 100)
    assert crew.values(1) == [1, 9, 25, 49, 81, 121]
    crew.open(1, epoch=1)
    assert crew.open(0, epoch=2) == [Opened((9, 1, 1, 2, 0), 0)]
    assert crew.house.broker.runs.keys() == {(1, 1), (1, 2)}


def test_consumers_that_all_leave_out_epochs_do_not_wait_for_one_another() -> None:
    crew = Crew(dataset_of(60), 2, limits=replace(LIMITS, budget_bytes=0))
    crew.open_all()
    in_turn(crew, 2)
    (waiting,) = crew.open(0, epoch=4)
    assert isinstance(waiting, Waiting)
    for _ in range(10):  # nothing is kept for who wants to be elsewhere
        crew.ask(1, crew.received(1) + 1)
    assert len(crew.values(1)) == 12
    assert crew.open(1, epoch=4) == [Opened((9, 1, 1, 4, 1), 0)]
    assert crew.open(0, epoch=4) == [Opened((9, 1, 1, 4, 0), 0)]
    in_turn(crew, 30)
    assert crew.values(0)[2:] == [number * number for number in range(0, 60, 2)]


def test_who_opens_the_next_epoch_has_left_this_one() -> None:
    crew = Crew(dataset_of(60), 2, limits=replace(LIMITS, budget_bytes=0))
    crew.open_all()
    in_turn(crew, 2)
    crew.open(0, epoch=1)
    for _ in range(40):
        crew.ask(1, crew.received(1) + 1)
    assert len(crew.values(1)) == 30
    assert len(crew.ends(1)) == 1


def test_epochs_survive_the_server_side_by_side() -> None:
    crew = Crew(shuffled(), 2)
    crew.open_all()
    crew.ask(0, 100)
    crew.ask(0, 100)
    crew.ask(1, 7)
    crew.ask(1, 7)
    crew.open(0, epoch=1)
    crew.ask(0, 5)
    crew.ask(0, 5)
    again = Crew(shuffled(), 2, incarnation=2, book=crew.house.broker.book, generation=10)
    again.open_all()
    assert (again.sessions[0][3], again.sessions[1][3]) == (1, 0)
    everything(again)
    first, second = ([int(each) for each in shuffled().iterate(epoch)] for epoch in range(2))
    assert again.values(1) == dealt(first, 2)[1][7:]
    assert again.values(0) == dealt(second, 2)[0][5:]
    assert again.open(1, epoch=1) == [Opened((10, 2, 1, 1, 1), 0)]
    again.house.replies.clear()
    everything(again)
    assert again.values(1) == dealt(second, 2)[1]


def test_who_comes_again_is_told_in_which_epoch_it_was() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open_all(epoch=-4)
    assert [crew.sessions[consumer][3] for consumer in range(2)] == [3, 3]
    (opened,) = crew.open(1, epoch=-1, generation=10)
    assert isinstance(opened, Opened)
    assert opened.session[3] == 3


def test_several_consumers_go_forward_together() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open_all(epoch=-4)
    (refused,) = crew.open(1, epoch=1, generation=10)
    assert isinstance(refused, Refused)
    assert "is in epoch 3, and its 2 consumers go forward together: epoch 1 is over" in refused.error["args"][0]


def test_after_a_power_cut_took_the_job_the_one_behind_goes_on_where_it_was() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open(0, epoch=1, cursor=0)
    crew.ask(0, 1)
    assert crew.open(1, epoch=0, cursor=2) == [Opened((9, 1, 1, 0, 1), 2)]
    assert [crew.house.broker.book.jobs[1].places[consumer].epoch for consumer in range(2)] == [1, 0]
    everything(crew)
    assert crew.values(1) == [25, 49, 81, 121]
    assert isinstance(crew.open(1, epoch=1)[0], Opened)
    everything(crew)
    assert crew.values(0) == [0, 4, 16, 36, 64, 100]
    assert crew.values(1)[4:] == [1, 9, 25, 49, 81, 121]


def test_one_about_to_begin_an_epoch_when_a_power_cut_took_the_job_begins_it() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open(0, epoch=2, cursor=0)
    assert crew.open(1, epoch=1) == [Opened((9, 1, 1, 1, 1), 0)]


def test_one_that_never_came_cannot_begin_long_before_the_others() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open(0, epoch=2)
    (refused,) = crew.open(1, epoch=0)
    assert isinstance(refused, Refused)


def test_no_third_epoch_is_begun_ahead_between_two_that_are_apart() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open(0, epoch=2, cursor=0)
    crew.open(1, epoch=0, cursor=3)
    everything(crew)
    assert sorted(crew.house.broker.runs) == [(1, 0), (1, 2)]
    assert crew.values(1) == [49, 81, 121]


def test_one_consumer_alone_may_go_back() -> None:
    crew = Crew(dataset_of(12), 1)
    crew.open(0, epoch=3)
    crew.ask(0, 5)
    assert crew.open(0, epoch=1, generation=10) == [Opened((10, 1, 1, 1, 0), 0)]
    crew.house.replies.clear()
    everything(crew)
    assert crew.values(0) == [number * number for number in range(12)]
    assert isinstance(crew.told(0)[-1], Ended)


def test_all_that_consumers_do_is_recorded_by_consumer() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open_all()
    in_turn(crew, 2)
    found = [fact for fact in crew.house.facts if isinstance(fact, Acknowledged)]
    assert found == [Acknowledged(1, 0, 1, 0), Acknowledged(1, 0, 1, 1)]
    replayed = type(crew.house.broker.book)()
    for fact in crew.house.facts:
        replayed.apply(fact)
    assert replayed == crew.house.broker.book


LEAST = Limits(budget_bytes=0, window_bytes=1, look_ahead=1, rows_each=1, splits_least=1, parcel_bytes=1)


@pytest.mark.parametrize("even", ["drop", "pad"])
def test_with_limits_as_small_as_can_be_all_comes(even: str) -> None:
    crew = Crew(shuffled(), 3, even, limits=LEAST)
    crew.open_all()
    for taken in range(16):
        for consumer in range(3):
            crew.ask(consumer, taken + 1, done=max(0, min(taken, crew.received(consumer)) - 1))
    values = [int(each) for each in shuffled().iterate(0)]
    expected = dealt(values, 3)
    if even == "pad":  # 40 elements are 13 rounds and one
        expected = [[*each, values[39]] for each in expected]
    assert [crew.values(consumer) for consumer in range(3)] == expected
