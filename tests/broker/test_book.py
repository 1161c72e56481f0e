"""The book: facts change it, and replaying them gives the book that wrote them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.broker.book import (
    REMEMBERED,
    Acknowledged,
    Book,
    Checkpointed,
    Closed,
    EpochEntry,
    EpochOpened,
    Fact,
    Finished,
    JobMade,
    Left,
    Rewound,
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
    assert (entry.generation(0), entry.places[0].acknowledged) == (10, 5)
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


def test_whoever_did_not_come_yet_is_expected_in_the_epoch_that_the_first_one_opened() -> None:
    book = book_of(JobMade(1, "key", b"graph", 5, consumers=3), EpochOpened(1, 4, 9, 1), EpochOpened(1, 5, 9, 1))
    assert [(each.epoch, each.generation) for each in book.jobs[1].places] == [(4, -1), (5, 9), (4, -1)]
    assert book_of(*book.facts()) == book


def test_one_that_comes_into_the_epoch_before_that_of_the_first_is_remembered_there() -> None:
    book = book_of(JobMade(1, "key", b"graph", 5, consumers=3), EpochOpened(1, 1, 9, 1), EpochOpened(1, 0, 9, 0))
    book.apply(Acknowledged(1, 0, 3, 0))
    assert [each.epoch for each in book.jobs[1].places] == [0, 1, 1]
    assert sorted(book.jobs[1].epochs) == [0, 1]
    assert book_of(*book.facts()) == book


def test_the_epoch_of_a_job_is_that_of_its_slowest_consumer_that_is_there() -> None:
    book = book_of(JobMade(1, "key", b"graph", 5, consumers=2), *(EpochOpened(1, 0, 9, each) for each in range(2)))
    book.apply(EpochOpened(1, 1, 9, 0))
    assert (book.jobs[1].epoch, set(book.jobs[1].epochs)) == (0, {0, 1})
    book.apply(Left(1, 1))
    assert (book.jobs[1].epoch, set(book.jobs[1].epochs)) == (1, {1})


def test_what_all_are_done_with_is_counted_in_rounds() -> None:
    book = book_of(JobMade(1, "key", b"graph", 5, consumers=3), *(EpochOpened(1, 0, 9, each) for each in range(3)))
    for consumer, rounds in enumerate((7, 4, 5)):
        book.apply(Acknowledged(1, 0, rounds, consumer))
    assert book.jobs[1].settled(0) == 3 * 4
    book.apply(Left(1, 1))
    assert book.jobs[1].settled(0) == 3 * 5


def test_one_that_leaves_before_it_loaded_the_others_token_has_left_after_a_compaction() -> None:
    made = JobMade(1, "job:a", b"graph", 5, name="a", consumers=2)
    book = book_of(made, Rewound(1, 0, 0, None, 0), EpochOpened(1, 0, 9, 0), Left(1, 1))
    assert book_of(*book.facts()) == book
    assert book.jobs[1].places[1].left


def test_the_oldest_of_many_finished_names_are_forgotten() -> None:
    book = book_of(*(Finished(f"job:{number}") for number in range(REMEMBERED + 2)), Finished("job:2"))
    assert len(book.finished) == REMEMBERED
    assert "job:1" not in book.finished
    assert list(book.finished)[-1] == "job:2"
    book.apply(JobMade(1, "job:2", b"graph", 5))
    assert "job:2" not in book.finished


steps = st.lists(
    st.tuples(
        st.sampled_from(["make", "open", "open", "acknowledge", "checkpoint", "leave", "close"]), st.integers(0, 99)
    ),
    max_size=30,
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
        return JobMade(book.last + 1, f"job {book.last + 1}", b"graph", number, consumers=number % 3 + 1)
    if not book.jobs:
        return None
    job = sorted(book.jobs)[number % len(book.jobs)]
    entry = book.jobs[job]
    consumer = number // 10 % entry.consumers
    place, others = entry.places[consumer], [each for each in entry.places if each is not entry.places[consumer]]
    if kind == "leave" and all(each.left for each in others):
        return Closed(job)
    if kind == "acknowledge" and place.generation < 0:
        return None  # nothing was sent to one that did not come
    slowest = min((each.epoch for each in others if not each.left and each.epoch >= 0), default=place.epoch)
    after = min(max(0, place.epoch, entry.epoch) + number % 2, max(slowest, 0) + 1)
    epoch = max(0, entry.epoch - number % 2)
    facts: dict[str, Fact] = {
        "open": EpochOpened(job, after, max(number, place.generation), consumer),
        "acknowledge": Acknowledged(job, epoch, number, consumer),
        "checkpoint": Checkpointed(job, epoch, number, {"cursor": number}),
        "leave": Left(job, consumer),
        "close": Closed(job),
    }
    return facts[kind]
