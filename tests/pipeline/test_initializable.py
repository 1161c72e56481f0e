"""Initializable iterators: one pipeline, whose values are said anew before each pass."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, FailedPreconditionError, InvalidArgumentError, OutOfRangeError

Same = Callable[[Any, Any], None]

NAMES = hr.placeholder(bytes, shape=[None], name="filenames")
N = hr.placeholder(np.int64, shape=(), name="n")


def lines() -> Dataset:
    return hr.TextLineDataset(NAMES).map(lambda line: int(line)).batch(N)


def test_it_goes_through_what_it_is_told_as_often_as_it_is_told(
    where: hr.Service | None, text_file: Callable[..., str]
) -> None:
    first, second = text_file(b"1\n2\n3", "a"), text_file(b"4\n5\n6\n", "b")
    with lines().make_initializable_iterator(service=where) as iterator:
        iterator.initialize(filenames=[first], n=2)
        assert [each.tolist() for each in iterator] == [[1, 2], [3]]
        for _ in range(2):
            with pytest.raises(OutOfRangeError):
                iterator.get_next()
            assert list(iterator) == []
        iterator.initialize({NAMES: [first, second], "n": 4})
        assert iterator.get_next().tolist() == [1, 2, 3, 4]
        iterator.initialize({"filenames": [second]}, n=1)  # in the middle of a pass
        assert [int(each[0]) for each in iterator] == [4, 5, 6]
        assert iterator.summary().elements == 3


def test_before_it_is_initialized_it_says_so(where: hr.Service | None) -> None:
    iterator = lines().make_initializable_iterator(service=where)
    for use in (
        lambda: next(iterator),
        iterator.get_next,
        iterator.state_dict,
        iterator.summary,
        lambda: iterator.load_state_dict({}),
        lambda: iterator.epoch,
    ):
        with pytest.raises(FailedPreconditionError, match=r"call its initialize\(\) first"):
            use()
    with pytest.raises(FailedPreconditionError, match=r"filenames .* n "):
        _ = iterator.element_spec
    assert repr(iterator) == "<InitializableIterator: not initialized>"
    iterator.close()


def test_wrong_values_leave_it_where_it_was(where: hr.Service | None) -> None:
    with Dataset.range(9).skip(N).batch(2).make_initializable_iterator(where) as iterator:
        iterator.initialize(n=3)
        assert iterator.get_next().tolist() == [3, 4]
        for values in ({}, {"m": 1}, {"n": "a"}, {"n": 1, "m": 1}):
            with pytest.raises(InvalidArgumentError):
                iterator.initialize(values)
        assert iterator.get_next().tolist() == [5, 6]


def test_each_initialization_is_the_next_pass(where: hr.Service | None, same: Same) -> None:
    def build(n: Any) -> Dataset:
        return Dataset.range(n).shuffle(30, seed=3)

    iterator = build(N).make_initializable_iterator(service=where)
    for epoch in range(3):
        iterator.initialize(n=30 + epoch)
        assert iterator.epoch == epoch
        same(list(iterator), list(build(30 + epoch).iterate(epoch)))
    iterator.close()


def test_a_dataset_without_placeholders_is_initialized_with_nothing() -> None:
    iterator = Dataset.range(2).make_initializable_iterator()
    assert iterator.element_spec == hr.TensorSpec((), np.int64)
    for _ in range(2):
        iterator.initialize()
        assert list(iterator) == [0, 1]


def test_an_iterator_goes_on_where_another_stood(service: hr.Service, same: Same) -> None:
    def build() -> Dataset:
        return Dataset.range(N).shuffle(40).map(lambda x, rng: (x, rng.integers(100))).batch(3)

    one = build().make_initializable_iterator()
    one.initialize(n=5)
    one.initialize(n=50)
    taken = list(islice(one, 4))
    state = one.state_dict()
    rest = list(one)
    one.initialize(n=9)
    again = list(one)
    for way in (None, service):
        other = build().make_initializable_iterator(service=way)
        with pytest.raises(FailedPreconditionError):
            other.load_state_dict(state)
        other.initialize(n=49)
        with pytest.raises(InvalidArgumentError, match=r"another pipeline: token: .*50.* here: .*49"):
            other.load_state_dict(state)
        other.initialize(n=50)
        other.load_state_dict(state)
        same(list(other), rest)
        other.initialize(n=9)  # the pass behind that of the state
        same(list(other), again)
        other.close()
    assert len(taken) + len(rest) == 17


def test_an_element_that_fails_raises_in_its_place() -> None:
    iterator = Dataset.range(N).map(lambda x: 1 // (x - 1) if x != 1 else {}[x]).make_initializable_iterator()
    iterator.initialize(n=3)
    assert next(iterator) == -1
    with pytest.raises(hr.FunctionError, match="KeyError"):
        iterator.get_next()
    assert iterator.get_next() == 1
