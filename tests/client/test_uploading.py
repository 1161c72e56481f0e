"""A client sends the functions and arrays that the server lacks, part by part, whatever is lost on the way."""

from __future__ import annotations

import pytest

from headrace.client.machine import ClientSession, Go, Received, Say, Tick
from headrace.pipeline.blobs import CHUNK
from headrace.pipeline.errors import FailedPreconditionError
from headrace.pipeline.messages import (
    VERSION,
    Hello,
    Lacking,
    Message,
    Open,
    Printed,
    Register,
    Registered,
    Stale,
    Stopping,
    Stored,
    Upload,
    Welcome,
)

REGISTER = Register("key", b"graph", 5)
LARGE, SMALL = memoryview(bytes(CHUNK + 10)), memoryview(b"small")


@pytest.fixture
def session() -> ClientSession:
    """A client that has said which pipeline it wants."""
    hello = Hello(VERSION, "client", "c", 1, {})
    session = ClientSession(hello=hello, register=REGISTER, generation=9, blobs={"large": LARGE, "small": SMALL})
    session.handle(Go(0))
    session.handle(Received(Welcome(1, 1.0)))
    return session


def hear(session: ClientSession, message: Message) -> list[Say]:
    return session.handle(Received(message))


def test_what_is_lacking_is_sent_part_by_part_and_then_it_registers_again(session: ClientSession) -> None:
    assert hear(session, Lacking("key", [["large", 0], ["small", 0]])) == [
        Say(Upload("large", 0, CHUNK + 10), [LARGE[:CHUNK]])
    ]
    assert hear(session, Stored("large", CHUNK, False)) == [Say(Upload("large", CHUNK, CHUNK + 10), [LARGE[CHUNK:]])]
    assert hear(session, Stored("large", CHUNK + 10, True)) == [Say(Upload("small", 0, 5), [SMALL])]
    assert hear(session, Stored("small", 5, True)) == [Say(REGISTER)]
    assert hear(session, Registered("key", 4)) == [Say(Open(1, 4, 9, 0, None))]


def test_an_upload_goes_on_where_the_server_says(session: ClientSession) -> None:
    assert hear(session, Lacking("key", [["large", CHUNK]])) == [
        Say(Upload("large", CHUNK, CHUNK + 10), [LARGE[CHUNK:]])
    ]


def test_a_part_that_is_lost_is_asked_about_and_sent_again(session: ClientSession) -> None:
    (first,) = hear(session, Lacking("key", [["small", 0]]))
    assert session.handle(Tick(0.5)) == []
    assert session.handle(Tick(1.5)) == [Say(REGISTER)]
    assert hear(session, Lacking("key", [["small", 0]])) == [first]
    assert hear(session, Stored("small", 5, True)) == [Say(REGISTER)]
    assert hear(session, Stored("small", 5, True)) == [], "the answer to what was sent twice"


def test_on_a_line_that_is_slower_than_its_patience_each_part_is_sent_once(session: ClientSession) -> None:
    hear(session, Lacking("key", [["large", 0]]))
    asked = [said for now in (1.5, 3.0, 4.5) for said in session.handle(Tick(now))]
    assert asked == [Say(REGISTER)] * 3
    session.handle(Tick(4.9))
    answers: list[Message] = [Stored("large", CHUNK, False), *[Lacking("key", [["large", CHUNK]])] * 3]
    said = [each for answer in answers for each in hear(session, answer)]
    assert said == [Say(Upload("large", CHUNK, CHUNK + 10), [LARGE[CHUNK:]])]


def test_a_server_that_comes_back_in_between_is_told_all_again(session: ClientSession) -> None:
    hear(session, Lacking("key", [["large", 0]]))
    assert [type(each.message) for each in hear(session, Stale(2))] == [Hello]
    assert hear(session, Welcome(2, 1.0)) == [Say(REGISTER)]


def test_what_the_client_has_not_either_is_an_error(session: ClientSession) -> None:
    assert hear(session, Lacking("key", [["unknown", 0]])) == []
    assert isinstance(session.refused, FailedPreconditionError)


def test_another_ones_registration_is_none_of_its_business(session: ClientSession) -> None:
    assert hear(session, Lacking("another key", [["small", 0]])) == []
    assert hear(session, Stored("small", 0, False)) == []


def test_what_workers_print_is_kept_to_be_shown(session: ClientSession) -> None:
    hear(session, Printed("worker-3", "hello"))
    assert session.printed == [("worker-3", "hello")]


def test_a_server_that_said_that_it_ends_is_known_to_until_it_is_back(session: ClientSession) -> None:
    hear(session, Stopping(8.0))
    assert session.stopping
    hear(session, Welcome(2, 1.0))
    assert not session.stopping
