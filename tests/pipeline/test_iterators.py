"""Iterators: passes, epochs, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]


def test_every_iter_is_the_next_pass_and_iterate_names_one(run: Run) -> None:
    dataset = Dataset.range(20).shuffle(20, seed=2)
    passes = [list(dataset) for _ in range(3)]
    assert passes == [list(dataset.iterate(epoch=n)) for n in range(3)]
    assert passes == run(Dataset.range(20).shuffle(20, seed=2), epochs=3)


def test_iterate_does_not_count_as_a_pass() -> None:
    dataset = Dataset.range(20).shuffle(20, seed=2)
    list(dataset.iterate(epoch=5))
    assert list(dataset) == list(dataset.iterate(0))
    with pytest.raises(InvalidArgumentError, match="epoch is -1"):
        dataset.iterate(-1)


def test_iterators_of_one_dataset_do_not_disturb_each_other() -> None:
    dataset = Dataset.range(3)
    one, two = iter(dataset), iter(dataset)
    assert [next(one), next(two), next(one), next(one), next(two)] == [0, 0, 1, 2, 1]


def test_an_exhausted_iterator_stays_exhausted() -> None:
    iterator = Dataset.range(1).make_one_shot_iterator()
    assert iterator.get_next() == 0
    for _ in range(3):
        with pytest.raises(hr.OutOfRangeError):
            iterator.get_next()
        with pytest.raises(StopIteration):
            next(iterator)
    assert repr(iterator) == "<LocalIterator: at its end>"


def test_get_next_and_next_take_from_one_stream() -> None:
    iterator = Dataset.range(3).make_one_shot_iterator()
    assert [iterator.get_next(), next(iterator), iterator.get_next()] == [0, 1, 2]


def test_as_numpy_iterator_gives_the_same_elements() -> None:
    assert list(Dataset.from_tensor_slices(["a", "b"]).as_numpy_iterator()) == [b"a", b"b"]


def test_iterators_can_be_left_at_any_place() -> None:
    for dataset in (Dataset.range(100).shuffle(10).batch(3).repeat(), Dataset.range(10).map(lambda x: x).shuffle(3)):
        for count in (0, 1, 2):
            iterator = iter(dataset)
            assert len([next(iterator) for _ in range(count)]) == count
            del iterator


def test_methods_make_new_datasets_and_leave_the_old_one_alone() -> None:
    dataset = Dataset.range(4)
    assert next(iter(dataset.map(lambda x: -x).batch(2).take(1))).tolist() == [0, -1]
    assert list(dataset) == [0, 1, 2, 3]


def test_a_dataset_shows_what_it_is_made_of() -> None:
    assert repr(Dataset.range(3).map(abs).batch(2)) == "<Dataset: Range > Map > Batch>"
    assert repr(hr.TextLineDataset("a")) == "<TextLineDataset: Rows > Lines>"


def test_options_set_later_win_and_what_is_none_keeps_what_was_set(run: Run) -> None:
    dataset = Dataset.range(50).shuffle(50).with_options(hr.Options(seed=1))
    alike = dataset.with_options(hr.Options(buffer_bytes=1 << 20))
    assert run(alike) == run(dataset)
    assert run(dataset.with_options(hr.Options(seed=2))) != run(dataset)
    with pytest.raises(InvalidArgumentError, match="buffer_bytes is 0"):
        dataset.with_options(hr.Options(buffer_bytes=0))
