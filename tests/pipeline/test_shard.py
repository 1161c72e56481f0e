"""shard, and take and skip, which move positions where a leaf can be counted; apply."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def kept(dataset: Dataset) -> Dataset:
    """The same elements behind an operator that hides how many they are: nothing of them can be left out unread."""
    return dataset.filter(lambda *_: True)


def same_dataset(dataset: Dataset) -> Dataset:
    return dataset


@pytest.mark.parametrize("behind", [same_dataset, kept])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_every_element_is_in_one_shard(run: Run, behind: Callable[[Dataset], Dataset], count: int) -> None:
    shards = [run(behind(Dataset.range(17)).shard(count, index))[0] for index in range(count)]
    assert shards == [list(range(17))[index::count] for index in range(count)]


@pytest.mark.parametrize("behind", [same_dataset, kept])
@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (lambda each: each.skip(3).take(10).shard(3, 1), [4, 7, 10]),
        (lambda each: each.shard(2, 1).skip(2).shard(3, 0), [5, 11, 17, 23, 29]),
        (lambda each: each.take(5).take(-1).skip(0).skip(4), [4]),
        (lambda each: each.skip(-1), []),
        (lambda each: each.take(0), []),
        (lambda each: each.skip(40), []),
        (lambda each: each.shard(50, 40), []),
        (lambda each: each.shard(7, 3).prefetch(2).take(2).repeat(2), [3, 10, 3, 10]),
    ],
)
def test_cuts_of_cuts(run: Run, behind: Any, cut: Any, expected: list[int]) -> None:
    assert run(cut(behind(Dataset.range(30)))) == [expected]


def test_rows_of_every_kind_are_cut(run: Run, same: Callable[[Any, Any], None]) -> None:
    rows = Dataset.from_tensor_slices({"a": np.arange(20.0).reshape(10, 2), "b": [f"t{i}" for i in range(10)]})
    (whole,) = run(rows)
    same(run(rows.skip(1).shard(4, 2))[0], whole[3::4])
    same(run(rows.skip(7))[0], whole[7:])


@pytest.mark.parametrize("behind", [same_dataset, kept])
def test_an_element_draws_the_same_in_whatever_shard_it_is(run: Run, behind: Callable[[Dataset], Dataset]) -> None:
    def draw(x: Any, rng: np.random.Generator) -> Any:
        return x, rng.integers(1 << 62)

    def drawn(cut: Callable[[Dataset], Dataset]) -> dict[int, int]:
        return dict(run(cut(behind(Dataset.range(12))).map(draw).with_options(hr.Options(seed=1)))[0])

    first, second = drawn(lambda each: each.shard(2, 0)), drawn(lambda each: each.shard(2, 1))
    skipped = drawn(lambda each: each.skip(5))
    assert sorted([*first, *second]) == list(range(12))
    both = first | second
    assert {x: both[x] for x in skipped} == skipped
    assert len(set(both.values())) == 12


def test_files_are_sharded_by_name_before_they_are_read(run: Run, text_file: Callable[..., str]) -> None:
    paths = [text_file(b"%d\n" % i, f"{i}.txt") for i in range(4)] + ["/none/such.txt"]
    names = Dataset.from_tensor_slices(paths)
    assert run(hr.TextLineDataset(names.shard(2, 1))) == [[b"1", b"3"]]


def test_failures_are_raised_in_every_shard_and_do_not_count(outcomes: Outcomes) -> None:
    def fussy(x: Any) -> Any:
        if x == 2:
            raise ValueError("bad")
        return x

    dataset = Dataset.range(8).map(fussy)
    shards = [outcomes(iter(dataset.shard(2, index))) for index in range(2)]
    told = [[each if isinstance(each, np.int64) else "bad" for each in shard] for shard in shards]
    assert told == [[0, "bad", 3, 5, 7], [1, "bad", 4, 6]]


def test_a_shard_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="index is 3: of 3 shards it must be 0 to 2"):
        Dataset.range(9).shard(3, 3)
    with pytest.raises(InvalidArgumentError, match="index is -1"):
        Dataset.range(9).shard(3, -1)
    with pytest.raises(InvalidArgumentError, match="num_shards is 0: it must be at least 1"):
        Dataset.range(9).shard(0, 0)


def test_its_cardinality() -> None:
    assert [Dataset.range(10).shard(3, index).cardinality() for index in range(3)] == [4, 3, 3]
    assert Dataset.range(2).shard(5, 4).cardinality() == 0
    assert Dataset.range(10).repeat().shard(3, 0).cardinality() == hr.INFINITE_CARDINALITY
    assert kept(Dataset.range(10)).shard(3, 0).cardinality() == hr.UNKNOWN_CARDINALITY
    assert Dataset.range(10).shard(2, 0).element_spec == Dataset.range(10).element_spec


def test_apply_gives_what_the_function_makes_and_refuses_all_else(run: Run) -> None:
    assert run(Dataset.range(6).apply(lambda dataset: dataset.shard(2, 0).map(lambda x: x + 1))) == [[1, 3, 5]]
    with pytest.raises(InvalidArgumentError, match="transformation_func needs a Dataset, not int"):
        Dataset.range(6).apply(len)  # type: ignore[arg-type]
