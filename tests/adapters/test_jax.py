"""Prefetching to a device, with the real JAX on the CPU."""

from __future__ import annotations

import gc
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import headrace as hr
import headrace.jax
from headrace import Dataset
from headrace.jax import prefetch_to_device
from headrace.pipeline import local_run

Pair = namedtuple("Pair", ["x", "y"])


@pytest.fixture(params=["in process", "service"])
def source(request: pytest.FixtureRequest) -> Callable[[Dataset], Any]:
    """From a dataset to what is iterated."""
    if request.param == "in process":
        return lambda dataset: dataset
    service: hr.Service = request.getfixturevalue("service")
    return service.iterate


class Watched(Iterator[Any]):
    """Batches that count how far they were asked for."""

    def __init__(self, batches: list[Any]) -> None:
        self.left, self.asked, self.closed = iter(batches), 0, False

    def __next__(self) -> Any:
        self.asked += 1
        batch = next(self.left)
        if isinstance(batch, Exception):
            raise batch
        return batch

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_batches_come_in_order_epoch_after_epoch(source: Callable[[Dataset], Any], size: int) -> None:
    dataset = Dataset.range(20).shuffle(20).batch(3).with_options(hr.Options(seed=3))
    batches = prefetch_to_device(source(dataset), size)
    for epoch in range(3):
        found = list(batches)
        assert all(isinstance(each, jax.Array) for each in found)
        assert [each.tolist() for each in found] == [each.tolist() for each in dataset.iterate(epoch)]
        with pytest.raises(StopIteration):
            next(batches)


def test_an_unfinished_epoch_is_gone_on_with(source: Callable[[Dataset], Any]) -> None:
    batches = prefetch_to_device(source(Dataset.range(5)), 3)
    assert [int(n) for n, _ in zip(batches, range(2), strict=False)][:2] == [0, 1]
    assert [int(n) for n in batches][-1] == 4


def test_so_many_batches_are_ahead_and_no_more() -> None:
    watched = Watched([np.full(2, n) for n in range(6)])
    batches = prefetch_to_device(watched, 3)
    assert watched.asked == 0
    for taken, asked in ((1, 3), (2, 4), (3, 5)):
        assert int(next(batches)[0]) == taken - 1
        assert watched.asked == asked


def test_the_nesting_stays(source: Callable[[Dataset], Any]) -> None:
    dataset = Dataset.range(4).map(lambda n: {"pair": Pair(n, (n / 2, np.full((2, 2), n, np.uint8)))}).batch(4)
    (batch,) = prefetch_to_device(source(dataset))
    assert type(batch["pair"]).__name__ == "Pair"
    assert batch["pair"].x.tolist() == [0, 1, 2, 3]
    assert batch["pair"].y[0].tolist() == [0, 0.5, 1, 1.5]
    assert batch["pair"].y[1].dtype == np.uint8
    assert batch["pair"].y[1].shape == (4, 2, 2)


def test_a_device_or_a_sharding_says_where_they_go() -> None:
    device = jax.devices()[0]
    sharding = NamedSharding(Mesh(np.array([device]), ("data",)), PartitionSpec("data"))
    dataset = Dataset.range(4).batch(2)
    assert next(prefetch_to_device(dataset, device=device)).devices() == {device}
    assert next(prefetch_to_device(dataset, device=sharding)).sharding == sharding


def test_what_was_handed_over_is_not_changed_by_what_comes_later(source: Callable[[Dataset], Any]) -> None:
    """On a CPU a jax.Array may lie in the memory of the NumPy array: nobody may use that again."""
    dataset = Dataset.range(64).map(lambda n: np.full(1 << 14, n, np.float32)).batch(2)
    kept = list(prefetch_to_device(source(dataset)))
    gc.collect()
    noise = [np.full(1 << 15, -1, np.float32) for _ in range(64)]
    for n, batch in enumerate(kept):
        np.testing.assert_array_equal(batch, np.repeat([[2 * n], [2 * n + 1]], 1 << 14, axis=1))
    assert len(noise) == 64


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"image": np.zeros(2), "meta": {"name": np.array([b"a"], object)}}, "component meta.name is text"),
        ((np.zeros(2), b"a"), "component 1 is text"),
        (np.array(["a"]), "component 0 is text"),
        (Pair(np.zeros(1), np.array([1], np.clongdouble)), "component y is .*which JAX does not have"),
        ({"id": np.array([1 << 40])}, "component id is int64 with numbers that int32 does not hold"),
        ({"id": np.array([1 << 32], np.uint64)}, "component id is uint64"),
    ],
)
def test_what_jax_cannot_hold_is_named(batch: Any, message: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=message):
        next(prefetch_to_device([batch]))


def test_wide_integers_that_fit_go_through() -> None:
    (batch,) = prefetch_to_device([np.array([1 << 30, -(1 << 31)])])
    assert batch.tolist() == [1 << 30, -(1 << 31)]


def test_an_error_raises_at_its_place_and_what_is_behind_it_can_be_read() -> None:
    watched = Watched([np.full(1, 0), np.full(1, 1), ValueError("two"), np.full(1, 3), np.full(1, 4)])
    batches = prefetch_to_device(watched, 4)
    assert int(next(batches)[0]) == 0
    assert watched.asked == 3
    assert int(next(batches)[0]) == 1
    with pytest.raises(ValueError, match="two"):
        next(batches)
    assert watched.asked == 3
    assert [int(each[0]) for each in batches] == [3, 4]


def test_a_failed_element_of_a_pipeline_does_not_end_it(source: Callable[[Dataset], Any]) -> None:
    batches = iter(prefetch_to_device(source(Dataset.range(4).map(lambda n: 6 // (int(n) - 1)))))
    assert int(next(batches)) == -6
    with pytest.raises(hr.FunctionError, match="ZeroDivisionError"):
        next(batches)
    assert [int(each) for each in batches] == [6, 3]


def test_closing_closes_where_the_batches_come_from() -> None:
    watched = Watched([np.zeros(1)] * 3)
    with prefetch_to_device(watched) as batches:
        next(batches)
    assert watched.closed
    with pytest.raises(hr.FailedPreconditionError, match="closed"):
        next(batches)


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="at least 1 batch"):
        prefetch_to_device([], size)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_what_is_ahead_on_the_device_is_not_done_with(
    source: Callable[[Dataset], Any], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((local_run, "LEAST_S"), (local_run, "SHARE"), (headrace.jax, "NOTE_S")):
        monkeypatch.setattr(module, name, 0)

    def numbers() -> Dataset:  # a new one, whose next pass is the first
        return Dataset.range(60).shuffle(20).batch(3).with_options(hr.Options(seed=3))

    expected = [each.tolist() for each in numbers()]
    for taken in (0, 1, 7, 19, 20):
        batches = prefetch_to_device(source(numbers()), size)
        found = [next(batches).tolist() for _ in range(taken)]
        state = batches.state_dict()
        assert state["element"] == taken
        again = prefetch_to_device(source(numbers()), size)
        again.load_state_dict(state)
        assert found + [each.tolist() for each in again] == expected
        here = numbers().iterate(4)
        here.load_state_dict(state)
        assert found + [each.tolist() for each in here] == expected


def test_other_batches_have_no_state() -> None:
    with pytest.raises(hr.FailedPreconditionError, match="a list has no state: prefetch from a Dataset"):
        prefetch_to_device([np.zeros(2)]).state_dict()
