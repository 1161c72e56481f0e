"""Consumers that are gone, or go back, while others are there: who waits for whom, and who gets what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.broker.book import Checkpointed, Closed, Left
from headrace.broker.machine import Tick
from headrace.pipeline.messages import AskToken, Close, Open, Opened, Token
from headrace.pipeline.token import Token as Place

from .crew import Crew, peer_of
from .house import LIMITS, dataset_of

SQUARES = [i * i for i in range(40)]


def token(element: int) -> bytes:
    """Of so many elements, without a checkpoint."""
    return Place(fingerprint={}, seed=5, epoch=0, element=element).position()


def load(crew: Crew, consumer: int, generation: int, element: int) -> None:
    """A consumer goes on where a token says."""
    message = Open(1, crew.job, generation, 0, 0, consumer, token(element))
    for answer in crew.house.say(message, peer_of(consumer)):
        if isinstance(answer, Opened):
            crew.sessions[consumer], crew.cursors[consumer] = answer.session, answer.cursor


def had_in(crew: Crew, consumer: int, generation: int) -> list[int]:
    """What one life of a consumer had."""
    crew.house.replies = [
        each for each in crew.house.replies if getattr(each.message, "session", (generation,))[0] == generation
    ]
    return crew.values(consumer)


def test_who_is_gone_for_long_holds_up_the_others_no_more_and_finds_its_elements_when_it_comes() -> None:
    crew = Crew(dataset_of(40), 2, limits=replace(LIMITS, budget_bytes=0))
    crew.house.broker.idle_s = 60.0
    crew.open(0)
    for now in range(0, 60, 5):
        crew.house.tell(Tick(float(now)))
        crew.ask(0, crew.received(0) + 1)
    assert crew.values(0) == SQUARES[:4:2], "the other one might come"
    rounds = crew.house.broker.runs[crew.job, 0].rounds
    crew.house.tell(Tick(60.0))
    for _ in range(20):
        crew.ask(0, crew.received(0) + 1)
        assert rounds.outboxes[1].nbytes == 0
    assert crew.values(0) == SQUARES[::2]
    assert not any(isinstance(each, Checkpointed) for each in crew.house.facts), "behind what it needs"
    crew.open(1)
    for _ in range(20):
        crew.ask(1, crew.received(1) + 1)
    assert crew.values(1) == SQUARES[1::2]
    assert crew.values(0) == SQUARES[::2], "nothing of it again"


def test_who_is_there_and_slow_is_waited_for_however_long() -> None:
    crew = Crew(dataset_of(40), 2, limits=replace(LIMITS, budget_bytes=0))
    crew.house.broker.idle_s = 60.0
    crew.open_all()
    for now in range(0, 600, 5):
        crew.house.tell(Tick(float(now)))
        crew.ask(0, crew.received(0) + 1)
    assert crew.values(0) == SQUARES[:4:2]


def test_one_that_does_not_follow_the_others_back_can_leave_and_its_next_life_follows() -> None:
    crew = Crew(dataset_of(12), 2)
    crew.open_all()
    for consumer in (0, 1):
        crew.ask(consumer, 4)
    load(crew, 0, generation=10, element=4)
    assert crew.refusals(1) == [
        "job 'train' was rewound to element 4 of epoch 0 by consumer 0: load the same state here, "
        "with load_state_dict(), to go on together"
    ]
    crew.house.say(Close(crew.job, 9, 1), peer_of(1))
    assert crew.house.facts[-1] == Left(crew.job, 1)
    crew.ask(0, 100)
    assert had_in(crew, 0, 10) == SQUARES[4:12:2]
    load(crew, 1, generation=11, element=4)
    crew.ask(1, 100)
    assert had_in(crew, 1, 11) == SQUARES[5:12:2]
    crew.leave(1)
    crew.house.say(Close(crew.job, 10, 0), peer_of(0))
    assert crew.house.facts[-1] == Closed(1)


def test_a_token_behind_a_round_that_was_filled_up_says_how_many_elements_there_are() -> None:
    crew = Crew(dataset_of(11), 4, even="pad")
    crew.open_all()
    for consumer in range(4):
        crew.ask(consumer, 100)
    (told,) = crew.house.say(AskToken(crew.sessions[0], 2), peer_of(0))
    assert isinstance(told, Token)
    assert told.element == 8
    (told,) = crew.house.say(AskToken(crew.sessions[0], 3), peer_of(0))
    assert isinstance(told, Token)
    assert told.element == 11


@pytest.mark.parametrize(("even", "element", "ends"), [("pad", 12, True), ("pad", 15, False), ("drop", 12, False)])
def test_a_place_in_a_round_that_was_filled_up_is_the_end(even: str, element: int, ends: bool) -> None:
    crew = Crew(dataset_of(11), 4, even=even)
    load(crew, 2, generation=10, element=element)
    crew.ask(2, 100)
    assert [each.total for each in crew.ends(2)] == [0] * ends
    said = f"the state stands after {element} elements of epoch 0, which has only 11 here"
    assert [each.partition(":")[0] for each in crew.refusals(2)] == [said] * (not ends)
