"""A client's session: asks, receives in order, acknowledges what the loop is done with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from headrace.client.machine import ClientSession, Go, Received, Say, Take, Tick
from headrace.pipeline.errors import DataLossError, FailedPreconditionError, InvalidArgumentError, to_data
from headrace.pipeline.messages import (
    VERSION,
    Close,
    Deliver,
    Ended,
    Hello,
    Message,
    Next,
    Open,
    Opened,
    Refused,
    Register,
    Registered,
    Stale,
    Waiting,
    Welcome,
)

HELLO, REGISTER = Hello(VERSION, "client", "c", 1, {}), Register("key", b"graph", 5)
#: Generation 9, server incarnation 1, job 4, epoch 0.
SESSION = (9, 1, 4, 0, 0)


@pytest.fixture
def session() -> ClientSession:
    """A client that has not said a word."""
    return ClientSession(hello=HELLO, register=REGISTER, generation=9, window=4)


@pytest.fixture
def opened(session: ClientSession) -> ClientSession:
    """A client that has opened epoch 0."""
    session.handle(Go(0))
    for message in (Welcome(1, 1.0), Registered("key", 4), Opened(SESSION, 0)):
        session.handle(Received(message))
    return session


def said(actions: Sequence[Say]) -> list[Message]:
    return [each.message for each in actions]


def hear(session: ClientSession, message: Message) -> list[Message]:
    return said(session.handle(Received(message, b"block")))


def deliver(first: int, count: int, checksum: int = 0, session: Any = SESSION) -> Deliver:
    return Deliver(session, first, count, [[], count, []], checksum)


def take(session: ClientSession, count: int = 1) -> list[Message]:
    return said(session.handle(Take(count)))


def test_a_client_says_hello_registers_and_opens_one_after_the_other(session: ClientSession) -> None:
    assert said(session.handle(Go(0))) == [HELLO]
    assert hear(session, Welcome(1, 1.0)) == [REGISTER]
    assert hear(session, Registered("another", 3)) == []
    assert hear(session, Registered("key", 4)) == [Open(1, 4, 9, 0, None)]
    assert hear(session, Opened(SESSION, 0)) == [Next(SESSION, 0, 0, until=4, again=True)]


def test_what_is_not_answered_is_said_again(session: ClientSession) -> None:
    session.handle(Tick(10.0))
    session.handle(Go(0))
    assert [said(session.handle(Tick(now))) for now in (10.5, 11.0, 11.5)] == [[], [HELLO], []]


def test_a_returning_client_goes_on_where_the_server_says(session: ClientSession) -> None:
    session.handle(Go(-1))
    hear(session, Welcome(1, 1.0))
    assert hear(session, Registered("key", 4)) == [Open(1, 4, 9, -1, None)]
    assert hear(session, Opened((9, 1, 4, 2, 0), 30)) == [Next((9, 1, 4, 2, 0), 29, 30, until=34, again=True)]
    assert (session.epoch, session.received, session.taken) == (2, 30, 30)


def test_the_element_that_the_loop_works_on_is_acknowledged_when_it_comes_again(opened: ClientSession) -> None:
    hear(opened, deliver(0, 4))
    assert take(opened) == [Next(SESSION, 0, 4, until=5)]
    assert take(opened) == [Next(SESSION, 1, 4, until=6)]


def test_what_was_received_is_not_acknowledged_before_the_loop_took_it(opened: ClientSession) -> None:
    assert hear(opened, deliver(0, 4)) == []
    opened.handle(Tick(5.0))
    assert opened.told == (0, 4)


def test_with_a_wide_window_not_every_element_is_worth_a_message(session: ClientSession) -> None:
    session.window = 40
    session.handle(Go(0))
    for message in (Welcome(1, 1.0), Registered("key", 4), Opened(SESSION, 0), deliver(0, 40)):
        hear(session, message)
    spoke = [number for number in range(1, 31) if take(session)]
    assert spoke == [10, 20, 30]


def test_a_slow_loop_says_at_each_element_how_far_it_is(session: ClientSession) -> None:
    session.window = 40
    session.handle(Go(0))
    for message in (Welcome(1, 1.0), Registered("key", 4), Opened(SESSION, 0), deliver(0, 40)):
        hear(session, message)
    for number in range(1, 6):
        session.now += 0.3
        assert take(session) == [Next(SESSION, number - 1, 40, until=40 + number)]


def test_a_loop_that_has_nothing_left_asks_at_once(session: ClientSession) -> None:
    session.window = 40
    session.handle(Go(0))
    for message in (Welcome(1, 1.0), Registered("key", 4), Opened(SESSION, 0), deliver(0, 2)):
        hear(session, message)
    assert take(session) == []
    assert take(session) == [Next(SESSION, 1, 2, until=42)]


def test_a_loop_that_is_told_of_the_end_acknowledges_all(opened: ClientSession) -> None:
    hear(opened, deliver(0, 2, checksum=77))
    hear(opened, Ended(SESSION, 2, 77, {}))
    take(opened, 2)
    assert opened.finished
    assert take(opened, 0) == [Next(SESSION, 2, 2, until=6)]


def test_a_loop_that_had_all_says_so_again_where_others_wait_for_it(opened: ClientSession) -> None:
    hear(opened, deliver(0, 2, checksum=77))
    hear(opened, Ended(SESSION, 2, 77, {}))
    take(opened, 2)
    assert hear(opened, Waiting(SESSION, "it computes")) == [], "the loop has still to come for the end"
    take(opened, 0)  # which is lost
    waiting = Waiting(SESSION, "consumer 0 has not taken its batches")
    assert hear(opened, waiting) == [], "it may be under way"
    opened.handle(Tick(9.0))
    assert hear(opened, waiting) == [Next(SESSION, 2, 2, 6, again=True)]
    assert hear(opened, waiting) == [], "the answer to that may be just this"


def test_parcels_are_taken_one_after_the_other(opened: ClientSession) -> None:
    hear(opened, deliver(0, 2))
    hear(opened, deliver(2, 1))
    takes = []
    for _ in range(3):
        assert opened.ready is not None
        takes.append(opened.ready.first + opened.ready.skip)
        take(opened)
    assert takes == [0, 1, 2]
    assert opened.ready is None


def test_what_came_before_is_left_out_of_a_parcel_that_overlaps(opened: ClientSession) -> None:
    hear(opened, deliver(0, 2))
    hear(opened, deliver(0, 2))
    hear(opened, deliver(1, 3))
    assert [(each.first, each.count, each.skip) for each in opened.inbox] == [(0, 2, 0), (1, 3, 1)]
    assert opened.received == 4


def test_a_gap_is_asked_for_once_and_again_after_a_while(opened: ClientSession) -> None:
    opened.handle(Tick(1.0))
    assert hear(opened, deliver(2, 1)) == [Next(SESSION, 0, 0, until=4, again=True)]
    assert hear(opened, deliver(3, 1)) == []
    opened.handle(Tick(2.5))
    assert hear(opened, deliver(3, 1)) == [Next(SESSION, 0, 0, until=4, again=True)]
    assert opened.ready is None


def test_an_end_before_the_last_element_came_is_a_gap(opened: ClientSession) -> None:
    opened.handle(Tick(1.0))
    assert hear(opened, Ended(SESSION, 2, 0, {})) == [Next(SESSION, 0, 0, until=4, again=True)]
    assert not opened.finished


@pytest.mark.parametrize(("total", "checksum"), [(2, 78), (1, 77)])
def test_an_end_that_does_not_agree_with_what_came_is_an_error(
    opened: ClientSession, total: int, checksum: int
) -> None:
    hear(opened, deliver(0, 2, checksum=77))
    hear(opened, Ended(SESSION, total, checksum, {}))
    assert isinstance(opened.refused, DataLossError)
    assert not opened.finished


@pytest.mark.parametrize("other", [(8, 1, 4, 0, 0), (9, 2, 4, 0, 0), (9, 1, 5, 0, 0), (9, 1, 4, 1, 0)])
def test_what_belongs_to_another_session_is_not_heard(opened: ClientSession, other: Any) -> None:
    for message in (deliver(0, 2, session=other), Ended(other, 0, 0, {}), Waiting(other, "so"), Opened(other, 5)):
        assert hear(opened, message) == []
    assert (opened.received, opened.end, opened.waiting, opened.session) == (0, None, "", SESSION)


def test_a_server_that_came_back_is_asked_for_what_is_lacking(opened: ClientSession) -> None:
    hear(opened, deliver(0, 3))
    take(opened)
    assert hear(opened, Stale(2)) == [HELLO]
    assert hear(opened, Stale(2)) == []
    assert hear(opened, Welcome(2, 1.0)) == [REGISTER]
    assert hear(opened, Registered("key", 4)) == [Open(2, 4, 9, 0, cursor=3)]
    assert hear(opened, Opened((9, 2, 4, 0, 0), 3)) == [Next((9, 2, 4, 0, 0), 0, 3, until=5, again=True)]
    assert opened.ready is not None
    assert opened.ready.first + opened.ready.skip == 1


def test_word_of_a_former_server_changes_nothing(opened: ClientSession) -> None:
    hear(opened, Welcome(2, 1.0))
    assert hear(opened, Welcome(1, 1.0)) == []
    assert hear(opened, Opened(SESSION, 0)) == []
    assert (opened.welcomed, opened.job, opened.session) == (2, None, None)


def test_a_server_that_came_back_does_not_make_the_loop_take_twice(opened: ClientSession) -> None:
    hear(opened, deliver(0, 3, checksum=5))
    take(opened)
    newer = (9, 2, 4, 0, 0)
    for message in (Stale(2), Welcome(2, 1.0), Registered("key", 4), Opened(newer, 3)):
        hear(opened, message)
    hear(opened, deliver(1, 3, checksum=6, session=newer))
    hear(opened, Ended(newer, 4, 6, {}))
    takes = []
    while opened.ready is not None:
        takes.append(opened.ready.first + opened.ready.skip)
        take(opened)
    assert takes == [1, 2, 3]
    assert opened.finished


def test_a_client_that_opens_at_the_end_of_an_epoch_has_no_checksum_to_compare(session: ClientSession) -> None:
    session.handle(Go(0))
    for message in (Welcome(1, 1.0), Registered("key", 4), Opened(SESSION, 30), Ended(SESSION, 30, 99, {})):
        hear(session, message)
    assert session.refused is None
    assert session.finished


def test_an_epoch_without_elements_ends_at_once(opened: ClientSession) -> None:
    hear(opened, Ended(SESSION, 0, 0, {}))
    assert opened.finished
    assert take(opened, 0) == [], "there is nothing to acknowledge"


def test_after_the_end_nothing_more_is_asked_for(opened: ClientSession) -> None:
    hear(opened, Ended(SESSION, 0, 0, {}))
    assert said(opened.handle(Tick(50.0))) == []


def test_an_epoch_asked_for_by_number_is_opened_by_that_number_alone(session: ClientSession) -> None:
    session.handle(Go(3))
    for message in (Welcome(1, 1.0), Registered("key", 4), Opened((9, 1, 4, 2, 0), 5)):
        hear(session, message)
    assert session.session is None
    hear(session, Opened((9, 1, 4, 3, 0), 0))
    assert session.session == (9, 1, 4, 3, 0)


def test_silence_makes_it_ask_for_what_is_lacking_again(opened: ClientSession) -> None:
    hear(opened, deliver(0, 2))
    assert said(opened.handle(Tick(0.9))) == []
    assert said(opened.handle(Tick(1.1))) == [Next(SESSION, 0, 2, until=4, again=True)]


def test_a_full_window_is_not_asked_for_again(opened: ClientSession) -> None:
    hear(opened, deliver(0, 4))
    assert said(opened.handle(Tick(9.0))) == []


def test_the_next_epoch_begins_with_nothing_of_the_last(opened: ClientSession) -> None:
    hear(opened, deliver(0, 2, checksum=77))
    hear(opened, Ended(SESSION, 2, 77, {}))
    take(opened, 2)
    take(opened, 0)
    assert said(opened.handle(Go(1))) == [Open(1, 4, 9, 1, None)]
    assert (opened.received, opened.taken, opened.ready, opened.finished) == (0, 0, None, False)


def test_an_element_that_failed_comes_in_its_place(opened: ClientSession) -> None:
    error = InvalidArgumentError("bad")
    hear(opened, Deliver(SESSION, 0, 1, None, 0, to_data(error)))
    assert opened.ready is not None
    assert repr(opened.ready.error) == repr(error)
    take(opened)
    assert opened.taken == 1


def test_a_registration_that_is_refused_is_an_error(session: ClientSession) -> None:
    hear(session, Refused(to_data(InvalidArgumentError("another's")), "another"))
    assert session.refused is None
    hear(session, Refused(to_data(InvalidArgumentError("ours")), "key"))
    assert isinstance(session.refused, InvalidArgumentError)


def test_a_refusal_of_a_session_that_is_over_is_not_heard(opened: ClientSession) -> None:
    opened.handle(Go(0, token=b"a state"))
    hear(opened, Refused(to_data(FailedPreconditionError("load the same state")), "key", 9))
    assert opened.refused is None
    hear(opened, Refused(to_data(FailedPreconditionError("load the same state")), "key", 10))
    assert isinstance(opened.refused, FailedPreconditionError)


def test_why_it_waits_is_known_until_something_comes(opened: ClientSession) -> None:
    hear(opened, Waiting(SESSION, "there is no worker"))
    assert opened.waiting == "there is no worker"
    hear(opened, deliver(0, 1))
    assert opened.waiting == ""


def test_closing_names_the_job_and_the_generation(opened: ClientSession) -> None:
    assert said(opened.close()) == [Close(4, 9)]
    assert ClientSession(hello=HELLO, register=REGISTER, generation=9).close() == []


# Consumers of a named job.


@pytest.fixture
def third() -> ClientSession:
    """Consumer 2 of a job that others have, too, after it said hello."""
    register = Register("job:x", b"graph", 5, name="x", consumers=4)
    session = ClientSession(hello=HELLO, register=register, generation=9, consumer=2, window=4)
    session.handle(Go(-1))
    session.handle(Received(Welcome(1, 1.0)))
    return session


def test_a_consumer_says_which_it_is_whatever_it_says(third: ClientSession) -> None:
    assert hear(third, Registered("job:x", 4)) == [Open(1, 4, 9, -1, None, consumer=2)]
    mine = (9, 1, 4, 0, 2)
    assert hear(third, Opened((9, 1, 4, 0, 1), 0)) == [], "another consumer's"
    assert hear(third, Opened(mine, 7)) == [Next(mine, 6, 7, until=11, again=True)]
    assert said(third.close()) == [Close(4, 9, 2)]


def test_who_comes_anew_is_newer_than_all_that_came_before_whatever_its_clock_says(third: ClientSession) -> None:
    (opening,) = hear(third, Registered("job:x", 4, generation=1000))
    assert isinstance(opening, Open)
    assert opening.generation == 1000 + 1 + 9
    hear(third, Opened((1010, 1, 4, 0, 2), 0))
    # From then on a newer one is a newer one.
    hear(third, Stale(2))
    hear(third, Welcome(2, 1.0))
    (again,) = hear(third, Registered("job:x", 5, generation=5000))
    assert isinstance(again, Open)
    assert again.generation == 1010


def test_where_its_own_open_was_heard_and_the_answer_lost_it_is_no_life_before_it(third: ClientSession) -> None:
    (opening,) = hear(third, Registered("job:x", 4, generation=3))
    third.handle(Tick(5.0))
    third.welcomed = third.job = None
    hear(third, Welcome(1, 1.0))
    assert hear(third, Registered("job:x", 4, generation=9)) == [opening], "of its own generation"


def test_late_word_of_a_registration_with_a_former_server_changes_nothing(third: ClientSession) -> None:
    hear(third, Registered("job:x", 4))
    hear(third, Opened((9, 1, 4, 0, 2), 7))
    assert hear(third, Registered("job:x", 3)) == []
    assert said(third.close()) == [Close(4, 9, 2)]


@pytest.mark.parametrize(("wanted", "given", "entered"), [(-1, 0, True), (-1, 3, True), (-4, 3, True), (-4, 2, False)])
def test_an_epoch_at_least_is_that_or_a_later_one(wanted: int, given: int, entered: bool) -> None:
    session = ClientSession(hello=HELLO, register=REGISTER, generation=9, window=4)
    session.handle(Go(wanted))
    for message in (Welcome(1, 1.0), Registered("key", 4), Opened((9, 1, 4, given, 0), 0)):
        hear(session, message)
    assert (session.epoch if session.session else None) == (given if entered else None)


def test_while_it_waits_for_an_epoch_it_is_told_why(third: ClientSession) -> None:
    hear(third, Registered("job:x", 4))
    hear(third, Waiting((9, 1, 4, 2, 2), "consumer 1 is slow"))
    assert third.waiting == "consumer 1 is slow"
    hear(third, Waiting((9, 1, 4, 2, 1), "of another"))
    assert third.waiting == "consumer 1 is slow"
    third.handle(Tick(5.0))
    assert [type(each) for each in said(third.handle(Tick(6.5)))] == [Open], "it goes on asking"


def test_an_epoch_afresh_is_another_life_that_has_nothing_of_it(opened: ClientSession) -> None:
    hear(opened, deliver(0, 3))
    take(opened, 3)
    assert said(opened.handle(Go(0, afresh=True))) == [Open(1, 4, 10, 0, 0)]
    hear(opened, Opened(SESSION, 3))
    held: list[Any] = [opened.session]
    hear(opened, Opened((10, 1, 4, 0, 0), 0))
    assert [*held, opened.session, opened.received] == [None, (10, 1, 4, 0, 0), 0]


def test_padding_is_known_as_such(opened: ClientSession) -> None:
    hear(opened, deliver(0, 2))
    hear(opened, Deliver(SESSION, 2, 1, [[], 1, []], 0, mask=False))
    assert [each.mask for each in opened.inbox] == [True, False]
