"""enumerate: numbers, failures, and that it does not matter where it is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError, TensorSpec

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def fussy(x: Any) -> Any:
    if x % 5 == 2:
        raise ValueError(f"bad {x}")
    return x * 10


def kept(dataset: Dataset) -> Dataset:
    """The same elements behind an operator that hides how many they are: numbers are counted, not known."""
    return dataset.filter(lambda *_: True)


def test_pairs_of_a_number_and_an_element(run: Run, same: Same) -> None:
    texts = Dataset.from_tensor_slices(["a", "b", "c"])
    same(run(texts.enumerate())[0], [(np.int64(0), b"a"), (np.int64(1), b"b"), (np.int64(2), b"c")])
    same(run(texts.enumerate(-1).skip(2))[0], [(np.int64(1), b"c")])
    same(run(Dataset.zip(texts, texts).enumerate(7).take(1))[0], [(np.int64(7), (b"a", b"a"))])


@pytest.mark.parametrize("behind", [lambda dataset: dataset, kept], ids=["known", "counted"])
def test_numbers_of_mapped_shuffled_and_cut_elements(run: Run, behind: Callable[[Dataset], Dataset]) -> None:
    numbers = Dataset.range(100, 200)
    assert run(behind(numbers.map(lambda x: -x)).enumerate())[0] == [(i, -100 - i) for i in range(100)]
    (got,) = run(behind(numbers.shuffle(100, seed=1)).enumerate(5))
    assert [number for number, _ in got] == list(range(5, 105))
    cut = behind(numbers.skip(10).shard(3, 1).take(5)).enumerate()
    assert run(cut) == [[(i, 111 + 3 * i) for i in range(5)]]
    assert run(behind(numbers.take(3)).repeat(2).enumerate())[0][-1] == (5, 102)
    assert run(behind(numbers.take(3)).enumerate().repeat(2))[0][-1] == (2, 102)


@pytest.mark.parametrize("behind", [lambda dataset: dataset, kept], ids=["known", "counted"])
def test_a_failed_element_takes_its_number_along(outcomes: Outcomes, behind: Callable[[Dataset], Dataset]) -> None:
    got = outcomes(iter(behind(Dataset.range(8).map(fussy)).enumerate()))
    assert [each if isinstance(each[0], np.int64) else "bad" for each in got] == [
        (0, 0),
        (1, 10),
        "bad",
        (3, 30),
        (4, 40),
        (5, 50),
        (6, 60),
        "bad",
    ]


@pytest.mark.parametrize("behind", [lambda dataset: dataset, kept], ids=["known", "counted"])
def test_elements_keep_who_they_are(run: Run, behind: Callable[[Dataset], Dataset]) -> None:
    def draw(number: Any, x: Any, rng: np.random.Generator) -> Any:
        return rng.integers(1 << 62)

    (got,) = run(behind(Dataset.range(40)).enumerate().map(draw).with_options(hr.Options(seed=1)))
    skipped = behind(Dataset.range(40)).enumerate().skip(9).map(draw).with_options(hr.Options(seed=1))
    assert len(set(got)) == 40
    assert run(skipped)[0] != got[9:], "an operator more is another path"
    twice = behind(Dataset.range(40)).enumerate().map(draw).repeat(2).with_options(hr.Options(seed=1))
    assert len(set(run(twice)[0])) == 80


def test_elements_of_unlike_structure_are_numbered_through(run: Run) -> None:
    mixed = kept(Dataset.range(6).map(lambda x: x if x % 2 else (x, b"even"))).enumerate()
    assert [number for number, _ in run(mixed)[0]] == list(range(6))


def test_its_spec_and_cardinality() -> None:
    dataset = Dataset.from_tensor_slices({"a": np.zeros((3, 2), np.float32)}).enumerate()
    assert dataset.element_spec == (TensorSpec((), np.int64), {"a": TensorSpec((2,), np.float32)})
    assert len(dataset) == 3
    with pytest.raises(InvalidArgumentError, match="start"):
        dataset.enumerate(1.5)  # type: ignore[arg-type]
