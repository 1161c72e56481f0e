"""Clients that are gone: their runs are stopped, their jobs wait for them, though not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.broker import machine
from headrace.broker.book import Closed
from headrace.broker.machine import Action, Gone, Reply, Tick
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.messages import (
    Message,
    Next,
    Open,
    Opened,
    Refused,
    Register,
    Registered,
    Stale,
    Waiting,
)

from .house import REGISTER, SESSION, House, consume, dataset_of, shuffled, squares


@pytest.fixture
def house() -> House:
    """Over twelve squares."""
    return House(dataset_of())


def probes(actions: list[Action]) -> list[Message]:
    """What clients were sent to see whether they are there."""
    return [each.message for each in actions if isinstance(each, Reply) and isinstance(each.message, Waiting)]


def test_a_silent_client_is_probed_every_ten_seconds_and_left_in_peace_before(house: House) -> None:
    house.open()
    house.say(Next(SESSION, 0, 0, until=4))
    found = [len(probes(house.tell(Tick(float(now))))) for now in range(1, 32)]
    assert [now for now, count in enumerate(found, 1) if count] == [10, 20, 30]
    assert probes(house.tell(Tick(40.0))) == [Waiting(SESSION, "")]
    house.say(Next(SESSION, 0, 0, until=4))
    assert probes(house.tell(Tick(49.0))) == []


def test_the_run_of_a_client_that_stays_gone_is_stopped_and_its_memory_given_back() -> None:
    house = House(shuffled())
    house.broker.idle_s = 60.0
    house.open()
    consume(house, SESSION, 0, 20)
    house.working = False
    run, begun = house.broker.runs[1, 0], house.broker.now
    for now in range(0, 70, 10):
        assert house.broker.runs
        if probes(house.tell(Tick(begun + now))):
            house.tell(Gone("client"))
    house.tell(Tick(begun + 70.0))
    assert (house.broker.runs, house.broker.conversations, house.wants) == ({}, {}, {})
    assert len(run.store) == 0
    assert house.broker.book.jobs[1].places[0].acknowledged == 19


def test_a_client_that_returns_goes_on_where_it_was() -> None:
    house = House(shuffled())
    house.broker.idle_s = 1.0
    house.open()
    consume(house, SESSION, 0, 20)
    for _ in range(4):
        house.tell(Gone("client"))
        house.tell(Tick(house.broker.now + 1.0))
    assert not house.broker.runs
    house.replies.clear()
    computed = len(house.computed)
    assert house.say(Next(SESSION, 19, 20, until=24)) == [Stale(1)]
    assert house.open(cursor=20) == [Opened(SESSION, 20)]
    house.say(Next(SESSION, 19, 20, until=40))
    assert house.delivered() == list(enumerate(shuffled().iterate(0)))[20:]
    assert 0 < len(house.computed) - computed < 40 // 2 + 3, "from the checkpoint on, two elements a piece"


def test_a_client_that_can_be_reached_again_is_not_gone(house: House) -> None:
    house.broker.idle_s = 60.0
    house.open()
    for now in range(0, 600, 10):
        house.tell(Tick(float(now)))
        if now // 10 % 3:  # each third probe reaches it
            house.tell(Gone("client"))
    assert house.broker.runs


def test_that_somebody_else_is_gone_does_not_matter(house: House) -> None:
    house.broker.idle_s = 1.0
    house.open()
    for now in range(10):
        house.tell(Gone("another"))
        house.tell(Tick(float(now)))
    assert house.broker.runs


def test_a_journaled_graph_that_can_no_longer_be_read_is_refused_by_name(house: House) -> None:
    house.say(REGISTER)
    again = House(dataset_of(), incarnation=2, book=house.broker.book)

    def refuse(data: bytes) -> Any:
        raise InvalidArgumentError("an operator from the past")

    again.broker.decode = refuse
    assert again.say(Register("key", b"graph", 5)) == [Registered("key", 1)]
    (refused,) = again.say(Open(2, 1, 9, 0))
    assert isinstance(refused, Refused)
    assert (refused.about, refused.error["args"]) == ("key", ["an operator from the past"])


def test_a_job_that_nobody_came_back_for_is_closed_after_a_week() -> None:
    house = House(dataset_of())
    week = house.broker.forget_s
    assert week == 7 * 24 * 3600
    for key in ("left", "registered", "kept"):
        house.say(Register(key, b"graph", 5), peer=key)
    for job, key in ((1, "left"), (3, "kept")):
        house.say(Open(1, job, 9, 0), peer=key)
    now = 0.0
    while now < week + 3600:
        now += 50.0
        house.tell(Tick(now))
        house.tell(Gone("left"))
    assert [fact for fact in house.facts if isinstance(fact, Closed)] == [Closed(2), Closed(1)]
    assert house.broker.book.jobs.keys() == {3}
    assert house.say(Open(1, 1, 9, 0, 7), peer="left") == [Stale(1)]
    assert house.say(Register("left", b"graph", 5), peer="left") == [Registered("left", 4)]
    house.say(Open(1, 4, 9, 0, 7), peer="left")
    house.replies.clear()
    house.say(Next((9, 1, 4, 0, 0), 7, 7, until=100), peer="left")
    assert house.delivered() == squares(7, 12)


def test_a_client_that_comes_back_in_time_keeps_its_job(house: House) -> None:
    house.broker.idle_s, house.broker.forget_s = 1.0, 600.0
    house.open()
    for start in (0.0, 500.0, 1000.0):
        for now in range(0, 500, 50):
            house.tell(Tick(start + now))
            house.tell(Gone("client"))
        assert not house.broker.runs
        assert house.say(Open(1, 1, 9, 0, 0)) == [Opened(SESSION, 0)]


def test_of_a_job_whose_epoch_failed_and_that_nobody_came_back_to_nothing_is_kept() -> None:
    house = House(dataset_of())
    house.broker.idle_s = 60.0
    house.open()
    consume(house, SESSION, 0, 3)
    house.broker.runs[1, 0].error = InvalidArgumentError("it cannot go on")
    house.tell(Tick(10.0))
    assert not house.broker.conversations
    assert house.broker.memories, "it may be opened again at once"
    for now in (60.0, 120.0, 180.0):
        house.tell(Tick(now))
    assert not house.broker.memories
    assert house.broker.book.jobs.keys() == {1}, "it is known still"


def test_of_jobs_that_nobody_is_at_so_many_are_kept_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LEFT_MOST", 3)
    house = House(dataset_of())
    for number in range(1, 8):
        house.say(Register(f"key-{number}", b"graph", 5), peer="client")
        if number == 2:
            house.say(Open(1, 2, 9, 0), peer="client")
        house.tell(Tick(100.0 * number))
    assert house.broker.book.jobs.keys() == {2, 5, 6, 7}, "somebody is at the second"
