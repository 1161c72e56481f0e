"""from_indexable: items of any object, and shuffles of all of them without a buffer."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError, TensorSpec

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


class Squares:
    """As PyTorch's map-style datasets are."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        if not isinstance(index, int) or not 0 <= index < self.count:
            raise IndexError(f"no item {index!r}")
        return index * index


class Photos(Squares):
    """Items of several components."""

    def __getitem__(self, index: int) -> Any:
        return {"image": np.full((2, index % 3), index, np.uint8), "label": index, "name": f"photo {index}"}


class Holey(Squares):
    """Some items cannot be had."""

    def __getitem__(self, index: int) -> Any:
        if index % 4 == 1:
            raise KeyError(f"photo-{index}.jpg")
        return index


class Tensor:
    """A framework's tensor, as far as NumPy sees one."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.values, np.float32)


def seeded(dataset: Dataset, seed: int = 1) -> Dataset:
    return dataset.with_options(hr.Options(seed=seed))


def test_items_in_order(run: Run, same: Same) -> None:
    assert run(Dataset.from_indexable(Squares(5)), epochs=2) == [[0, 1, 4, 9, 16]] * 2
    assert run(Dataset.from_indexable(Squares(0))) == [[]]
    assert run(Dataset.from_indexable([3, 1, 2]).map(lambda x: x + 1)) == [[4, 2, 3]]
    photo = {"image": np.full((2, 1), 4, np.uint8), "label": np.int32(4), "name": b"photo 4"}
    same(run(Dataset.from_indexable(Photos(6)).skip(4).take(1))[0], [photo])
    same(run(Dataset.from_indexable([[1, "a"], [2, "b"]]))[0], [(np.int32(1), b"a"), (np.int32(2), b"b")])


def test_tensors_become_arrays(run: Run, same: Same) -> None:
    same(
        run(Dataset.from_indexable([(Tensor([1, 2]), 0), (Tensor([3]), 1)]))[0],
        [(np.array([1, 2], np.float32), np.int32(0)), (np.array([3], np.float32), np.int32(1))],
    )


def test_an_item_that_fails_is_named_by_its_index(run: Run, outcomes: Outcomes) -> None:
    dataset = Dataset.from_indexable(Holey(6))
    got = outcomes(iter(dataset))
    assert [each for each in got if isinstance(each, np.generic)] == [0, 2, 3, 4]
    assert got[1][0] is hr.FunctionError
    assert "from_indexable(Holey) raised KeyError: 'photo-1.jpg'" in got[1][1]
    assert got[1][1].endswith("[from_indexable(Holey), element 1]")
    with pytest.raises(hr.FunctionError, match="element 5"):
        run(dataset.skip(4))


def test_a_shuffle_of_everything_is_a_permutation_that_differs_in_every_epoch(run: Run) -> None:
    one, two = (run(seeded(Dataset.from_indexable(Squares(50)).shuffle(50)), epochs=2) for _ in range(2))
    assert one == two
    assert sorted(one[0]) == sorted(one[1]) == [i * i for i in range(50)]
    assert one[0] != one[1] != sorted(one[1])
    assert run(seeded(Dataset.from_indexable(Squares(50)).shuffle(50), seed=2)) != one[:1]


def test_what_a_shuffle_promises_holds_without_a_buffer(run: Run) -> None:
    items = Dataset.from_indexable(Squares(20))
    first, second = run(items.shuffle(1000, seed=3), epochs=2)
    assert [first, second] == run(items.prefetch(1).with_options(hr.Options(seed=9)).shuffle(20, seed=3), epochs=2)
    fixed = run(items.shuffle(20, seed=3, reshuffle_each_iteration=False), epochs=2)
    assert fixed[0] == fixed[1] != first
    (passes,) = run(items.shuffle(20, seed=3).repeat(2))
    assert sorted(passes[:20]) == sorted(passes[20:]) == sorted(first)
    assert passes[:20] != passes[20:]


def test_it_is_the_order_that_a_buffer_of_everything_would_give(run: Run) -> None:
    items = Dataset.from_indexable(Squares(300))
    buffered = items.filter(lambda x: True).shuffle(300, seed=5)
    assert run(items.shuffle(300, seed=5), epochs=2) == run(buffered, epochs=2)
    assert run(items.shuffle(300, seed=5).repeat(2)) == run(buffered.repeat(2))


def test_a_smaller_buffer_is_a_window(run: Run) -> None:
    (got,) = run(Dataset.from_indexable(Squares(100)).shuffle(10, seed=1))
    assert sorted(got) == [i * i for i in range(100)] != got
    assert all(round(float(x) ** 0.5) < place + 10 for place, x in enumerate(got))


def test_no_item_is_computed_that_is_not_asked_for() -> None:
    asked: list[int] = []

    class Watched(Squares):
        def __getitem__(self, index: int) -> Any:
            asked.append(index)
            return index

    shuffled = Dataset.from_indexable(Watched(1000)).shuffle(1000, seed=1)
    got = [int(x) for x in shuffled.skip(900).shard(10, 3)]
    assert got == asked
    assert len(asked) == 10


@pytest.mark.parametrize("count", [10, 1000, 70_000])
def test_every_item_is_in_one_shard_of_a_shuffle(count: int) -> None:
    shuffled = Dataset.from_indexable(range(count)).shuffle(count, seed=1)
    shards = [[int(x) for x in shuffled.shard(3, i)] for i in range(3)]
    assert sorted(x for shard in shards for x in shard) == list(range(count))
    assert [len(shard) for shard in shards] == [len(range(i, count, 3)) for i in range(3)]
    assert [int(x) for x in shuffled.take(9)] == [
        x for row in zip(*(each[:3] for each in shards), strict=True) for x in row
    ]


def test_a_hundred_million_items_begin_at_once_and_in_any_order(run: Run) -> None:
    count = 10**8
    shuffled = Dataset.from_indexable(range(count)).shuffle(count, seed=1)
    (got,) = run(shuffled.skip(count - 2000).concatenate(shuffled.take(2000)))
    assert len(set(got)) == 4000
    thirds = Counter(int(x) * 3 // count for x in got)
    assert all(1200 < thirds[third] < 1500 for third in range(3))
    assert len(shuffled) == count


def test_an_index_is_there_whether_or_not_its_item_can_be_had(outcomes: Outcomes) -> None:
    items = Dataset.from_indexable(Holey(12))

    def told(dataset: Dataset) -> list[Any]:
        return [int(each) if isinstance(each, np.generic) else "bad" for each in outcomes(iter(dataset))]

    assert told(items.take(3)) == [0, "bad", 2]
    assert told(items.skip(1).shard(4, 0)) == ["bad"] * 3
    assert told(items.shard(4, 2)) == [2, 6, 10]
    assert sorted(map(str, told(items.take(4).shuffle(4, seed=1)))) == sorted(["0", "bad", "2", "3"])


def test_draws_belong_to_items_wherever_a_shuffle_puts_them(run: Run) -> None:
    def draw(x: Any, rng: np.random.Generator) -> Any:
        return x, rng.integers(1 << 62)

    items = Dataset.from_indexable(Squares(30))
    draws = [dict(run(seeded(each.map(draw)))[0]) for each in (items.shuffle(30, seed=1), items.shuffle(30, seed=2))]
    assert draws[0] == draws[1]
    assert len(set(draws[0].values())) == 30
    numbered = run(seeded(items.shuffle(30, seed=1).enumerate()))[0]
    assert [number for number, _ in numbered] == list(range(30))
    assert [x for _, x in numbered] == run(items.shuffle(30, seed=1))[0]


def test_its_spec_and_cardinality() -> None:
    items = Dataset.from_indexable([(np.zeros(3), "a"), (np.zeros(4), "b")])
    assert items.element_spec == (TensorSpec((None,), np.float64), TensorSpec((), bytes))
    assert len(items) == len(items.shuffle(5)) == 2


def test_what_cannot_be_indexed_is_refused() -> None:
    class Endless:
        def __getitem__(self, index: int) -> int:
            return index

        def __len__(self) -> int:
            raise NotImplementedError

    with pytest.raises(InvalidArgumentError, match="__getitem__ and __len__, not generator: from_generator"):
        Dataset.from_indexable(x for x in range(3))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="needs a length, and this Endless tells none"):
        Dataset.from_indexable(Endless())


def test_an_object_that_cannot_travel_says_so(service: hr.Service) -> None:
    class Locked(Squares):
        def __init__(self) -> None:
            super().__init__(3)
            self.lock = threading.Lock()

    dataset = Dataset.from_indexable(Locked())
    assert list(dataset) == [0, 1, 4]
    with pytest.raises(InvalidArgumentError, match=r"from_indexable\(.*Locked\) cannot be sent to workers"):
        service.iterate(dataset)
