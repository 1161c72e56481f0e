"""Whose memory elements are: a function's buffers, and what a loop was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from headrace import Dataset
from headrace.pipeline.ownership import own

Run = Callable[..., list[list[Any]]]


def test_a_function_may_hand_out_the_same_buffer_every_time(run: Run) -> None:
    buffer = np.zeros(3)

    def fill(x: Any) -> Any:
        buffer[:] = x
        return buffer

    assert [each.tolist() for each in run(Dataset.range(40).map(fill))[0]] == [[i] * 3 for i in range(40)]
    assert run(Dataset.range(4).map(fill).batch(4))[0][0][:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "hand_out",
    [
        lambda b: b[:2],
        lambda b: b[None],
        lambda b: (b, b),
        lambda b: [b[1:], b],
        lambda b: b.T.view(),
        lambda b: np.frombuffer(b.data, b.dtype),
    ],
)
def test_views_of_a_buffer_that_is_used_again_are_copied(run: Run, hand_out: Callable[[Any], Any]) -> None:
    buffer = np.zeros(3)

    def fill(x: Any) -> Any:
        buffer[:] = x
        return hand_out(buffer)

    (got,) = run(Dataset.range(20).map(fill))
    assert [np.ravel(each[0])[0] for each in got] == list(range(20))


def test_what_a_function_keeps_and_writes_into_later_does_not_reach_earlier_elements(run: Run) -> None:
    kept: list[Any] = []

    def keep(x: Any) -> Any:
        for each in kept:
            each += 100
        kept.append(np.full(2, x))
        return kept[-1]

    assert [each.tolist() for each in run(Dataset.range(10).map(keep))[0]] == [[i, i] for i in range(10)]


def test_a_function_that_writes_into_what_it_is_given_changes_no_other_element_and_no_source(run: Run) -> None:
    rows = np.arange(6).reshape(3, 2)

    def spoil(row: Any) -> Any:
        row += 1
        return row

    dataset = Dataset.from_tensor_slices(rows).map(spoil)
    for _ in range(2):
        assert [each.tolist() for each in run(dataset)[0]] == [[1, 2], [3, 4], [5, 6]]
    assert rows.tolist() == [[0, 1], [2, 3], [4, 5]]
    batched = Dataset.from_tensor_slices(rows).batch(3).map(spoil).repeat(2)
    assert [each.tolist() for each in run(batched)[0]] == [[[1, 2], [3, 4], [5, 6]]] * 2


def test_an_array_that_is_two_components_of_a_result_is_two_arrays_afterwards(run: Run) -> None:
    def spoil_one(a: Any, b: Any) -> Any:
        a += 1
        return a, b

    dataset = Dataset.from_tensors(np.zeros(2)).map(lambda row: (row, row)).map(spoil_one)
    ((a, b),) = run(dataset)[0]
    assert (a.tolist(), b.tolist()) == ([1, 1], [0, 0])


@pytest.mark.parametrize("size", [1, 3, 5000])
def test_delivered_arrays_are_writable_and_independent(run: Run, size: int) -> None:
    for dataset in (
        Dataset.from_tensor_slices(np.zeros((5, size))),
        Dataset.range(5).map(lambda i: np.zeros(size)),
        Dataset.range(5).map(lambda i: np.zeros(size)).shuffle(5),
        Dataset.range(5).map(lambda i: np.zeros(size)).batch(1),
    ):
        for each in run(dataset)[0]:
            assert each.flags.writeable
            assert each.sum() == 0
            each += 1


def test_arrays_that_nobody_else_holds_are_not_copied() -> None:
    held = np.ones(3)
    components = [np.ones(3), np.ones((2, 2))[:1], held]
    before = [components[i].ctypes.data for i in range(3)]
    own(components)
    after = [components[i].ctypes.data for i in range(3)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False]
