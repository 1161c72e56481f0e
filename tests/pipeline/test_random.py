"""random: integers that depend on a seed and their place alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

import headrace as hr
from headrace import Dataset, TensorSpec

Run = Callable[..., list[list[Any]]]


def test_a_seeded_one_is_the_same_in_every_epoch_pass_and_place(run: Run) -> None:
    dataset = Dataset.random(seed=4).take(5).repeat(2)
    first, second = run(dataset, 2)
    assert first == second
    assert first[:5] == first[5:]
    assert first[:5] == [int(each) for each in Dataset.random(4).take(5)]
    assert len(set(first)) == 5


def test_rerandomized_it_is_new_in_every_epoch_and_pass(run: Run) -> None:
    dataset = Dataset.random(seed=4, rerandomize_each_iteration=True).take(5).repeat(2)
    first, second = run(dataset, 2)
    assert len({*first, *second}) == 20
    again = Dataset.random(4, True).take(5).repeat(2)
    assert [list(again.iterate(0)), list(again.iterate(1))] == [first, second]


def test_without_a_seed_it_is_drawn_from_the_pipelines() -> None:
    def numbers(dataset: Dataset, seed: int | None) -> list[Any]:
        return list(dataset.take(6).with_options(hr.Options(seed=seed)))

    one = Dataset.random()
    assert numbers(one, 1) == numbers(Dataset.random(), 1) != numbers(one, 2)
    assert numbers(one, None) != numbers(Dataset.random(), None)
    kept = Dataset.random().take(6)
    assert list(kept) == list(kept)
    a, b = zip(*Dataset.zip(Dataset.random(), Dataset.random()).take(6), strict=True)
    assert a != b  # two places of one pipeline


def test_a_part_is_that_part_of_the_whole(run: Run) -> None:
    whole = list(islice(Dataset.random(seed=9), 3000))
    assert run(Dataset.random(seed=9).skip(2000).shard(3, 1).take(300))[0] == whole[2001:2901:3]
    assert run(Dataset.random(seed=9).map(lambda x: x // 2).skip(100).take(2000))[0] == [
        x // 2 for x in whole[100:2100]
    ]


def test_all_integers_below_two_to_the_32_are_as_likely() -> None:
    numbers = np.array(list(Dataset.random(seed=1).take(1 << 16)))
    assert numbers.dtype == np.int64
    assert numbers.min() >= 0
    assert numbers.max() < 1 << 32
    # 2**16 numbers in 256 boxes: 256 each, with a standard deviation of 16. High and low bits by themselves.
    for boxes in (numbers >> 24, numbers & 255):
        counts = np.bincount(boxes, minlength=256)
        assert 256 - 6 * 16 < counts.min() <= counts.max() < 256 + 6 * 16
    # Of 2**16 out of 2**32, half a pair is expected to be equal.
    assert len(np.unique(numbers)) > (1 << 16) - 8


def test_what_it_is() -> None:
    assert Dataset.random().cardinality() == hr.INFINITE_CARDINALITY
    assert Dataset.random().element_spec == TensorSpec((), np.int64)
