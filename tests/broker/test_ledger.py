"""Verdicts and ledgers at the broker: on record before delivery passes them, and counted once whoever dies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.broker import marks
from headrace.broker.actions import Quarantine
from headrace.broker.book import LEDGERS, LEDGERS_OF, Book, Closed, EpochEnded, JobMade, Judged
from headrace.broker.ledger import EFFORT, STREAM, Totals
from headrace.broker.machine import FromClient, Record
from headrace.broker.run import VERDICTS, Limits
from headrace.facts import from_bytes, to_bytes
from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.messages import Deliver, Ended, Next, Printed
from headrace.pipeline.verdicts import Verdict

from .house import SESSION, House, consume

KEPT = [x for x in range(24) if x % 5 != 2]


class Fickle:
    """Fails the first time it sees each of some elements."""

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)

    def __call__(self, x: Any) -> Any:
        if int(x) in self.bad:
            self.bad.remove(int(x))
            raise OSError("the disk was busy")
        return x


def picky(x: Any) -> Any:
    if x % 5 == 2:
        raise ValueError(x)
    return x


def policy(dataset: Dataset, on_error: str = "skip", budget: int | None = None) -> Dataset:
    return dataset.with_options(Options(on_error=on_error, error_budget=budget, seed=5))


def after_a_death(house: House, dataset: Dataset, acknowledged: int) -> House:
    """The next life of a server, whose client goes on behind so many elements."""
    book, read = Book(), Book()
    for fact in house.facts:
        book.apply(fact)
        read.apply(from_bytes(to_bytes(fact)))  # type: ignore[arg-type]  # facts of a broker
    assert book == house.broker.book
    again = House(dataset, incarnation=2, book=read)
    again.open((10, 2, 1, 0, 0), cursor=acknowledged)
    again.say(Next((10, 2, 1, 0, 0), acknowledged, acknowledged, until=1000))
    return again


def ledger_in(house: House) -> dict[str, Any]:
    (end,) = [each.message for each in house.replies if isinstance(each.message, Ended)]
    return end.ledger


def judged(house: House) -> list[tuple[int, str]]:
    """Numbers and outcomes of the verdicts on record."""
    found = [Verdict.from_data(each.verdict) for each in house.facts if isinstance(each, Judged)]
    return [(each.number, each.outcome) for each in found]


def test_a_verdict_is_on_record_before_anything_behind_it_is_sent() -> None:
    house = House(policy(Dataset.range(24).map(picky)))
    house.open()
    house.say(Next(SESSION, 0, 0, until=2))
    actions = house.tell(FromClient("client", Next(SESSION, 2, 2, until=3)))
    kinds = [type(each.fact if isinstance(each, Record) else getattr(each, "message", each)) for each in actions]
    assert kinds.index(Judged) < kinds.index(Deliver)
    assert house.delivered() == [(0, 0), (1, 1), (2, 3)]
    assert judged(house) == [(1, "skipped")]


def test_an_error_that_is_raised_is_on_record_as_such() -> None:
    house = House(policy(Dataset.range(24).map(picky), "raise"))
    house.open()
    house.say(Next(SESSION, 0, 0, until=4))
    assert judged(house) == [(1, "raised")]


@pytest.mark.parametrize("on_error", ["skip", "raise"])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("acknowledged", [1, 3, 5])
def test_what_failed_once_stays_failed_in_the_servers_next_life(
    on_error: str, shuffled: bool, acknowledged: int
) -> None:
    def dataset(function: Any) -> Dataset:
        found = Dataset.range(24).map(function)
        return policy((found.shuffle(4, seed=1) if shuffled else found).batch(3), on_error)

    bad = (1, 2)  # before the first element, so that both are decided
    expected = House(dataset(Fickle(*bad)))
    expected.open()
    expected.say(Next(SESSION, 0, 0, until=1000))

    first = dataset(Fickle(*bad))
    house = House(first)
    house.open()
    consume(house, SESSION, 0, acknowledged + 1)
    again = after_a_death(house, first, acknowledged)
    assert values(again) == [each for each in values(expected) if each[0] >= acknowledged]
    assert {kind: ledger_in(again)[kind] for kind in STREAM} == {kind: ledger_in(expected)[kind] for kind in STREAM}
    assert ledger_in(again)["checksum"] == ledger_in(expected)["checksum"]


def values(house: House) -> list[Any]:
    """What went out, in order: numbers, and batches or kinds of errors."""
    found: list[Any] = [(number, value.tolist()) for number, value in house.delivered()]
    errors = [each.message for each in house.replies if isinstance(each.message, Deliver) and each.message.error]
    return sorted(
        [*found, *((each.first, each.error["kind"]) for each in errors if each.error)], key=lambda pair: pair[0]
    )


@given(bad=st.sets(st.integers(0, 23), max_size=8), dropped=st.sets(st.integers(0, 23)), taken=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_counts_of_the_stream_are_the_same_with_and_without_a_death(
    bad: set[int], dropped: set[int], taken: int
) -> None:
    def keep(x: Any) -> bool:
        if int(x) in bad:
            raise ValueError(x)
        return int(x) not in dropped

    dataset = policy(Dataset.range(24).filter(keep).shuffle(3, seed=1))
    kept = 24 - len(bad | dropped)
    taken = min(taken, kept)
    house = House(dataset)
    house.open()
    consume(house, SESSION, 0, taken + 1)
    ledger = ledger_in(after_a_death(house, dataset, taken))
    assert (ledger["skipped"], ledger["filtered"], ledger["count"]) == (len(bad), len(dropped - bad), kept)
    assert ledger["count"] + ledger["filtered"] + ledger["skipped"] + ledger["failed"] == 24


@pytest.mark.parametrize("taken", [3, 9, 17])
def test_what_is_consumed_again_from_a_mark_before_a_checkpoint_is_not_counted_again(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "LITTLE", 0)  # what is under way is told by where its input stood before

    def keep(x: Any) -> bool:
        return bool(picky(x) % 3)

    numbers = Dataset.range(60).filter(keep).map(lambda x: {}[x] if x % 8 == 3 else x).ignore_errors()
    dataset = policy(numbers.shuffle(4, seed=1).map(lambda x: picky(x + 1)).filter(lambda x: x != 5))
    whole = House(dataset)
    whole.open()
    whole.say(Next(SESSION, 0, 0, until=1000))
    house = House(dataset)
    house.open()
    consume(house, SESSION, 0, taken + 1)
    again = after_a_death(house, dataset, taken)
    assert {kind: ledger_in(again)[kind] for kind in (*STREAM, "count", "checksum")} == {
        kind: ledger_in(whole)[kind] for kind in (*STREAM, "count", "checksum")
    }


def test_a_checkpoint_says_all_that_was_decided_before_it() -> None:
    house = House(policy(Dataset.range(24).map(picky)))
    house.open()
    consume(house, SESSION, 0, 16)
    entry = house.broker.book.jobs[1].epochs[0]
    assert entry.checkpoint is not None
    assert entry.checkpoint.state["operator"]["verdicts"]["counts"]["skipped"] >= 2
    assert set(entry.judged) == {each for each in entry.judged if each > entry.checkpoint.state["decided"]}
    assert len(entry.judged) < len(judged(house)), "what is in the checkpoint is not kept beside it"


def test_where_nothing_but_failures_comes_there_is_a_checkpoint_all_the_same() -> None:
    def bad(x: Any) -> Any:
        if 0 < x < 1000:
            raise ValueError(x)
        return x

    dataset = policy(Dataset.range(1002).map(bad).ignore_errors())
    house = House(dataset, limits=Limits(rows_each=16, splits_least=1, parcel_bytes=1, least_s=0))
    house.open()
    house.say(Next(SESSION, 0, 0, until=2))
    house.say(Next(SESSION, 1, 2, until=3))
    entry = house.broker.book.jobs[1].epochs[0]
    assert entry.checkpoint is not None
    assert entry.checkpoint.cursor == 1
    assert len([fact for fact in house.facts if isinstance(fact, Judged)]) == 999
    assert len(entry.judged) < 999 - 2 * VERDICTS


def test_over_the_budget_an_error_stands_in_its_place() -> None:
    house = House(policy(Dataset.range(24).map(picky), budget=2))
    house.open()
    house.say(Next(SESSION, 0, 0, until=1000))
    errors = [each.message for each in house.replies if isinstance(each.message, Deliver) and each.message.error]
    assert [(each.first, each.error["kind"]) for each in errors if each.error] == [
        (10, "ResourceExhaustedError"),
        (15, "ResourceExhaustedError"),
        (20, "ResourceExhaustedError"),
    ]
    assert (ledger_in(house)["skipped"], ledger_in(house)["failed"], ledger_in(house)["count"]) == (2, 3, 22)


def test_what_is_skipped_is_told_behind_its_record_and_once_more_in_the_next_life() -> None:
    dataset = policy(Dataset.range(24).map(picky), "/somewhere/bad.jsonl")
    house = Watching(dataset, limits=FEW)
    house.open()
    house.say(Next(SESSION, 0, 0, until=7))
    assert house.seen == ["record 1", "record 2", "/somewhere/bad.jsonl 1", "/somewhere/bad.jsonl 2"]
    again = Watching(dataset, limits=FEW, incarnation=2, book=house.broker.book)
    again.open((10, 2, 1, 0, 0), cursor=3)
    again.say(Next((10, 2, 1, 0, 0), 3, 3, until=11))
    told = [each for each in again.seen if "bad" in each]
    assert told == [f"/somewhere/bad.jsonl {number}" for number in (1, 2, 3)], "perhaps two were not written"


#: No checkpoint, unless there is nothing else to do.
FEW = Limits(rows_each=4, splits_least=1, parcel_bytes=1)


class Watching(House):
    """Notes what is put on record, and what is told of skipped elements."""

    def __init__(self, dataset: Dataset, **settings: Any) -> None:
        super().__init__(dataset, **settings)
        self.seen: list[str] = []

    def _note(self, actions: Any) -> None:
        for each in actions:
            if isinstance(each, Quarantine):
                self.seen.append(f"{each.path} {each.verdict.number}")
            elif isinstance(each, Record) and isinstance(each.fact, Judged):
                self.seen.append(f"record {Verdict.from_data(each.fact.verdict).number}")
        super()._note(actions)


# Ledgers.


def test_the_ledger_of_an_epoch_is_on_record_when_all_of_it_came_and_is_what_the_client_is_told() -> None:
    house = House(policy(Dataset.range(24).map(picky).filter(lambda x: bool(x % 2))))
    house.open()
    house.say(Next(SESSION, 0, 0, until=1000))
    (ended,) = [fact for fact in house.facts if isinstance(fact, EpochEnded)]
    assert ended.ledger == ledger_in(house)
    kept = [x for x in KEPT if x % 2]
    assert {kind: ended.ledger[kind] for kind in (*STREAM, "computed", "count", "consumers")} == {
        "delivered": len(kept),
        "filtered": len(KEPT) - len(kept),
        "skipped": 5,
        "failed": 0,
        "dropped": 0,
        "padded": 0,
        "computed": len(kept),
        "count": len(kept),
        "consumers": [len(kept)],
    }
    after_a_death(house, policy(Dataset.range(24).map(picky).filter(lambda x: bool(x % 2))), 3)


def test_a_book_keeps_the_ledgers_of_the_last_epochs_of_the_last_jobs() -> None:
    book = Book()
    for job in range(1, LEDGERS_OF + 4):
        book.apply(JobMade(job, f"key {job}", b"graph", 5))
        for epoch in range(LEDGERS + 2):
            book.apply(EpochEnded(job, epoch, {"count": epoch}))
        if job != 2:
            book.apply(Closed(job))
    assert list(book.ended[LEDGERS_OF + 3]) == [2, 3, 4, 5]
    assert 1 not in book.ended
    assert 2 in book.ended, "it is still open"
    assert len(book.ended) == LEDGERS_OF
    again = Book()
    for fact in book.facts():
        again.apply(fact)
    assert again == book


def test_totals_count_each_element_of_a_stream_once_and_all_work_that_was_done() -> None:
    totals = Totals()
    nothing = dict.fromkeys((*STREAM, *EFFORT), 0)
    first = {**nothing, "delivered": 10, "skipped": 2, "computed": 14}
    totals.note(1, 0, first)
    totals.note(1, 0, {**nothing, "delivered": 20, "skipped": 3, "computed": 30}, over=True)
    # It is begun anew at a checkpoint: what is behind that is computed, and counted, again.
    totals.note(1, 0, {**nothing, "delivered": 15, "skipped": 3, "computed": 5})
    totals.note(1, 0, {**nothing, "delivered": 25, "skipped": 4, "computed": 15}, over=True)
    found = totals.sums([(1, 1, first), (2, 0, first)])
    assert (found["delivered"], found["skipped"], found["computed"]) == (25 + 20, 4 + 4, 30 + 15 + 28)
    assert totals.sums([(1, 1, first), (2, 0, first)]) == found


def test_what_is_ignored_is_told_to_the_client_where_that_is_asked_for() -> None:
    house = House(Dataset.range(4).map(picky).ignore_errors(log_warning=True).with_options(Options(seed=5)))
    house.open()
    house.say(Next(SESSION, 0, 0, until=1000))
    told = [each.message.text for each in house.replies if isinstance(each.message, Printed)]
    assert [text.partition(" raised")[0] for text in told] == ["ignore_errors leaves out: map(picky)"]
