"""flat_map: the elements of the datasets that a function makes, one dataset behind the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]
Same = Callable[[Any, Any], None]


def noisy(x: Any, rng: np.random.Generator) -> Any:
    return x * 1000 + rng.integers(1000)


def test_datasets_come_one_behind_the_other(run: Run) -> None:
    dataset = Dataset.range(5).flat_map(lambda n: Dataset.range(n))
    assert run(dataset, epochs=2) == [[x for n in range(5) for x in range(n)]] * 2


def test_datasets_without_elements_leave_nothing(run: Run) -> None:
    assert run(Dataset.range(50).flat_map(lambda n: Dataset.range(n if n % 10 == 3 else 0))) == [
        [x for n in (3, 13, 23, 33, 43) for x in range(n)]
    ]
    assert run(Dataset.range(50).flat_map(lambda n: Dataset.range(0))) == [[]]
    assert run(Dataset.range(0).flat_map(lambda n: Dataset.range(9))) == [[]]


def test_lines_of_each_file_but_its_header(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tables").mkdir()
    for name in "abc":
        (tmp_path / "tables" / f"{name}.csv").write_text("header\n" + "".join(f"{name}{i}\n" for i in range(4)))
    monkeypatch.chdir(tmp_path)  # names are relative, and workers are elsewhere
    dataset = Dataset.list_files("tables/*.csv", shuffle=False).flat_map(lambda name: hr.TextLineDataset(name).skip(1))
    assert run(dataset, epochs=2) == [[b"%s%d" % (name, i) for name in (b"a", b"b", b"c") for i in range(4)]] * 2


def test_files_are_listed_inside_where_the_script_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    monkeypatch.chdir(tmp_path)

    def inside(folder: bytes) -> Dataset:
        return hr.TextLineDataset(Dataset.list_files(os.fsdecode(folder) + "/*.txt"))

    assert run(Dataset.from_tensor_slices(["one", "two"]).flat_map(inside)) == [[b"one", b"two"]]


def test_all_kinds_of_operators_work_inside(run: Run) -> None:
    def inside(n: Any) -> Dataset:
        return Dataset.range(10).map(lambda x: x + 100 * n).filter(lambda x: bool(x % 2)).repeat(2).take(7).batch(3)

    (got,) = run(Dataset.range(3).flat_map(inside))
    expected = [[100 * n + each for each in (1, 3, 5, 7, 9, 1, 3)] for n in range(3)]
    assert [batch.tolist() for batch in got] == [each[i : i + 3] for each in expected for i in (0, 3, 6)]


def test_datasets_nest_further(run: Run) -> None:
    def outer(n: Any) -> Dataset:
        return Dataset.range(n).flat_map(lambda m: Dataset.range(m).map(lambda x: (n, m, x)))

    (got,) = run(Dataset.range(5).flat_map(outer))
    assert got == [(n, m, x) for n in range(5) for m in range(n) for x in range(m)]


def test_tuples_spread_over_the_arguments(run: Run) -> None:
    dataset = Dataset.from_tensor_slices(([1, 2], [10, 20])).flat_map(lambda a, b: Dataset.from_tensors(a + b))
    assert run(dataset) == [[11, 22]]


def test_the_same_dataset_may_be_returned_again_and_again(run: Run) -> None:
    inner = Dataset.from_tensor_slices(np.arange(4))
    assert run(Dataset.range(3).flat_map(lambda _: inner)) == [[0, 1, 2, 3] * 3]


def test_elements_of_unlike_structure_may_follow_one_another(run: Run) -> None:
    def inside(n: Any) -> Dataset:
        return Dataset.from_tensors(b"text" if n % 2 else {"number": n})

    assert run(Dataset.range(4).flat_map(inside)) == [[{"number": 0}, b"text", {"number": 2}, b"text"]]


def test_an_endless_dataset_inside_is_taken_from(run: Run) -> None:
    dataset = Dataset.range(3).flat_map(lambda n: Dataset.from_tensors(n).repeat()).take(5000)
    assert run(dataset) == [[0] * 5000]


def test_a_large_dataset_inside_streams_through(run: Run) -> None:
    def megabytes(n: Any) -> Dataset:
        return Dataset.range(400).map(lambda x: np.full(1 << 17, x + n))  # 1 MiB each

    (got,) = run(Dataset.range(2).flat_map(megabytes).map(lambda each: each[0]))
    assert got == [*range(400), *range(1, 401)]


def test_what_is_behind_comes_out_the_same(run: Run) -> None:
    inner = Dataset.range(2000).flat_map(lambda n: Dataset.range(n % 4).map(lambda x: (n, x)))
    dataset = inner.map(lambda n, x: n * 10 + x).filter(lambda x: bool(x % 3)).shuffle(50, seed=1).batch(16)
    (got,) = run(dataset)
    numbers = sorted(n * 10 + x for n in range(2000) for x in range(n % 4) if (n * 10 + x) % 3)
    assert sorted(np.concatenate(got).tolist()) == numbers


# Randomness inside: the same wherever it runs.


@pytest.fixture
def both(service: hr.Service, same: Same) -> Callable[[Dataset], list[list[Any]]]:
    """`both(dataset)`: two epochs, the same in process and from the service."""

    def run_both(dataset: Dataset) -> list[list[Any]]:
        epochs = [list(dataset.iterate(epoch)) for epoch in range(2)]
        with service.iterate(dataset) as iterator:
            for epoch in epochs:
                same(list(iterator), epoch)
        return epochs

    return run_both


def test_a_shuffle_inside_has_an_order_of_its_own_in_each_dataset_and_epoch(both: Any) -> None:
    dataset = Dataset.range(3).flat_map(lambda n: Dataset.range(20).shuffle(20).batch(20))
    epochs = both(dataset)
    orders = {tuple(batch.tolist()) for epoch in epochs for batch in epoch}
    assert len(orders) == 6
    assert all(sorted(order) == list(range(20)) for order in orders)


def test_a_seeded_shuffle_inside_draws_from_its_seed_and_the_epoch(both: Any) -> None:
    first, second = both(Dataset.range(3).flat_map(lambda n: Dataset.range(20).shuffle(20, seed=4).batch(20)))
    alone = Dataset.range(20).shuffle(20, seed=4)
    assert [batch.tolist() for batch in first] == [list(alone.iterate(0))] * 3
    assert [batch.tolist() for batch in second] == [list(alone.iterate(1))] * 3


def test_random_functions_inside_and_behind_differ_by_dataset_and_element(both: Any) -> None:
    inside = Dataset.range(4).flat_map(lambda n: Dataset.range(5).map(noisy))
    behind = Dataset.range(4).flat_map(lambda n: Dataset.range(5)).map(noisy)
    for dataset in (inside, behind, Dataset.range(2).repeat(2).flat_map(lambda n: Dataset.range(5).map(noisy))):
        epochs = both(dataset)
        drawn = [int(x) % 1000 for epoch in epochs for x in epoch]
        assert len(set(drawn)) > 0.9 * len(drawn), "the same numbers were drawn again"


def test_the_seed_of_options_decides(both: Any) -> None:
    def made(seed: int) -> Dataset:
        inner = Dataset.range(3).flat_map(lambda n: Dataset.range(20).shuffle(20).map(noisy))
        return inner.with_options(hr.Options(seed=seed))

    one, again, other = (both(made(seed)) for seed in (1, 1, 2))
    assert one == again != other


# Failures.


def fussy(x: Any) -> Any:
    if x == 2:
        raise ValueError("two")
    return x


def test_an_element_that_fails_inside_fails_in_its_place(service: hr.Service, outcomes: Outcomes) -> None:
    dataset = Dataset.range(5).flat_map(lambda n: Dataset.range(n).map(fussy))
    found = outcomes(iter(dataset))
    assert [each for each in found if not isinstance(each, tuple)] == [0, 0, 1, 0, 1, 0, 1, 3]
    assert [i for i, each in enumerate(found) if isinstance(each, tuple)] == [5, 8]
    assert all(each[0] is hr.FunctionError for each in found if isinstance(each, tuple))
    assert "[map(fussy), element 2]" in found[5][1]
    served = outcomes(service.iterate(dataset))
    assert [_place(each) for each in served] == [_place(each) for each in found]


def _place(outcome: Any) -> Any:
    """An error's kind and place; the traceback in between is that of another process."""
    return (outcome[0], outcome[1].rpartition("[")[2]) if isinstance(outcome, tuple) else outcome


def test_a_record_that_fails_is_named_by_its_file(run: Run, text_file: Callable[..., str]) -> None:
    path = text_file(b"1\n2\nx\n4\n")
    names = Dataset.from_tensor_slices([path])
    for dataset in (
        names.flat_map(lambda name: hr.TextLineDataset(name).map(int)),
        names.flat_map(lambda name: hr.TextLineDataset(name)).map(int),
        names.flat_map(lambda name: hr.TextLineDataset(name)).filter(lambda line: bool(int(line))),
    ):
        with pytest.raises(hr.FunctionError, match=f"the record at byte 4 of {path}"):
            run(dataset)


def test_what_fails_behind_is_named_by_its_outer_element(run: Run) -> None:
    with pytest.raises(
        hr.FunctionError, match=r"map\(fussy\), element 1 of what flat_map\(<lambda>\) made of element 0"
    ):
        run(Dataset.range(3).flat_map(lambda n: Dataset.range(1, 4)).map(fussy))


def test_a_function_that_fails_loses_just_its_dataset(service: hr.Service, outcomes: Outcomes) -> None:
    def inside(n: Any) -> Dataset:
        return Dataset.range(6 // (int(n) - 1))

    for iterator in (iter(Dataset.range(4).flat_map(inside)), service.iterate(Dataset.range(4).flat_map(inside))):
        found = outcomes(iterator)
        assert [each for each in found if not isinstance(each, tuple)] == [0, 1, 2, 3, 4, 5, 0, 1, 2]
        ((kind, text),) = (each for each in found if isinstance(each, tuple))
        assert kind is hr.FunctionError
        assert "ZeroDivisionError" in text
        assert text.endswith("inside), element 1]")


def test_a_function_must_return_a_dataset(run: Run) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=r"flat_map\(<lambda>\) must return a Dataset, not list"):
        run(Dataset.range(3).flat_map(lambda n: [n]))
    with pytest.raises(hr.InvalidArgumentError, match="flat_map needs a function"):
        Dataset.range(3).flat_map(3)  # type: ignore[arg-type]


def test_a_missing_file_is_one_failure_and_the_files_behind_it_are_read(
    service: hr.Service, outcomes: Outcomes, text_file: Callable[..., str]
) -> None:
    path = text_file(b"a\nb\n")
    dataset = Dataset.from_tensor_slices([path, path + "x", path]).flat_map(lambda name: hr.TextLineDataset(name))
    for iterator in (iter(dataset), service.iterate(dataset)):
        found = outcomes(iterator)
        assert found[:2] + found[3:] == [b"a", b"b", b"a", b"b"]
        assert found[2][0] is hr.NotFoundError
        assert path + "x" in found[2][1]


def test_a_pattern_that_matches_nothing_inside_fails_in_its_place(run: Run) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="No files matched pattern: 'nowhere/"):
        run(Dataset.range(1).flat_map(lambda n: Dataset.list_files("nowhere/*")))


def test_a_batch_that_cannot_be_made_inside_is_placed(run: Run) -> None:
    def inside(n: Any) -> Dataset:
        return Dataset.range(3).map(lambda x: np.zeros(x)).batch(3)

    with pytest.raises(hr.InvalidArgumentError, match=r"different shapes .*inside\), element 0\]"):
        run(Dataset.range(1).flat_map(inside))


# What is known without running.


def test_functions_are_called_no_further_ahead_than_the_loop_has_come() -> None:
    called: list[int] = []

    def inside(n: Any) -> Dataset:
        called.append(int(n))
        return Dataset.range(1000)

    iterator = iter(Dataset.range(1000).flat_map(inside))
    assert [int(next(iterator)) for _ in range(500)] == list(range(500))
    assert called == [0]


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (Dataset.range(3).flat_map(lambda n: Dataset.range(n)), UNKNOWN_CARDINALITY),
        (Dataset.range(3).repeat().flat_map(lambda n: Dataset.range(n)), INFINITE_CARDINALITY),
        (Dataset.range(3).flat_map(lambda n: Dataset.range(n)).repeat(), INFINITE_CARDINALITY),
    ],
)
def test_cardinality(dataset: Dataset, expected: int) -> None:
    assert dataset.cardinality() == expected


def test_the_spec_is_seen_from_the_first_elements() -> None:
    dataset = Dataset.range(1, 4).flat_map(lambda n: Dataset.from_tensors({"a": np.zeros(n, np.float32)}).repeat(2))
    assert dataset.element_spec == {"a": hr.TensorSpec([None], "float32")}


def test_a_failure_names_the_file_of_its_record_however_many_are_computed_at_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(f"{name}\n" * 2)

    def failing(line: bytes) -> Any:
        raise ValueError(line.decode())

    lines = Dataset.from_tensor_slices([str(tmp_path / name) for name in "ab"]).flat_map(hr.TextLineDataset)
    iterator, found = iter(lines.filter(failing).shuffle(9)), []
    while True:
        try:
            next(iterator)
        except hr.FunctionError as error:
            found.append((error.reason[-1], str(error.where)[-1]))
        except StopIteration:
            break
    assert found == [("a", "a"), ("a", "a"), ("b", "b"), ("b", "b")]
