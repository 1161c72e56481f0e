"""shuffle: what is drawn, when it is drawn anew, and its budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]


def test_shuffle_gives_every_element_once_in_another_order(run: Run) -> None:
    (got,) = run(Dataset.range(1000).shuffle(1000, seed=1))
    assert sorted(got) == list(range(1000))
    assert got != sorted(got)


def test_a_window_of_one_changes_nothing_and_of_none_is_refused(run: Run) -> None:
    assert run(Dataset.range(9).shuffle(1)) == [list(range(9))]
    with pytest.raises(InvalidArgumentError, match="buffer_size is 0: it must be at least 1"):
        Dataset.range(9).shuffle(0)


@pytest.mark.parametrize("size", [2, 7, 64, 100])
def test_no_element_comes_before_its_window_reaches_it(run: Run, size: int) -> None:
    (got,) = run(Dataset.range(500).shuffle(size, seed=3))
    assert sorted(got) == list(range(500))
    assert all(element < place + size for place, element in enumerate(got))
    assert any(element == place + size - 1 for place, element in enumerate(got[:-size]))


def test_a_seeded_shuffle_reshuffles_each_epoch_and_a_new_dataset_replays_it(run: Run) -> None:
    one = run(Dataset.range(50).shuffle(50, seed=4), epochs=3)
    assert len({tuple(each) for each in one}) == 3
    assert run(Dataset.range(50).shuffle(50, seed=4), epochs=3) == one


def test_without_reshuffling_every_epoch_and_pass_is_the_same(run: Run) -> None:
    dataset = Dataset.range(20).shuffle(20, seed=4, reshuffle_each_iteration=False)
    one, two = run(dataset, epochs=2)
    assert one == two
    assert run(dataset.repeat(2))[0] == one + one


def test_two_unseeded_shuffles_differ_and_options_seed_fixes_them(run: Run) -> None:
    assert run(Dataset.range(99).shuffle(99)) != run(Dataset.range(99).shuffle(99))
    seeded = [run(Dataset.range(99).shuffle(99).with_options(hr.Options(seed=s)), epochs=2) for s in (1, 1, 2)]
    assert seeded[0] == seeded[1] != seeded[2]


def test_shuffle_then_repeat_keeps_passes_apart_and_repeat_then_shuffle_mixes_them(run: Run) -> None:
    (apart,) = run(Dataset.range(30).shuffle(30, seed=1).repeat(2))
    assert sorted(apart[:30]) == sorted(apart[30:]) == list(range(30))
    assert apart[:30] != apart[30:]
    (mixed,) = run(Dataset.range(30).repeat(2).shuffle(60, seed=1))
    assert sorted(mixed) == sorted(apart)
    assert len(set(mixed[:30])) < 30


def test_shuffles_in_a_row_even_with_a_window_without_end(run: Run) -> None:
    (got,) = run(Dataset.range(40).shuffle(10).shuffle(10**12).skip(10))
    assert len(set(got)) == 30


def test_all_orders_of_a_full_window_are_about_equally_likely(run: Run) -> None:
    passes = Dataset.range(3).shuffle(3, seed=1).batch(3).repeat(180)
    counts = Counter(tuple(each.tolist()) for each in run(passes)[0])
    assert len(counts) == 6
    # Chi-squared with 5 degrees of freedom: 20.5 is the 99.9th percentile. The seed is fixed, so this cannot flake.
    assert sum((count - 30) ** 2 / 30 for count in counts.values()) < 20.5


def test_a_shuffle_over_its_budget_raises_before_anything_is_drawn_and_shows_the_arithmetic() -> None:
    rows = np.zeros((1000, 1024), np.uint8)
    small = hr.Options(buffer_bytes=100 * 1024)
    dataset = Dataset.from_tensor_slices(rows).shuffle(101).with_options(small)
    with pytest.raises(hr.ResourceExhaustedError, match=r"shuffle\(101\) would hold 101 elements of about 1,024 bytes"):
        next(iter(dataset))
    assert len(list(Dataset.from_tensor_slices(rows).shuffle(100).with_options(small))) == 1000


def test_a_shuffle_over_its_budget_ends_the_stream() -> None:
    iterator = iter(Dataset.range(100).shuffle(100).with_options(hr.Options(buffer_bytes=8)))
    with pytest.raises(hr.ResourceExhaustedError):
        next(iterator)
    assert list(iterator) == []


def test_a_large_window_over_little_data_fits(run: Run) -> None:
    rows = np.zeros((10, 100), np.uint8)
    dataset = Dataset.from_tensor_slices(rows).filter(lambda row: True).shuffle(10**9)
    assert len(run(dataset.with_options(hr.Options(buffer_bytes=1000)))[0]) == 10


def test_elements_that_fail_raise_while_the_window_fills_and_are_not_drawn() -> None:
    def fail(x: Any) -> Any:
        if x % 5 == 2:
            raise ValueError(x)
        return x

    iterator = iter(Dataset.range(20).map(fail).shuffle(4, seed=1))
    got: list[Any] = []
    failures = 0
    while True:
        try:
            got.append(next(iterator))
        except hr.FunctionError:
            failures += 1
        except StopIteration:
            break
    assert sorted(got) == [x for x in range(20) if x % 5 != 2]
    assert failures == 4


@pytest.mark.parametrize("seed", [np.int64(7), -1, 2**63 - 1])
def test_any_whole_number_is_a_seed(run: Run, seed: Any) -> None:
    assert sorted(run(Dataset.range(5).shuffle(5, seed=seed))[0]) == list(range(5))
    assert sorted(run(Dataset.range(5).shuffle(5).with_options(hr.Options(seed=seed)))[0]) == list(range(5))


@pytest.mark.parametrize("seed", ["7", 1.5, 2**64])
def test_what_is_no_whole_number_is_no_seed(seed: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="seed is"):
        Dataset.range(5).shuffle(5, seed=seed)
    with pytest.raises(InvalidArgumentError, match="seed is"):
        Dataset.range(5).with_options(hr.Options(seed=seed))
