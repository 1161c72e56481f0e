"""zip: nesting, lengths, failures, identities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError, TensorSpec

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


class Pair(NamedTuple):
    """Keeps its names."""

    left: Any
    right: Any


def draw(x: Any, rng: np.random.Generator) -> Any:
    return x, rng.integers(1 << 62)


def seeded(dataset: Dataset) -> Dataset:
    return dataset.with_options(hr.Options(seed=1))


def fails_at(*places: int) -> Callable[[Any], Any]:
    def check(x: Any) -> Any:
        if x in places:
            raise ValueError(f"bad {x}")
        return x

    return check


def test_datasets_or_one_nesting_of_them(run: Run, same: Same) -> None:
    a, b = Dataset.range(3), Dataset.from_tensor_slices(["x", "y", "z"])
    pairs = [(np.int64(0), b"x"), (np.int64(1), b"y"), (np.int64(2), b"z")]
    for dataset in (Dataset.zip(a, b), Dataset.zip((a, b)), Dataset.zip(datasets=(a, b))):
        same(run(dataset)[0], pairs)
    same(run(Dataset.zip({"n": a, "t": (b,)}))[0], [{"n": n, "t": (t,)} for n, t in pairs])
    same(run(Dataset.zip(Pair(a, b)))[0], [Pair(n, t) for n, t in pairs])
    same(run(Dataset.zip(a))[0], [n for n, _ in pairs])


def test_what_is_nested_in_elements_stays_nested(run: Run, same: Same) -> None:
    a = Dataset.from_tensor_slices(({"k": [1, 2]}, [[3, 4], [5, 6]]))
    expected = [
        (({"k": np.int32(1)}, np.array([3, 4], np.int32)), np.int64(0)),
        (({"k": np.int32(2)}, np.array([5, 6], np.int32)), np.int64(1)),
    ]
    same(run(Dataset.zip(a, Dataset.range(2)))[0], expected)


def test_the_shortest_ends_it(run: Run) -> None:
    endless, filtered = Dataset.range(3).repeat(), Dataset.range(100).filter(lambda x: x % 7 == 0)
    (got,) = run(Dataset.zip(endless, filtered, Dataset.range(50)))
    assert got == [(i % 3, 7 * i, i) for i in range(15)]
    assert run(Dataset.zip(endless, Dataset.range(0))) == [[]]
    assert run(Dataset.zip(Dataset.range(5), endless.filter(lambda x: x > 0)))[0][-1] == (4, 1)


def test_inputs_that_come_in_unequal_portions(run: Run, text_file: Callable[..., str]) -> None:
    lines = hr.TextLineDataset(text_file(b"".join(b"%d\n" % i for i in range(3000))))
    pairs = Dataset.zip(lines.map(int), Dataset.range(3000).shuffle(1000, seed=1), Dataset.range(6000).batch(2))
    (got,) = run(pairs)
    assert [line for line, _, _ in got] == [int(batch[0]) // 2 for _, _, batch in got] == list(range(3000))
    assert sorted(shuffled for _, shuffled, _ in got) == list(range(3000))


def test_ragged_components_text_and_scalars_side_by_side(run: Run, same: Same) -> None:
    def nest(n: Any) -> Any:
        return np.full(int(n) % 4, n), b"t" * int(n), np.array([b"u"] * int(n), object)

    numbers = Dataset.range(9)
    same(run(Dataset.zip(numbers, numbers.map(nest)))[0], [(np.int64(n), nest(np.int64(n))) for n in range(9)])


def test_a_failure_is_raised_in_its_place_and_takes_what_stands_beside_it_along(run: Run, outcomes: Outcomes) -> None:
    left, right = Dataset.range(8).map(fails_at(2, 5)), Dataset.range(10, 20).map(fails_at(15, 16))
    got = outcomes(iter(Dataset.zip(left, right)))
    assert [each if isinstance(each[0], np.int64) else each[1].split(": ")[1].split("\n")[0] for each in got] == [
        (0, 10),
        (1, 11),
        "bad 2",
        (3, 13),
        (4, 14),
        "bad 5",  # of two in one place the first input's
        "bad 16",
        (7, 17),
    ]
    with pytest.raises(hr.FunctionError, match="bad 2"):
        run(Dataset.zip(left, right))


def test_a_failure_beside_the_end_is_raised_where_its_input_comes_first(outcomes: Outcomes) -> None:
    failing, short = Dataset.range(5).map(fails_at(3)), Dataset.range(3)
    assert [each[0] for each in outcomes(iter(Dataset.zip(failing, short)))] == [0, 1, 2, hr.FunctionError]
    assert [each[0] for each in outcomes(iter(Dataset.zip(short, failing)))] == [0, 1, 2]


def test_elements_that_together_are_too_large_fail_alone(enforced: Callable[..., None], outcomes: Outcomes) -> None:
    enforced(element_bytes=1000)
    rows = Dataset.range(6).map(lambda n: np.zeros(600 if n == 3 else 5, np.uint8))
    got = outcomes(iter(Dataset.zip(rows, rows)))
    assert [each[0] if isinstance(each[0], type) else len(each[0]) for each in got] == [
        *(5, 5, 5),
        hr.ResourceExhaustedError,
        *(5, 5),
    ]


def test_one_dataset_twice_draws_anew_on_each_side(run: Run) -> None:
    noisy = Dataset.range(50).map(draw)
    one, two = (run(seeded(Dataset.zip(noisy, noisy)), epochs=2) for _ in range(2))
    assert one == two
    draws = [drawn for epoch in one for pair in epoch for _, drawn in pair]
    assert len(set(draws)) == 200


def test_what_is_behind_a_zip_draws_for_each_pair(run: Run) -> None:
    def noisy(x: Any, y: Any, rng: np.random.Generator) -> Any:
        return x, rng.integers(1 << 62)

    def drawn(a: Dataset) -> dict[int, int]:
        return dict(run(seeded(Dataset.zip(a, a).map(noisy)))[0])

    numbers = Dataset.range(30)
    (got,) = run(seeded(Dataset.zip(numbers, numbers).map(noisy).repeat(2)))
    assert len({number for _, number in got}) == 60
    every, third = drawn(numbers.take(30)), drawn(numbers.shard(3, 0))
    assert len(set(every.values())) == 30
    assert third == {x: every[x] for x in range(0, 30, 3)}


def test_shuffles_of_one_seed_keep_pairs_together_and_others_do_not(run: Run) -> None:
    a, b = Dataset.range(200), Dataset.range(1000, 1200)
    (together,) = run(Dataset.zip(a.shuffle(50, seed=3), b.shuffle(50, seed=3)))
    assert all(y - x == 1000 for x, y in together)
    (apart,) = run(seeded(Dataset.zip(a.shuffle(50), b.shuffle(50))))
    assert not all(y - x == 1000 for x, y in apart)


def test_repeat_and_shuffle_around_it_and_zips_in_zips(run: Run) -> None:
    pairs = Dataset.zip(Dataset.range(6).map(draw), Dataset.range(6).shuffle(6, seed=2)).repeat(2).shuffle(5, seed=1)
    inner = Dataset.zip(pairs, Dataset.zip(Dataset.range(100), Dataset.range(8).batch(2).repeat()))
    one, two = (run(seeded(inner.batch(4)), epochs=2) for _ in range(2))
    assert [len(epoch) for epoch in one] == [3, 3]
    assert sorted(x for batch in one[0] for x in batch[0][0][0].tolist()) == sorted([*range(6), *range(6)])
    np.testing.assert_equal(one, two)
    assert not np.array_equal(one[0][0][0][0][1], one[1][0][0][0][1])


def test_its_spec_and_cardinality() -> None:
    dataset = Dataset.zip({"a": Dataset.range(5), "b": (hr.TextLineDataset("none"), Dataset.range(8).batch(2))})
    assert dataset.element_spec == {
        "a": TensorSpec((), np.int64),
        "b": (TensorSpec((), bytes), TensorSpec((None,), np.int64)),
    }
    assert Dataset.zip(Dataset.range(5), Dataset.range(3).repeat()).cardinality() == 5
    assert Dataset.zip(Dataset.range(5).repeat()).cardinality() == hr.INFINITE_CARDINALITY
    assert dataset.cardinality() == hr.UNKNOWN_CARDINALITY
    mapped = Dataset.zip(Dataset.range(2).map(lambda x: (x, b"t")), Dataset.range(1)).element_spec
    assert mapped == ((TensorSpec((), np.int64), TensorSpec((), bytes)), TensorSpec((), np.int64))


def test_what_is_no_dataset_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"component 1\.k is int"):
        Dataset.zip(Dataset.range(1), {"k": 3})
    with pytest.raises(InvalidArgumentError, match="a list: use a tuple"):
        Dataset.zip([Dataset.range(1)])
    with pytest.raises(InvalidArgumentError, match="zip needs datasets"):
        Dataset.zip()
    with pytest.raises(InvalidArgumentError, match="zip needs at least one"):
        Dataset.zip(())
    with pytest.raises(InvalidArgumentError, match="only one of these"):
        Dataset.zip(Dataset.range(1), datasets=Dataset.range(1))


def test_it_shows_its_branches() -> None:
    assert repr(Dataset.zip(Dataset.range(1).take(1), Dataset.range(1)).batch(1)) == (
        "<Dataset: (Range > Take, Range) > Zip > Batch>"
    )
