"""unbatch: the rows of each element."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset
from headrace.pipeline.sparse import SparseTensor

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]
Same = Callable[[Any, Any], None]


def every_kind(n: Any) -> Any:
    """`n % 4` rows of each kind of column: dense and ragged numbers, strings, arrays of strings."""
    rows = int(n) % 4
    texts = np.array([b"t%d" % i * int(n) for i in range(rows)], object)
    return {
        "numbers": np.arange(rows) + n,
        "matrices": np.full((rows, 2, 3), n, np.float32),
        "wide": np.full((rows, int(n) % 3), n),
        "texts": texts,
        "pairs": np.stack([texts, texts[::-1]], axis=1) if rows else np.empty((0, 2), object),
    }


def rows_of(element: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value[i] for key, value in element.items()} for i in range(len(element["numbers"]))]


def test_rows_of_every_kind_of_column(run: Run, same: Same) -> None:
    expected = [row for n in range(40) for row in rows_of(every_kind(n))]
    (got,) = run(Dataset.range(40).map(every_kind).unbatch())
    same(got, expected)


def test_unbatch_undoes_batch_and_padded_batch(run: Run) -> None:
    assert run(Dataset.range(10).batch(4).unbatch(), epochs=2) == [list(range(10))] * 2
    padded = Dataset.range(1, 4).map(lambda n: np.full(n, n)).padded_batch(2).unbatch()
    (got,) = run(padded)
    assert [row.tolist() for row in got] == [[1, 0], [2, 2], [3, 3, 3]]
    twice = Dataset.range(24).batch(2).batch(3).unbatch().unbatch()
    assert run(twice) == [list(range(24))]


def test_elements_without_rows_leave_nothing(run: Run) -> None:
    assert run(Dataset.range(5).map(lambda n: np.zeros((0, 3))).unbatch()) == [[]]
    assert run(Dataset.range(0).batch(3).unbatch()) == [[]]


def test_functions_and_shuffles_go_on_behind(run: Run) -> None:
    dataset = Dataset.range(1000).batch(7).unbatch().map(lambda x: x * 2).filter(lambda x: bool(x % 3))
    assert run(dataset) == [[x * 2 for x in range(1000) if x * 2 % 3]]
    (got,) = run(dataset.shuffle(100, seed=1).batch(32))
    assert sorted(np.concatenate(got).tolist()) == [x * 2 for x in range(1000) if x * 2 % 3]


def test_random_functions_see_each_row_as_an_element_of_its_own(run: Run) -> None:
    def noisy(x: Any, rng: np.random.Generator) -> Any:
        return rng.integers(1 << 40)

    dataset = Dataset.range(100).batch(8).unbatch().map(noisy).with_options(hr.Options(seed=1))
    first, second = run(dataset, epochs=2)
    assert len({*map(int, first), *map(int, second)}) == 200
    assert first == list(dataset.iterate(0))


def test_a_large_element_comes_out_in_portions(run: Run) -> None:
    (got,) = run(Dataset.from_tensors(np.arange(1 << 20).reshape(1 << 10, 1 << 10)).unbatch())
    assert [int(row[0]) for row in got] == [1024 * i for i in range(1024)]


def test_elements_that_have_no_rows_fail_in_their_places(service: hr.Service, outcomes: Outcomes) -> None:
    def odd(n: Any) -> Any:
        return (np.arange(2), np.arange(3 if n == 1 else 2))

    dataset = Dataset.range(3).map(odd).unbatch()
    for iterator in (iter(dataset), service.iterate(dataset)):
        found = outcomes(iterator)
        assert found[:2] + found[3:] == [(0, 0), (1, 1)] * 2
        kind, text = found[2]
        assert kind is hr.InvalidArgumentError
        assert "one length, not 0: 2, 1: 3" in text
        assert text.endswith("[unbatch, element 1]")


@pytest.mark.parametrize(
    ("element", "told"),
    [(3, "component 0 is a scalar"), ({"a": [1], "b": b"x"}, "component b is a scalar")],
)
def test_a_scalar_cannot_be_unbatched(run: Run, element: Any, told: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=told):
        run(Dataset.from_tensors(element).unbatch())


def test_a_row_that_fails_behind_is_named(run: Run) -> None:
    def fussy(x: Any) -> Any:
        if x == 4:
            raise ValueError(x)
        return x

    with pytest.raises(hr.FunctionError, match=r"map\(.*fussy\)"):
        run(Dataset.range(9).batch(3).unbatch().map(fussy))


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (Dataset.range(10).batch(5, drop_remainder=True).unbatch(), 10),
        (Dataset.range(11).batch(5, drop_remainder=True).shuffle(3).unbatch(), 10),
        (Dataset.range(10).batch(5).unbatch(), UNKNOWN_CARDINALITY),
        (Dataset.range(10).batch(5).repeat().unbatch(), INFINITE_CARDINALITY),
        (Dataset.from_tensor_slices(np.zeros((3, 4))).unbatch(), 12),
        (Dataset.from_tensor_slices(np.zeros((3, 4))).take(2).unbatch(), 8),
        (Dataset.range(3).map(lambda x: np.zeros(4)).unbatch(), UNKNOWN_CARDINALITY),
    ],
)
def test_cardinality(dataset: Dataset, expected: int) -> None:
    assert dataset.cardinality() == expected


def test_the_spec_loses_its_first_dimension() -> None:
    dataset = Dataset.from_tensor_slices({"a": np.zeros((3, 4, 5)), "b": np.zeros((3, 4), np.int8)})
    assert dataset.unbatch().element_spec == {"a": hr.TensorSpec([5], "float64"), "b": hr.TensorSpec([], "int8")}
    assert Dataset.range(4).batch(2).unbatch().element_spec == hr.TensorSpec([], "int64")


@pytest.mark.parametrize(
    "stack",
    [
        lambda rows: rows.ragged_batch(4),
        lambda rows: rows.ragged_batch(2).batch(2).unbatch(),
        lambda rows: rows.map(lambda n, row: row).sparse_batch(4, [7]),
    ],
    ids=["ragged", "ragged of ragged", "sparse"],
)
def test_rows_of_ragged_and_sparse_values_come_apart(run: Run, same: Same, stack: Callable[[Dataset], Dataset]) -> None:
    rows = Dataset.range(12).map(lambda n: (n, np.full(n % 5, n)))
    dataset = stack(rows).unbatch()
    found = run(dataset)[0]
    if isinstance(found[0], SparseTensor):
        assert [each.to_dense().tolist() for each in found] == [[n] * (n % 5) + [0] * (7 - n % 5) for n in range(12)]
        assert dataset.element_spec.values == hr.TensorSpec((None,), np.int64)
    else:
        same(found, list(rows))
        assert dataset.element_spec == (hr.TensorSpec((), np.int64), hr.TensorSpec((None,), np.int64))


def test_ragged_rows_of_rows_keep_a_dimension(run: Run) -> None:
    twice = Dataset.range(6).map(lambda n: np.full(n % 3, n)).ragged_batch(2).batch(2)
    assert [each.to_list() for each in run(twice.unbatch())[0]] == [[[], [1]], [[2, 2], []], [[4], [5, 5]]]
    uneven = Dataset.range(3).map(lambda n: np.full(n, n)).ragged_batch(3).map(lambda rows: (rows, np.zeros(2)))
    with pytest.raises(hr.InvalidArgumentError, match=r"must have one length, not \[3, 2\]"):
        list(uneven.unbatch())
    made_up = Dataset.range(1).map(
        lambda n: SparseTensor(np.zeros((1, 2), np.int64), np.zeros(1), np.array([1 << 60, 1]))
    )
    with pytest.raises(hr.InvalidArgumentError, match=r"indices.* has no rows to unbatch"):
        list(made_up.unbatch())
