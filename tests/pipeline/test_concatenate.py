"""concatenate: order, identities, failures, what fits together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError, TensorSpec

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def draw(x: Any, rng: np.random.Generator) -> Any:
    return rng.integers(1 << 62)


def seeded(dataset: Dataset) -> Dataset:
    return dataset.with_options(hr.Options(seed=1))


def fussy(x: Any) -> Any:
    if x == 1:
        raise ValueError("bad")
    return x


def test_one_behind_the_other(run: Run) -> None:
    a, b = Dataset.range(3), Dataset.range(10, 12)
    assert run(a.concatenate(b)) == [[0, 1, 2, 10, 11]]
    assert run(b.concatenate(a).concatenate(b).skip(1).take(5)) == [[11, 0, 1, 2, 10]]
    assert run(a.take(0).concatenate(b).concatenate(a.filter(lambda x: x > 5))) == [[10, 11]]
    assert run(a.concatenate(b).repeat(2)) == [[0, 1, 2, 10, 11] * 2]


def test_behind_an_endless_one_nothing_comes(run: Run) -> None:
    assert run(Dataset.range(2).repeat().concatenate(Dataset.range(9, 10)).take(5)) == [[0, 1, 0, 1, 0]]


def test_batches_and_shuffles_go_across_the_seam(run: Run) -> None:
    both = Dataset.range(3).concatenate(Dataset.range(3, 7))
    assert [batch.tolist() for batch in run(both.batch(2))[0]] == [[0, 1], [2, 3], [4, 5], [6]]
    (got,) = run(both.shuffle(7, seed=1))
    assert sorted(got) == list(range(7)) != got


def test_one_dataset_twice_draws_anew(run: Run) -> None:
    noisy = Dataset.range(20).map(draw)
    (once,) = run(seeded(noisy.take(20)))
    one, two = (run(seeded(noisy.concatenate(noisy)), epochs=2) for _ in range(2))
    assert one == two
    assert len({number for epoch in [*one, once] for number in epoch}) == 100
    (outside,) = run(seeded(Dataset.range(20).concatenate(Dataset.range(20)).map(draw)))
    assert len(set(outside)) == 40


def test_files_on_both_sides(run: Run, text_file: Callable[..., str]) -> None:
    path = text_file(b"a\nb\nc\n")
    lines = hr.TextLineDataset(path)
    assert run(lines.concatenate(Dataset.from_tensor_slices(["x"])).concatenate(lines)) == [
        [b"a", b"b", b"c", b"x", b"a", b"b", b"c"]
    ]
    (got,) = run(seeded(lines.map(draw).concatenate(lines.map(draw))))
    assert len(set(got)) == 6


def test_a_failure_is_raised_in_its_place(outcomes: Outcomes) -> None:
    fails = Dataset.range(3).map(fussy)
    got = outcomes(iter(fails.concatenate(fails)))
    assert [each if isinstance(each, np.int64) else each[0] for each in got] == [0, hr.FunctionError, 2] * 2


def test_many_are_one_row_and_no_pile(run: Run) -> None:
    dataset = Dataset.range(0)
    for number in range(200):
        dataset = dataset.concatenate(Dataset.range(number, number + 1))
    assert run(dataset) == [list(range(200))]


def test_what_does_not_fit_is_refused_where_it_can_be_told() -> None:
    pairs = Dataset.from_tensor_slices(([1], ["a"]))
    with pytest.raises(InvalidArgumentError, match=r"differ in structure: \['0'\] and \['0', '1'\]"):
        Dataset.range(3).concatenate(pairs)
    with pytest.raises(InvalidArgumentError, match="differ in dtype: int64 and bytes"):
        Dataset.range(3).shuffle(2).concatenate(hr.TextLineDataset("none"))
    made = Dataset.range(3).concatenate(Dataset.range(3).map(lambda x: (x, x)))
    with pytest.raises(InvalidArgumentError, match="differ in structure"):
        _ = made.element_spec
    with pytest.raises(InvalidArgumentError, match="concatenate needs a Dataset, not list"):
        Dataset.range(3).concatenate([1])  # type: ignore[arg-type]


def test_its_spec_covers_both_and_its_cardinality_is_the_sum() -> None:
    wide, narrow = Dataset.from_tensors(np.zeros((2, 3))), Dataset.from_tensors(np.zeros((2, 4)))
    assert wide.concatenate(narrow).element_spec == TensorSpec((2, None), np.float64)
    assert Dataset.range(3).concatenate(Dataset.range(4)).cardinality() == 7
    unknown = Dataset.range(3).filter(lambda x: True)
    assert Dataset.range(3).concatenate(unknown).cardinality() == hr.UNKNOWN_CARDINALITY
    assert unknown.concatenate(Dataset.range(3).repeat()).cardinality() == hr.INFINITE_CARDINALITY


def test_a_generator_that_does_not_say_what_it_gives_is_not_run_to_compare_it() -> None:
    def never() -> Any:
        raise AssertionError("it is run")

    Dataset.range(2).concatenate(Dataset.from_generator(never))
    nothing = Dataset.from_generator(lambda: iter(()))
    assert list(nothing.concatenate(nothing).ragged_batch(2)) == []
