"""The broker: sessions, delivery, credit and checkpoints, with workers played by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.broker.book import Acknowledged, Book, Checkpointed, Closed, EpochOpened, JobMade
from headrace.broker.machine import FromClient, FromWorker, Record, Reply, Tell, Tick
from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.messages import (
    Close,
    Deliver,
    Ended,
    Message,
    Next,
    Open,
    Opened,
    Pieces,
    Refused,
    Register,
    Registered,
    Stale,
    Waiting,
)
from headrace.pipeline.orders import Granted, Withdrawn

from .house import REGISTER, SESSION, House, consume, dataset_of, shuffled, squares


@pytest.fixture
def house() -> House:
    """Over twelve squares."""
    return House(dataset_of())


def test_registering_twice_makes_one_job(house: House) -> None:
    assert house.say(REGISTER) == [Registered("key", 1)]
    assert house.say(REGISTER) == [Registered("key", 1)]
    assert house.say(Register("other", b"graph", 5)) == [Registered("other", 2)]
    assert house.facts == [JobMade(1, "key", b"graph", 5), JobMade(2, "other", b"graph", 5)]


def test_a_graph_that_cannot_be_read_is_refused_by_name(house: House) -> None:
    def refuse(data: bytes) -> Any:
        raise InvalidArgumentError("an operator from the future")

    house.broker.decode = refuse
    (refused,) = house.say(REGISTER)
    assert isinstance(refused, Refused)
    assert (refused.about, refused.error["args"]) == ("key", ["an operator from the future"])
    assert house.facts == []


def test_a_window_is_delivered_in_order_and_not_more(house: House) -> None:
    assert house.open() == [Opened(SESSION, 0)]
    house.say(Next(SESSION, 0, 0, until=5))
    assert house.delivered() == squares(0, 5)
    house.say(Next(SESSION, 4, 5, until=9))
    assert house.delivered() == squares(0, 9)


def test_the_end_is_told_once_all_is_delivered_with_its_count_and_checksum(house: House) -> None:
    house.open()
    house.say(Next(SESSION, 0, 0, until=100))
    last = house.replies[-1].message
    deliveries = [each.message for each in house.replies if isinstance(each.message, Deliver)]
    assert isinstance(last, Ended)
    assert (last.total, last.checksum) == (12, deliveries[-1].checksum)
    assert (last.ledger["computed"], last.ledger["duplicates"]) == (12, 0)


def test_what_is_not_acknowledged_is_sent_again_identically(house: House) -> None:
    house.open()
    house.say(Next(SESSION, 0, 0, until=6))
    before = [each for each in house.replies if isinstance(each.message, Deliver)]
    house.replies.clear()
    house.say(Next(SESSION, 1, received=2, until=6, again=True))
    assert house.delivered() == squares(2, 6)
    for again, old in zip(house.replies, before[2:], strict=True):
        assert again.message == old.message
        assert again.block is old.block


def test_what_is_large_is_given_the_time_that_it_takes_before_it_is_sent_again() -> None:
    house = House(Dataset.range(3).map(lambda x: np.full(10_000_000, x, np.uint8)))
    house.open()
    house.say(Next(SESSION, 0, 0, until=2))
    sent, found = house.broker.now, []
    house.replies.clear()
    for waited in (0.5, 0.7, 0.9):
        house.tell(Tick(sent + waited))
        house.say(Next(SESSION, 0, 0, until=2, again=True))
        found.append(sum(isinstance(each.message, Deliver) for each in house.replies))
    assert found == [0, 0, 2], "20 MB may take 0.8 s"


def test_the_end_is_told_again_to_whom_it_was_lost(house: House) -> None:
    house.open()
    house.say(Next(SESSION, 0, 0, until=100))
    end = house.replies[-1].message
    assert house.say(Next(SESSION, 11, 12, until=100)) == []
    assert house.say(Next(SESSION, 11, 12, until=100, again=True)) == [end]


def test_who_asks_again_while_nothing_comes_is_told_why(house: House) -> None:
    house.working = False
    house.open()
    (told,) = house.say(Next(SESSION, 0, 0, until=4, again=True))
    assert told == Waiting(SESSION, "the next elements, from 0, are being computed: no worker has it")


def test_the_second_life_of_a_client_fences_the_first(house: House) -> None:
    house.open()
    house.say(Next(SESSION, 0, 0, until=4))
    house.say(Next(SESSION, 3, 4, until=6))
    house.replies.clear()
    second = (10, 1, 1, 0, 0)
    assert house.open((10, 1, 1, -1, 0)) == [Opened(second, 3)]
    for late in (Next(SESSION, 6, 6, until=100), Open(1, 1, 9, 0, 6)):
        (refused,) = house.say(late, peer="old")
        assert isinstance(refused, Refused)
        assert refused.error["args"] == ["consumer 0 of job 1 was taken over by a newer iterator"]
    house.say(Next(second, 3, 3, until=6, again=True))
    assert house.delivered() == squares(3, 6)


def test_opening_twice_changes_nothing(house: House) -> None:
    house.open()
    house.say(Next(SESSION, 0, 0, until=4))
    count = len(house.facts)
    assert house.say(Open(1, 1, 9, 0, None)) == [Opened(SESSION, 0)]
    assert len(house.facts) == count


def test_late_words_of_a_client_that_has_moved_on_are_not_answered(house: House) -> None:
    house.open()
    for late in ((9, 0, 1, 0, 0), (8, 1, 1, 0, 0), (9, 1, 1, 7, 0)):
        assert house.say(Next(late, 5, 5, until=9)) == []
    assert house.broker.book.jobs[1].places[0].acknowledged == 0


def test_a_client_of_a_former_incarnation_is_told_to_begin_again(house: House) -> None:
    house.say(REGISTER)
    assert house.say(Next((9, 0, 1, 0, 0), 5, 5, until=9)) == [Stale(1)]


@pytest.mark.parametrize("stale", [Next((9, 1, 99, 0, 0), 0, 0, 4), Open(7, 1, 9, 0), Open(1, 99, 9, 0)])
def test_words_for_another_incarnation_or_job_are_stale(house: House, stale: Message) -> None:
    house.open()
    assert house.say(stale) == [Stale(1)]


def test_the_next_epoch_has_a_run_of_its_own(house: House) -> None:
    house.open()
    house.say(Next(SESSION, 0, 0, until=100))
    house.replies.clear()
    after = (9, 1, 1, 1, 0)
    assert house.open(after) == [Opened(after, 0)]
    house.say(Next(SESSION, 12, 12, until=100))
    assert house.delivered() == []
    house.say(Next(after, 0, 0, until=100))
    assert house.delivered() == squares(0, 12)


def test_closing_gives_up_leases_and_forgets_the_job(house: House) -> None:
    house.working = False
    house.open()
    wanted = set(house.wants)
    assert wanted
    house.say(Close(1, 8))
    assert set(house.wants) == wanted, "of a former life of the client"
    house.say(Close(1, 9))
    assert (house.wants, house.broker.runs, house.broker.book.jobs) == ({}, {}, {})
    assert house.facts[-1] == Closed(1)
    assert house.say(Next(SESSION, 0, 0, until=4)) == [Stale(1)]


# Workers.


def test_pieces_of_a_lease_that_is_over_are_left_out(house: House) -> None:
    house.working = False
    house.open()
    house.say(Next(SESSION, 0, 0, until=4))
    house.tell(Granted(0, 1, "a"))
    house.tell(Withdrawn(0, 1))
    house.tell(Granted(0, 2, "b"))
    house.tell(FromWorker("a", Pieces(0, 1, 0, 4, False)))
    run = house.broker.runs[1, 0]
    assert (run.effort.fenced, run.effort.duplicates) == (1, 0)
    house.tell(FromWorker("b", Pieces(0, 2, 2, 4, True)))
    assert (run.effort.fenced, run.effort.duplicates) == (1, 1)


def test_a_withdrawn_split_is_wanted_again_from_its_watermark(house: House) -> None:
    house.working = False
    house.open()
    house.tell(Granted(0, 1, "a"))
    house.tell(FromWorker("a", Pieces(0, 1, 0, 3, False)))  # three elements that a filter left out
    house.wants.clear()
    house.tell(Withdrawn(0, 1))
    assert (house.wants[0].work.start, house.wants[0].work.stop) == (3, 4)


def test_with_no_budget_at_all_the_head_may_still_send_one_block() -> None:
    house = House(dataset_of(), limits=Limits(rows_each=4, splits_least=1, budget_bytes=0, look_ahead=3))
    house.working = False
    house.open()
    assert [(want.split, want.limit, want.urgent) for want in house.wants.values()] == [
        (0, 1, True),
        (1, 0, False),
        (2, 0, False),
    ]


def test_credit_is_shared_out_head_first_and_never_beyond_the_budget() -> None:
    limits = Limits(rows_each=4, splits_least=1, budget_bytes=100, window_bytes=60, look_ahead=3)
    house = House(dataset_of(), limits=limits)
    house.working = False
    house.open()
    assert [want.limit for want in house.wants.values()] == [60, 40, 0]


def test_a_worker_is_told_what_arrived_and_again_after_a_while(house: House) -> None:
    house.working = False
    house.open()
    house.tell(Tick(10.0))
    told = [each for each in house.tell(Granted(0, 1, "a")) if isinstance(each, Tell)]
    assert [(each.worker, each.message.split, each.message.watermark) for each in told] == [("a", 0, 0)]
    told = [each for each in house.tell(FromWorker("a", Pieces(0, 1, 0, 3, False))) if isinstance(each, Tell)]
    assert [(each.message.watermark, each.message.complete) for each in told] == [(3, False)]
    assert [each for each in house.tell(Tick(10.5)) if isinstance(each, Tell)] == []
    assert len([each for each in house.tell(Tick(11.5)) if isinstance(each, Tell)]) == 1


# Checkpoints.


def test_a_checkpoint_is_recorded_only_when_all_before_it_is_acknowledged() -> None:
    house = House(shuffled())
    house.open()
    house.say(Next(SESSION, 0, 0, until=10))
    assert not [fact for fact in house.facts if isinstance(fact, Checkpointed)]
    house.say(Next(SESSION, 9, 10, until=10))
    assert not [fact for fact in house.facts if isinstance(fact, Checkpointed)]
    house.say(Next(SESSION, 10, 10, until=11))
    assert [fact.cursor for fact in house.facts if isinstance(fact, Checkpointed)] == [10]


def test_a_broker_that_returns_goes_on_from_the_checkpoint_and_computes_only_what_is_lacking() -> None:
    expected = list(enumerate(shuffled().iterate(0)))
    house = House(shuffled())
    house.open()
    consume(house, SESSION, 0, 20)
    book = Book()
    for fact in house.facts:
        book.apply(fact)
    assert book == house.broker.book
    checkpoint = book.jobs[1].epochs[0].checkpoint
    assert checkpoint is not None
    assert 15 <= checkpoint.cursor <= 19

    again = House(shuffled(), incarnation=2, book=book)
    assert again.open((10, 2, 1, -1, 0)) == [Opened((10, 2, 1, 0, 0), 19)]
    again.say(Next((10, 2, 1, 0, 0), 19, 19, until=100))
    assert again.delivered() == expected[19:]
    assert again.broker.runs[1, 0].effort.computed == 40 - checkpoint.cursor


def test_a_client_that_lost_more_than_a_checkpoint_has_makes_the_epoch_start_over() -> None:
    expected = list(enumerate(shuffled().iterate(0)))
    house = House(shuffled())
    house.open()
    consume(house, SESSION, 0, 20)
    again = House(shuffled(), incarnation=2, book=house.broker.book)
    again.open((10, 2, 1, 0, 0), cursor=3)
    again.say(Next((10, 2, 1, 0, 0), 3, 3, until=100))
    assert again.delivered() == expected[3:]


def test_where_held_elements_do_not_come_again_the_epoch_starts_over() -> None:
    fickle = {"all": True}

    def keeps(x: Any) -> bool:
        return fickle["all"] or bool(x % 2)

    dataset = Dataset.range(40).filter(keeps).shuffle(8, seed=3).with_options(Options(seed=5))
    house = House(dataset)
    house.open()
    consume(house, SESSION, 0, 20)
    fickle["all"] = False
    again = House(dataset, incarnation=2, book=house.broker.book)
    again.open((10, 2, 1, 0, 0), cursor=19)
    again.say(Next((10, 2, 1, 0, 0), 19, 19, until=100))
    assert again.delivered() == list(enumerate(dataset.iterate(0)))[19:]
    assert isinstance(again.replies[-1].message, Ended)
    assert again.replies[-1].message.total == 20


def test_acknowledgements_and_openings_are_recorded_before_they_are_answered(house: House) -> None:
    house.say(REGISTER)
    actions = house.tell(FromClient("client", Open(1, 1, 9, 0)))
    assert actions[:2] == [Record(EpochOpened(1, 0, 9)), Reply("client", Opened(SESSION, 0))]
    house.say(Next(SESSION, 0, 0, until=4))
    actions = house.tell(FromClient("client", Next(SESSION, 2, 4, until=6)))
    assert actions[0] == Record(Acknowledged(1, 0, 2))
