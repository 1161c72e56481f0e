"""The book: facts change it, and replaying them gives the book that wrote them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.broker.book import (
    Acknowledged,
    Book,
    Checkpointed,
    Closed,
    EpochEntry,
    EpochOpened,
    Fact,
    JobMade,
)

MADE = JobMade(1, "key", b"graph", 5)
OPENED = EpochOpened(1, 0, 9)


def book_of(*facts: Fact) -> Book:
    book = Book()
    for fact in facts:
        book.apply(fact)
    return book


def test_a_job_is_found_by_number_and_by_key() -> None:
    book = book_of(MADE)
    assert book.numbers == {"key": 1}
    assert (book.jobs[1].graph, book.jobs[1].seed, book.jobs[1].epoch) == (b"graph", 5, -1)


def test_acknowledgements_only_rise() -> None:
    book = book_of(MADE, OPENED, Acknowledged(1, 0, 5), Acknowledged(1, 0, 3))
    assert book.jobs[1].places[0].acknowledged == 5


def test_a_new_epoch_begins_with_nothing_acknowledged_and_no_checkpoint() -> None:
    entry = book_of(MADE, OPENED, Acknowledged(1, 0, 5), Checkpointed(1, 0, 5, {}), EpochOpened(1, 1, 9)).jobs[1]
    assert (entry.epoch, entry.places[0].acknowledged, entry.epochs) == (1, 0, {1: EpochEntry()})


def test_a_new_life_of_the_client_keeps_what_was_acknowledged() -> None:
    entry = book_of(MADE, OPENED, Acknowledged(1, 0, 5), Checkpointed(1, 0, 5, {}), EpochOpened(1, 0, 10)).jobs[1]
    assert (entry.generation, entry.places[0].acknowledged) == (10, 5)
    assert entry.epochs[0].checkpoint == Checkpointed(1, 0, 5, {})


@pytest.mark.parametrize("late", [Acknowledged(1, 0, 5), Checkpointed(1, 0, 5, {})])
def test_what_was_of_an_earlier_epoch_changes_nothing(late: Fact) -> None:
    assert book_of(MADE, OPENED, EpochOpened(1, 1, 9), late) == book_of(MADE, OPENED, EpochOpened(1, 1, 9))


def test_numbers_of_closed_jobs_are_not_used_again() -> None:
    book = book_of(MADE, Closed(1))
    assert (book.jobs, book.numbers, book.last) == ({}, {}, 1)


def test_jobs_that_nobody_ever_opened_end_with_the_server_that_knew_them() -> None:
    book = book_of(MADE, OPENED, JobMade(2, "other", b"graph", 5))
    assert book.leftovers() == [Closed(2)]
    assert book_of(*book.facts(), *book.leftovers()).jobs.keys() == {1}


steps = st.lists(
    st.tuples(st.sampled_from(["make", "open", "acknowledge", "checkpoint", "close"]), st.integers(0, 9)), max_size=30
)


@given(steps, st.integers(0, 30))
def test_replaying_the_facts_gives_the_book_that_wrote_them(steps: list[tuple[str, int]], cut: int) -> None:
    book, journal = Book(), list[Fact]()
    for kind, number in steps:
        if (fact := fact_of(book, kind, number)) is not None:
            book.apply(fact)
            journal.append(fact)
    assert book_of(*journal) == book
    # From any place on: what was known then, and the facts since.
    resumed = book_of(*journal[:cut])
    for fact in journal[cut:]:
        resumed.apply(fact)
    assert resumed == book


@given(steps)
def test_the_fewest_facts_say_the_same_as_all(steps: list[tuple[str, int]]) -> None:
    book = Book()
    for kind, number in steps:
        if (fact := fact_of(book, kind, number)) is not None:
            book.apply(fact)
    fewest = book.facts()
    assert book_of(*fewest) == book
    for left_out in range(len(fewest)):
        rest = fewest[:left_out] + fewest[left_out + 1 :]
        # Without its JobMade, what is known of a job makes no sense at all.
        assert isinstance(fewest[left_out], JobMade) or book_of(*rest) != book, "one of them says nothing"


def fact_of(book: Book, kind: str, number: int) -> Fact | None:
    """A fact that can be, as things are."""
    if kind == "make":
        return JobMade(book.last + 1, f"job {book.last + 1}", b"graph", number)
    if not book.jobs:
        return None
    job = sorted(book.jobs)[number % len(book.jobs)]
    epoch = max(0, book.jobs[job].epoch - number % 2)
    facts: dict[str, Fact] = {
        "open": EpochOpened(job, max(0, book.jobs[job].epoch) + number % 2, number),
        "acknowledge": Acknowledged(job, epoch, number),
        "checkpoint": Checkpointed(job, epoch, number, {"cursor": number}),
        "close": Closed(job),
    }
    return facts[kind]
