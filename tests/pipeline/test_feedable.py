"""Feedable iterators: each call says from which iterator it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, FailedPreconditionError, InvalidArgumentError, OutOfRangeError, TensorSpec

NUMBER = TensorSpec([], np.int64)


def test_each_iterator_keeps_its_place(where: hr.Service | None) -> None:
    count = hr.placeholder(np.int64, (), "count")
    train = Dataset.range(100).repeat().make_one_shot_iterator(where)
    test = Dataset.range(500, 500 + 3).take(count).make_initializable_iterator(where)
    either = hr.Iterator.from_string_handle(None, NUMBER)
    to_train, to_test = train.string_handle(), test.string_handle()
    assert [either.get_next(handle=to_train) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(FailedPreconditionError, match=r"initialize\(\) first"):
        either.get_next(handle=to_test)
    for _ in range(2):
        test.initialize(count=2)
        assert [either.get_next(handle=to_test) for _ in range(2)] == [500, 501]
        for _ in range(2):
            with pytest.raises(OutOfRangeError):
                either.get_next(handle=to_test)
    assert either.get_next(handle=to_train) == train.get_next() - 1 == 3
    for each in (train, test):
        each.close()


def test_an_iterator_of_a_service_and_one_of_this_process_take_turns(service: hr.Service) -> None:
    with service.iterate(Dataset.range(5).map(lambda x: x * 2)) as far:
        near = iter(Dataset.range(5))
        either = hr.Iterator.from_string_handle(near.string_handle(), near.element_spec)
        handles = [far.string_handle(), near.string_handle()]
        assert [either.get_next(handle=handles[i % 2]) for i in range(10)] == [0, 0, 2, 1, 4, 2, 6, 3, 8, 4]
        assert list(either) == []


def test_without_a_handle_it_takes_from_the_one_it_was_made_with() -> None:
    one, two = iter(Dataset.range(4)), iter(Dataset.range(10, 14))
    either = hr.Iterator.from_string_handle(one.string_handle(), NUMBER)
    assert [either.get_next(), either.get_next(handle=two.string_handle()), next(either)] == [0, 10, 1]
    assert list(either) == [2, 3]
    assert list(two) == [11, 12, 13]
    for handle in (None, hr.placeholder(bytes, [])):
        with pytest.raises(FailedPreconditionError, match=r"get_next\(handle=...\)"):
            hr.Iterator.from_string_handle(handle, NUMBER).get_next()


def test_a_handle_is_text_of_its_own_and_always_the_same() -> None:
    one, two = iter(Dataset.range(1)), iter(Dataset.range(1))
    assert one.string_handle() == one.string_handle() != two.string_handle()
    either = hr.Iterator.from_string_handle(one.string_handle().encode(), NUMBER)
    assert either.get_next() == 0
    assert either.element_spec == NUMBER


def test_a_handle_of_nothing_is_refused() -> None:
    gone = iter(Dataset.range(1)).string_handle()
    unknown: list[Any] = [gone, "nothing", b"\xff", 3]
    for handle in unknown:
        with pytest.raises(FailedPreconditionError, match="no iterator has the handle"):
            hr.Iterator.from_string_handle(handle, NUMBER)
        with pytest.raises(FailedPreconditionError, match="no iterator has the handle"):
            hr.Iterator.from_string_handle(None, NUMBER).get_next(handle=handle)


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        (Dataset.range(3).batch(2), r"component 0 is .*shape=\(\).* and .*shape=\(2,\)"),
        (Dataset.range(3).map(lambda x: {"a": x}), "the components are 0 here, and a in the iterator"),
        (Dataset.from_tensors("x"), "component 0 is .*int64.* and .*bytes"),
    ],
)
def test_another_structure_is_refused_by_component(dataset: Dataset, told: str) -> None:
    wrong, right = iter(dataset), iter(Dataset.range(3))
    either = hr.Iterator.from_string_handle(right.string_handle(), NUMBER)
    with pytest.raises(InvalidArgumentError, match=told):
        either.get_next(handle=wrong.string_handle())
    assert either.get_next() == 0


def test_feedable_and_reinitializable_iterators_can_be_fed_too() -> None:
    inner = hr.Iterator.from_structure(NUMBER)
    middle = hr.Iterator.from_string_handle(inner.string_handle(), NUMBER)
    outer: Any = hr.Iterator.from_string_handle(middle.string_handle(), NUMBER)
    inner.initialize(Dataset.range(2))
    assert outer.get_next() == 0
    inner.initialize(Dataset.range(7, 9))
    assert list(outer) == [7, 8]


def test_all_iterators_are_iterators(service: hr.Service) -> None:
    with service.iterate(Dataset.range(3)) as served:
        for each in (served, iter(Dataset.range(3)), hr.Iterator.from_structure(NUMBER)):
            assert isinstance(each, hr.Iterator)
            assert each.element_spec == NUMBER
