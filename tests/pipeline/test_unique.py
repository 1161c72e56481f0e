"""unique: each value once, where it comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def test_each_value_comes_once_where_it_came_first(run: Run) -> None:
    numbers = Dataset.range(5000).map(lambda x: x * x % 37).shuffle(50, seed=2)
    (got,) = run(numbers.unique())
    assert got == list(dict.fromkeys(int(x) for x in numbers.iterate(0)))
    texts = Dataset.from_tensor_slices([b"b", b"a", b"\0b", b"", b"a", b"\0b", b"b" * 99, b"b"])
    assert run(texts.unique())[0] == [b"b", b"a", b"\0b", b"", b"b" * 99]
    assert run(texts.repeat(2).unique().repeat(2))[0] == [b"b", b"a", b"\0b", b"", b"b" * 99] * 2


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.uint64, np.float16, np.float64, np.complex64, np.bool_])
def test_numbers_of_every_dtype(dtype: Any) -> None:
    values = np.array([1, 0, 1, 0, 3], dtype)
    expected = list(dict.fromkeys(values.tolist()))
    assert [each.item() for each in Dataset.from_tensor_slices(values).unique()] == expected


def test_the_two_zeros_of_floats_are_one() -> None:
    assert len(list(Dataset.from_tensor_slices(np.array([0.0, -0.0, 1.0, -0.0])).unique())) == 2


def test_what_fails_and_what_is_no_scalar_fails_in_its_place(outcomes: Outcomes) -> None:
    def odd(x: Any) -> Any:
        if x == 6:
            raise ValueError(f"bad {x}")
        return {3: (x, x), 5: np.zeros(2)}.get(int(x), x % 3)

    got = outcomes(iter(Dataset.range(9).map(odd).unique()))
    assert [each[0] if isinstance(each, tuple) else int(each) for each in got] == [
        0,
        1,
        2,
        InvalidArgumentError,
        InvalidArgumentError,
        hr.FunctionError,
    ]
    assert "components 0 of rank 0, 1 of rank 0" in got[3][1]
    with pytest.raises(InvalidArgumentError, match="one scalar"):
        Dataset.from_tensor_slices(np.zeros((3, 2))).unique()


def test_how_many_there_are_only_reading_tells() -> None:
    dataset = Dataset.range(9).unique()
    assert dataset.cardinality() == hr.UNKNOWN_CARDINALITY
    assert dataset.element_spec == hr.TensorSpec((), np.int64)
