"""rebatch: the rows of batches in batches of other sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def lists(batches: list[Any]) -> list[Any]:
    return [each.tolist() for each in batches]


def test_rows_go_on_over_batches(run: Run) -> None:
    batches = Dataset.range(10).batch(4)
    assert lists(run(batches.rebatch(3))[0]) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert lists(run(batches.rebatch(3, drop_remainder=True))[0]) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert lists(run(batches.rebatch([1, 4]))[0]) == [[0], [1, 2, 3, 4], [5], [6, 7, 8, 9]]
    assert lists(list(batches.rebatch([1, 4, 2, 4], drop_remainder=True))) == [[0], [1, 2, 3, 4], [5, 6]]


def test_a_size_of_nothing_gives_a_batch_of_no_rows_also_at_the_end(run: Run, same: Same) -> None:
    rows = Dataset.from_tensor_slices((np.ones((4, 2), np.float32), ["a", "b", "c", "d"])).batch(3)
    (got,) = run(rows.rebatch([0, 2]))
    nothing = (np.empty((0, 2), np.float32), np.empty(0, object))
    assert [len(texts) for _, texts in got] == [0, 2, 0, 2, 0]
    for batch in got[::2]:
        same(batch, nothing)
    assert list(Dataset.range(0).batch(2).rebatch([0, 2])) == []


def test_what_it_is() -> None:
    batches = Dataset.range(10).batch(5, drop_remainder=True)
    assert batches.rebatch(2).cardinality() == hr.UNKNOWN_CARDINALITY
    assert Dataset.counter().batch(5).rebatch(2).cardinality() == hr.INFINITE_CARDINALITY
    assert batches.rebatch(2).element_spec == hr.TensorSpec((None,), np.int64)
    assert batches.rebatch(2, drop_remainder=True).element_spec == hr.TensorSpec((2,), np.int64)
    for size in (0, [0, 0], [2, -1], "a"):
        with pytest.raises(InvalidArgumentError):
            batches.rebatch(size)  # type: ignore[arg-type]


def test_what_fails_is_left_out(outcomes: Outcomes) -> None:
    def fussy(x: Any) -> Any:
        return np.zeros(2) + x if x % 3 != 1 else np.int64(x)

    for sizes in (3, [3, 1]):
        got = outcomes(iter(Dataset.range(5).map(fussy).rebatch(sizes)))
        assert [each[0] for each in got if type(each) is tuple] == [InvalidArgumentError] * 2
        assert sum(len(each) for each in got if type(each) is not tuple) == 6
