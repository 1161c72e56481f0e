"""Errors as data, in process: what is skipped, ignored, quarantined and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.pipeline import local_run
from headrace.pipeline.cardinality import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from headrace.pipeline.records import TFRecordWriter, scan_records

Outcomes = Callable[[Iterator[Any]], list[Any]]
Same = Callable[[Any, Any], None]


def picky(x: Any) -> Any:
    if x % 5 == 2:
        raise ValueError(f"{x} is not to my liking")
    return x


def with_policy(dataset: hr.Dataset, on_error: Any = "skip", budget: int | None = None) -> hr.Dataset:
    return dataset.with_options(hr.Options(on_error=on_error, error_budget=budget, seed=7))


def failing() -> hr.Dataset:
    return hr.Dataset.range(40).map(picky)


def images_and_labels() -> hr.Dataset:
    labels = hr.Dataset.range(40).map(lambda x: -x)
    return hr.Dataset.zip(failing(), labels)


PIPELINES: dict[str, Callable[[], hr.Dataset]] = {
    "map": failing,
    "filter behind": lambda: failing().filter(lambda x: bool(x % 3)),
    "a predicate that fails": lambda: hr.Dataset.range(40).filter(lambda x: bool(picky(x) % 2)),
    "batch": lambda: failing().batch(4),
    "a map of batches": lambda: failing().shuffle(8, seed=1).batch(4).map(lambda b: b.sum() // (b.max() % 3)),
    "shuffle and repeat": lambda: failing().shuffle(9, seed=3).repeat(3),
    "numbers": lambda: failing().enumerate(),
    "numbers behind a filter": lambda: failing().filter(lambda x: bool(x % 3)).enumerate(),
    "zip": images_and_labels,
    "take and skip": lambda: failing().filter(lambda x: x >= 0).skip(3).take(20),
    "concatenate": lambda: failing().concatenate(failing().map(lambda x: x + 100)),
    "flat_map": lambda: hr.Dataset.range(9).flat_map(lambda n: hr.Dataset.range(n).map(picky)),
    "a flat_map that fails": lambda: hr.Dataset.range(9).flat_map(lambda n: hr.Dataset.range(picky(n))),
    "interleave": lambda: hr.Dataset.range(9).interleave(lambda n: hr.Dataset.range(picky(n)).map(picky), 3, 2),
    "unlike shapes": lambda: hr.Dataset.range(12).map(lambda x: np.zeros(1 + int(x == 5))).batch(3),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_skipping_gives_what_raising_gives_without_the_errors(name: str, outcomes: Outcomes, same: Same) -> None:
    raised = outcomes(with_policy(PIPELINES[name](), "raise").iterate(1))
    kept = [each for each in raised if not is_error(each)]
    assert len(kept) < len(raised), "nothing failed"
    iterator = with_policy(PIPELINES[name]()).iterate(1)
    same(list(iterator), kept)
    assert iterator.summary().ledger["skipped"] == len(raised) - len(kept)
    assert iterator.summary().ledger["failed"] == 0


def is_error(outcome: Any) -> bool:
    return isinstance(outcome, tuple) and bool(outcome) and isinstance(outcome[0], type)


def test_what_stands_beside_a_skipped_element_goes_with_it() -> None:
    found = list(with_policy(images_and_labels()))
    assert found == [(x, -x) for x in range(40) if x % 5 != 2]


@given(
    keeps=st.lists(st.sampled_from(["keep", "drop", "fail"]), min_size=1, max_size=60),
    take=st.integers(1, 7),
    policy=st.sampled_from(["skip", "raise"]),
)
def test_what_came_out_was_filtered_skipped_or_failed_adds_up_to_what_was_read(
    keeps: list[str], take: int, policy: str
) -> None:
    def judge(x: Any) -> bool:
        if keeps[x] == "fail":
            raise ValueError(x)
        return bool(keeps[x] == "keep")

    iterator = with_policy(hr.Dataset.range(len(keeps)).filter(judge).batch(take), policy).iterate(0)
    while True:
        try:
            next(iterator)
        except hr.FunctionError:
            continue
        except StopIteration:
            break
    summary, ledger = iterator.summary(), iterator.summary().ledger
    failures = keeps.count("fail")
    assert ledger["filtered"] == keeps.count("drop")
    assert (ledger["skipped"], ledger["failed"]) == ((failures, 0) if policy == "skip" else (0, failures))
    assert summary.elements == keeps.count("keep")
    assert summary.elements + ledger["filtered"] + ledger["skipped"] + ledger["failed"] == len(keeps)


# The budget.


@pytest.mark.parametrize("budget", [0, 1, 7, 8])
def test_what_is_over_the_budget_raises_in_its_place(budget: int, outcomes: Outcomes) -> None:
    found = outcomes(with_policy(failing(), budget=budget).iterate(0))
    bad = [x for x in range(40) if x % 5 == 2][budget:]
    assert [each if not is_error(each) else each[0] for each in found] == [
        hr.ResourceExhaustedError if x in bad else x for x in range(40) if x % 5 != 2 or x in bad
    ]
    for x, error in zip(bad, [each for each in found if is_error(each)], strict=True):
        assert f"{budget:,} elements of this epoch failed and were skipped" in error[1]
        assert f"more than {budget:,} may not be" in error[1]
        assert f"{x} is not to my liking" in error[1]


def test_a_thousand_may_be_skipped_where_nobody_says_how_many() -> None:
    def never(x: Any) -> Any:
        raise ValueError("never")

    iterator = with_policy(hr.Dataset.range(1001).map(never)).iterate(0)
    with pytest.raises(hr.ResourceExhaustedError, match="1,000 elements of this epoch failed"):
        next(iterator)
    assert list(iterator) == []
    assert {kind: iterator.summary().ledger[kind] for kind in ("skipped", "failed")} == {"skipped": 1000, "failed": 1}


def test_each_pass_has_a_budget_of_its_own() -> None:
    dataset = with_policy(failing(), budget=8)
    assert list(dataset) == list(dataset) == [x for x in range(40) if x % 5 != 2]


# Files.


@pytest.fixture
def records(tmp_path: Path) -> tuple[Path, list[int]]:
    """A file of twenty records, and where each begins."""
    path = tmp_path / "records.tfrecord"
    with TFRecordWriter(path) as writer:
        for number in range(20):
            writer.write(b"%02d" % number)
    return path, scan_records(str(path), 1)


def damage(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_record_whose_content_is_damaged_is_skipped_alone(records: tuple[Path, list[int]]) -> None:
    path, places = records
    damage(path, places[4] + 12)
    iterator = iter(with_policy(hr.TFRecordDataset([str(path)])))
    assert [int(each) for each in iterator] == [x for x in range(20) if x != 4]
    assert iterator.summary().ledger["skipped"] == 1


def test_where_a_file_cannot_be_read_on_its_rest_is_one_skip_and_the_line_says_so(
    records: tuple[Path, list[int]], tmp_path: Path
) -> None:
    path, places = records
    damage(path, places[14])
    told = tmp_path / "skipped.jsonl"
    iterator = iter(with_policy(hr.TFRecordDataset([str(path), str(path)]).map(int), told))
    assert list(iterator) == [*range(14), *range(14)]
    assert iterator.summary().ledger["skipped"] == 2
    for line in lines(told):
        assert (line["file"], line["record"], line["rest"]) == (str(path), places[14], True)
        assert (line["kind"], line["operator"]) == ("DataLossError", "read")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# Quarantine.


def test_each_skipped_element_is_a_line_of_json(records: tuple[Path, list[int]], tmp_path: Path) -> None:
    path, places = records
    told = tmp_path / "skipped.jsonl"

    def parse(record: bytes) -> int:
        if record in (b"03", b"11"):
            raise KeyError(f"no {record.decode()}")
        return int(record)

    dataset = with_policy(hr.TFRecordDataset([str(path)]).map(parse).batch(4), told)
    list(dataset.iterate(0)), list(dataset.iterate(1))
    found = lines(told)
    assert [(each["epoch"], each["number"], each["record"]) for each in found] == [
        (epoch, number, places[at]) for epoch in (0, 1) for number, at in ((1, 3), (2, 11))
    ]
    assert len({each["run"] for each in found}) == 2, "two iterators"
    first = found[0]
    assert first["file"] == str(path)
    assert first["operator"].startswith("map(")
    assert (first["kind"], first["rest"]) == ("FunctionError", False)
    assert "KeyError: 'no 03'" in first["error"]
    assert "Traceback" not in first["error"]
    assert f"the record at byte {places[3]:,} of {path}" in first["where"]


def test_what_fails_as_a_batch_is_quarantined_too(tmp_path: Path) -> None:
    told = tmp_path / "skipped.jsonl"
    list(with_policy(PIPELINES["unlike shapes"](), told))
    (line,) = lines(told)
    assert (line["kind"], line["record"], line["operator"]) == ("InvalidArgumentError", None, "batch")


def test_a_relative_path_is_of_the_folder_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = with_policy(failing(), "skipped.jsonl")
    monkeypatch.chdir(tmp_path)
    list(dataset)
    assert len(lines(tmp_path / "skipped.jsonl")) == 8


def test_a_line_that_was_torn_stays_and_the_next_stands_on_its_own(tmp_path: Path) -> None:
    told = tmp_path / "skipped.jsonl"
    told.write_text('{"run": "an older one", "epoch": 0, "numb')
    list(with_policy(failing(), told))
    first, *others = told.read_text().splitlines()
    assert first == '{"run": "an older one", "epoch": 0, "numb'
    assert [json.loads(each)["number"] for each in others] == list(range(1, 9))


def test_where_it_cannot_be_written_that_raises_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    iterator = iter(with_policy(failing(), folder / "skipped.jsonl"))
    assert [next(iterator), next(iterator)] == [0, 1]
    with pytest.raises(hr.ServiceError, match="cannot be written there"):
        next(iterator)
    folder.mkdir()
    assert list(iterator) == [x for x in range(3, 40) if x % 5 != 2]
    assert len(lines(folder / "skipped.jsonl")) == 8


def test_looking_at_what_elements_are_quarantines_nothing(tmp_path: Path) -> None:
    told = tmp_path / "skipped.jsonl"
    dataset = with_policy(hr.Dataset.range(9).map(lambda x: picky(x + 2)), told)
    assert dataset.element_spec == hr.TensorSpec((), np.int64)
    assert not told.exists()


# ignore_errors.


def test_ignored_elements_were_never_there_for_what_is_behind() -> None:
    dataset = failing().ignore_errors().enumerate()
    kept = [x for x in range(40) if x % 5 != 2]
    assert list(dataset) == list(enumerate(kept))
    assert list(hr.Dataset.zip(failing().ignore_errors(), hr.Dataset.range(3))) == [(0, 0), (1, 1), (3, 2)]


def test_only_what_fails_before_is_ignored(outcomes: Outcomes) -> None:
    dataset = failing().ignore_errors().map(lambda x: {}[x] if x == 3 else x)
    found = outcomes(dataset.iterate(0))
    assert [each[0] if is_error(each) else each for each in found[:4]] == [0, 1, hr.FunctionError, 4]


@pytest.mark.parametrize(
    "dataset",
    [
        PIPELINES["unlike shapes"]().ignore_errors(),
        hr.TextLineDataset(["/nowhere/a", "/nowhere/b"]).ignore_errors(),
        hr.TextLineDataset(["/nowhere/a", "/nowhere/b"]).map(lambda x: x).prefetch(2).ignore_errors().prefetch(2),
        hr.Dataset.range(3).flat_map(lambda n: hr.Dataset.range(2).map(lambda x: {}[x]).ignore_errors()),
        hr.Dataset.range(3).interleave(lambda n: hr.TextLineDataset("/nowhere")).ignore_errors(),
    ],
)
def test_failures_of_operators_and_readers_are_ignored_as_those_of_functions(dataset: hr.Dataset) -> None:
    assert all(np.asarray(each).shape == (3, 1) for each in dataset)


def test_what_is_ignored_is_counted_and_neither_budgeted_nor_quarantined(tmp_path: Path) -> None:
    told = tmp_path / "skipped.jsonl"
    iterator = iter(with_policy(failing().ignore_errors(), told, budget=0))
    assert len(list(iterator)) == 32
    assert iterator.summary().ledger["skipped"] == 8
    assert not told.exists()


def test_ignored_elements_are_told_where_that_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert len(list(failing().ignore_errors(log_warning=True))) == 32
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 8
    assert "ignore_errors leaves out: map(picky) raised ValueError: 2 is not to my liking" in told[0]
    assert "[map(picky), element 2]" in told[0]


def test_how_many_are_left_nobody_knows() -> None:
    assert failing().ignore_errors().cardinality() == UNKNOWN_CARDINALITY
    assert failing().repeat().ignore_errors().cardinality() == INFINITE_CARDINALITY
    assert with_policy(failing()).cardinality() == 40, "as where nothing fails"


# What is decided stays so.


class Fickle:
    """Fails the first time it sees each of some elements."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.seen = bad, set[int]()

    def __call__(self, x: Any) -> Any:
        if int(x) in self.bad - self.seen:
            self.seen.add(int(x))
            raise OSError("the disk was busy")
        return x


@pytest.mark.parametrize("stop", [1, 3, 6])
@pytest.mark.parametrize("kind", ["skip", "raise", "ignore", "flat"])
def test_what_failed_once_stays_failed_when_it_is_computed_again(
    stop: int, kind: str, tmp_path: Path, outcomes: Outcomes, same: Same
) -> None:
    bad = {1, 2}  # before the first batch is full, so that both are decided
    told = tmp_path / "skipped.jsonl"

    def dataset(function: Any) -> hr.Dataset:
        numbers = hr.Dataset.range(24)
        if kind == "flat":
            return with_policy(numbers.flat_map(lambda x: hr.Dataset.range(function(x), x + 2)).batch(3), told)
        mapped = numbers.map(function)
        mapped = mapped.ignore_errors() if kind == "ignore" else mapped
        return with_policy(mapped.shuffle(4, seed=1).batch(3), "raise" if kind == "raise" else told)

    expected = outcomes(dataset(Fickle(bad)).iterate(0))
    told.unlink(missing_ok=True)
    function = Fickle(bad)
    first = dataset(function).iterate(0)
    begun = []
    for _ in range(stop):
        begun += outcomes_of_one(first, outcomes)
    state = first.state_dict()
    again = dataset(function).iterate(0)
    again.load_state_dict(state)
    same(words([*begun, *outcomes(again)]), words(expected))
    if kind in ("skip", "flat"):
        numbers = [each["number"] for each in lines(told)]
        assert numbers == [1, 2], "each stands there once"


def outcomes_of_one(iterator: Iterator[Any], outcomes: Outcomes) -> list[Any]:
    try:
        return [next(iterator)]
    except hr.HeadraceError as error:
        return [(type(error), str(error))]


def words(found: list[Any]) -> list[Any]:
    """Of errors the first line."""
    return [str(each[1]).partition("\n")[0] if is_error(each) else each for each in found]


# What can be said.


def test_what_failed_behind_an_ignore_errors_still_raises_where_it_goes_on(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_run, "LEAST_S", 0)
    monkeypatch.setattr(local_run, "SHARE", 0)
    dataset = hr.Dataset.from_tensor_slices([1, -1, 3]).ignore_errors().map(picky).map(lambda x: x)
    whole = outcomes(iter(dataset))
    for at in range(1, 4):
        first, again = iter(dataset), iter(dataset)
        begun = [each for _ in range(at) for each in outcomes_of_one(first, outcomes)]
        again.load_state_dict(first.state_dict())
        assert words(begun + outcomes(again)) == words(whole)


@pytest.mark.parametrize("wrong", ["", 3, b"skip", "folder/"])
def test_what_on_error_cannot_be_is_refused(wrong: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=r"on_error is .*: it must be"):
        hr.Dataset.range(3).with_options(hr.Options(on_error=wrong))


def test_what_a_budget_cannot_be_is_refused() -> None:
    with pytest.raises(hr.InvalidArgumentError, match="error_budget is -1"):
        hr.Dataset.range(3).with_options(hr.Options(error_budget=-1))


def test_what_is_said_last_counts_and_what_is_not_said_stays() -> None:
    dataset = failing().with_options(hr.Options(on_error="skip", error_budget=2))
    with pytest.raises(hr.ResourceExhaustedError):
        list(dataset.with_options(hr.Options(seed=3)))
    with pytest.raises(hr.FunctionError):
        list(dataset.with_options(hr.Options(on_error="raise")))
    assert len(list(dataset.with_options(hr.Options(error_budget=9)))) == 32
