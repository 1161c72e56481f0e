"""Reinitializable iterators: one dataset after the other, all of one structure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, FailedPreconditionError, InvalidArgumentError, TensorSpec

Same = Callable[[Any, Any], None]

SPEC = {"image": TensorSpec([None, 2], np.float32), "label": TensorSpec([], np.int64)}


def images(count: int, height: int = 3) -> Dataset:
    rows = np.arange(count * height * 2, dtype=np.float32).reshape(count, height, 2)
    return Dataset.from_tensor_slices({"image": rows, "label": np.arange(count)})


def test_training_and_validation_take_turns(where: hr.Service | None, same: Same) -> None:
    train, test = images(20).shuffle(20, seed=1), images(4, height=5)
    expected = [list(train.iterate(n)) for n in range(3)]
    with hr.Iterator.from_structure(SPEC, service=where) as iterator:
        to_train, to_test = iterator.make_initializer(train), iterator.make_initializer(test)
        for epoch in range(3):
            to_train()
            assert iterator.epoch == epoch
            same(list(iterator), expected[epoch])
            to_test()
            same(list(iterator), list(test.iterate(0)))
            with pytest.raises(hr.OutOfRangeError):
                iterator.get_next()
            assert list(iterator) == []
    same(list(train), list(train.iterate(3)))  # they are passes of the dataset, which counts them


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        (Dataset.range(3), "the components are image, label here, and 0 in the dataset"),
        (images(3).map(lambda x: (x["image"], x["label"])), "image, label here, and 0, 1 in the dataset"),
        (images(3).map(lambda x: {**x, "id": 1}), "image, label here, and id, image, label in the dataset"),
        (images(3).map(lambda x: x | {"label": np.int32(1)}), "component label is .*int64.* here, and .*int32"),
        (images(3).map(lambda x: x | {"image": x["image"].T}), r"component image is .*\(None, 2\).* and .*\(2, 3\)"),
        (images(3).batch(2), r"component image is .* and .*\(None, 3, 2\)"),
    ],
)
def test_another_structure_is_refused_by_component(dataset: Dataset, told: str) -> None:
    iterator = hr.Iterator.from_structure(SPEC)
    iterator.initialize(images(3))
    first = iterator.get_next()
    with pytest.raises(InvalidArgumentError, match=told):
        iterator.initialize(dataset)
    assert iterator.get_next()["label"] == first["label"] + 1


def test_on_a_service_what_a_function_makes_is_looked_at_when_it_comes(service: hr.Service) -> None:
    with hr.Iterator.from_structure(TensorSpec([], np.int64), service=service) as iterator:
        iterator.initialize(Dataset.range(3).map(lambda x: np.float32(x)))
        with pytest.raises(TypeError, match=r"component 0 is .*int64.* here, and .*float32.* in the dataset"):
            iterator.get_next()
        with pytest.raises(InvalidArgumentError, match="component 0"):
            iterator.initialize(Dataset.range(3).batch(2))  # known without looking
        iterator.initialize(Dataset.range(3).map(lambda x: x + 1))
        assert list(iterator) == [1, 2, 3]


def test_unknown_lengths_and_ranks_take_any() -> None:
    free = hr.Iterator.from_structure((TensorSpec(None, np.int64), TensorSpec([None], bytes)))
    free.initialize(Dataset.from_tensors((np.ones((2, 3), np.int64), ["a"])))
    assert free.get_next()[0].shape == (2, 3)
    free.initialize(Dataset.range(1, 3).map(lambda n: (np.arange(n), ["x"] * int(n))))
    assert [len(each[1]) for each in free] == [1, 2]
    assert free.element_spec == (TensorSpec(None, np.int64), TensorSpec([None], bytes))


def test_a_dataset_without_elements_or_whose_first_ones_fail_can_be_gone_through() -> None:
    iterator = hr.Iterator.from_structure(TensorSpec([], np.int64))
    iterator.initialize(Dataset.range(3).map(lambda x: x).filter(lambda x: False))
    assert list(iterator) == []
    iterator.initialize(Dataset.range(3).map(lambda x: x if x else {}[x]))
    with pytest.raises(hr.FunctionError):
        iterator.get_next()
    assert list(iterator) == [1, 2]


def test_before_it_is_initialized_it_says_so_and_takes_datasets_alone(where: hr.Service | None) -> None:
    iterator = hr.Iterator.from_structure(SPEC, where)
    for use in (iterator.get_next, iterator.state_dict, lambda: next(iterator)):
        with pytest.raises(FailedPreconditionError, match=r"initialize\(\) first"):
            use()
    with pytest.raises(InvalidArgumentError, match="initialize needs a Dataset, not list"):
        iterator.initialize([1, 2])  # type: ignore[arg-type]
    with pytest.raises(FailedPreconditionError, match="placeholders without a value: n "):
        iterator.initialize(Dataset.range(hr.placeholder(np.int64, name="n")))
    with pytest.raises(InvalidArgumentError, match="element_spec: component b is 3, not a TensorSpec"):
        hr.Iterator.from_structure({"a": SPEC["label"], "b": 3})
    iterator.close()


def test_it_goes_on_where_another_stood(service: hr.Service, same: Same) -> None:
    def train() -> Dataset:
        return images(40).shuffle(10, seed=2).batch(3)

    one = hr.Iterator.from_structure(train().element_spec)
    one.initialize(train())
    list(islice(one, 5))
    state, rest = one.state_dict(), list(one)
    other = hr.Iterator.from_structure(train().element_spec, service=service)
    other.initialize(train())
    other.load_state_dict(state)
    same(list(other), rest)
    one.initialize(train().take(99))
    with pytest.raises(InvalidArgumentError, match="another pipeline"):
        one.load_state_dict(state)
    other.close()
