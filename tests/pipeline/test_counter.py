"""counter: numbers without end, cut without counting up to them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError, TensorSpec

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


def test_numbers_from_a_start_a_step_apart(run: Run, same: Same) -> None:
    same(run(Dataset.counter().take(3))[0], [np.int64(0), np.int64(1), np.int64(2)])
    same(run(Dataset.counter(5, -2, np.int32).take(3))[0], [np.int32(5), np.int32(3), np.int32(1)])
    same(run(Dataset.counter(1, 0.5, np.float32).take(3))[0], [np.float32(1), np.float32(1.5), np.float32(2)])


def test_integers_wrap_around_and_floats_become_infinite(same: Same) -> None:
    same(list(Dataset.counter(254, 1, np.uint8).take(3)), [np.uint8(254), np.uint8(255), np.uint8(0)])
    same(list(Dataset.counter(-127, -1, np.int8).take(3)), [np.int8(-127), np.int8(-128), np.int8(127)])
    top = (1 << 63) - 1
    same(list(Dataset.counter(top).take(2)), [np.int64(top), np.int64(-top - 1)])
    same(list(Dataset.counter(65000, 1000, np.float16).take(2)), [np.float16(65000), np.float16("inf")])


def test_what_is_far_away_is_there_at_once(run: Run) -> None:
    far = Dataset.counter(7, 3).skip(10**15).shard(10, 4).take(2)
    assert run(far.map(lambda x: x))[0] == [7 + 3 * (10**15 + 4), 7 + 3 * (10**15 + 14)]
    assert run(Dataset.counter().skip(10**12).enumerate().take(1))[0] == [(0, 10**12)]


def test_it_has_no_end(service: hr.Service) -> None:
    dataset = Dataset.counter(3)
    assert dataset.cardinality() == hr.INFINITE_CARDINALITY == dataset.skip(5).shard(3, 1).cardinality()
    assert dataset.take(7).cardinality() == 7
    assert dataset.element_spec == TensorSpec((), np.int64)
    with pytest.raises(TypeError, match=r"The dataset is infinite\."):
        len(dataset)
    assert list(islice(dataset.filter(lambda x: bool(x % 2)), 3)) == [3, 5, 7]
    with service.iterate(dataset.shuffle(10, seed=1).batch(100)) as batches:
        assert sorted(np.concatenate(list(islice(batches, 30))))[:2900] == list(range(3, 2903))


def test_it_ends_where_what_it_is_zipped_with_does(run: Run) -> None:
    letters = Dataset.from_tensor_slices(["a", "b"])
    assert run(Dataset.zip(Dataset.counter(1), letters))[0] == [(1, b"a"), (2, b"b")]


@pytest.mark.parametrize("arguments", [(0, 1, bytes), (0.5, 1), ("a", 1, np.float32), (1 << 64, 1), (0, 1, np.bool_)])
def test_what_cannot_be_counted_is_refused(arguments: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        Dataset.counter(*arguments)
