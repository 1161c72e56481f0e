"""scan: a function of a state and one element after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError
from headrace.pipeline.accumulating import packed, unpacked
from headrace.pipeline.errors import MalformedMessage, MismatchError
from headrace.pipeline.structure import flatten_as_is

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def total(state: Any, x: Any) -> Any:
    return state + x, state + x


def fussy(state: Any, x: Any) -> Any:
    """Sums what it is given, and fails at some, after it has written into its state."""
    state += x
    if x % 5 == 2:
        raise ValueError(f"bad {x}")
    return state, state.copy()


def test_each_call_knows_what_the_one_before_left(run: Run) -> None:
    sums = Dataset.range(3000).scan(np.int64(5), total)
    assert run(sums, 2) == [(5 + np.cumsum(np.arange(3000))).tolist()] * 2  # each epoch begins anew
    assert run(Dataset.range(1, 4).scan(np.int64(0), total).repeat(2))[0] == [1, 3, 6, 1, 3, 6]  # and each pass


def test_what_is_around_it(run: Run) -> None:
    numbers = Dataset.range(500).filter(lambda x: bool(x % 3)).shuffle(40, seed=3)
    sums = numbers.scan(np.int64(0), total).map(lambda x: x * 2).shuffle(9, seed=1).batch(50)
    expected = 2 * np.cumsum(list(numbers.iterate(0)))
    (got,) = run(sums)
    assert sorted(np.concatenate(got)) == sorted(expected)
    behind = Dataset.range(9).scan(np.int64(0), total).scan(np.int64(0), total).take(4).enumerate()
    assert run(behind)[0] == [(0, 0), (1, 1), (2, 4), (3, 10)]


def test_elements_and_states_are_not_spread(run: Run, same: Same) -> None:
    def count(state: Any, element: Any) -> Any:
        (number, seen), (index, text) = state, element
        return (number + 1, {"all": seen["all"] + text}), {"n": number * index, "all": seen["all"]}

    texts = Dataset.from_tensor_slices(["a", "b", "c"]).enumerate()
    (got,) = run(texts.scan((np.int64(1), {"all": b""}), count))
    same(got, [{"n": np.int64(n), "all": each} for n, each in ((0, b""), (2, b"a"), (6, b"ab"))])
    dataset = texts.scan((np.int64(1), {"all": b""}), count)
    assert dataset.element_spec["n"] == hr.TensorSpec((), np.int64)
    assert len(dataset) == 3


def test_shapes_of_a_state_may_change(run: Run) -> None:
    (got,) = run(Dataset.range(4).scan(np.zeros(0, np.int64), lambda s, x: ((t := np.append(s, x)), t)))
    assert [each.tolist() for each in got] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_a_call_that_fails_leaves_the_state_as_it_was(outcomes: Outcomes, service: hr.Service) -> None:
    dataset = Dataset.range(9).scan(np.zeros(1, np.int64), fussy)
    got = outcomes(iter(dataset))
    assert [each.tolist() if isinstance(each, np.ndarray) else each[0] for each in got] == [
        [0],
        [1],
        hr.FunctionError,
        [4],
        [8],
        [13],
        [19],
        hr.FunctionError,
        [27],
    ]
    assert "ValueError: bad 2" in got[2][1]
    with service.iterate(dataset) as iterator:
        assert [str(each).split("\n")[0] for each in outcomes(iterator)] == [str(each).split("\n")[0] for each in got]
    before = Dataset.range(9).map(lambda x: x if x % 5 != 2 else {}[x]).scan(np.zeros(1, np.int64), fussy)
    kept = [each.tolist() for each in outcomes(iter(before)) if isinstance(each, np.ndarray)]
    assert kept == [[0], [1], [4], [8], [13], [19], [27]]
    skipped = dataset.with_options(hr.Options(on_error="skip"))
    assert [each.tolist() for each in skipped] == kept == [each.tolist() for each in dataset.ignore_errors()]


def test_what_is_no_state_fails_in_its_place(outcomes: Outcomes) -> None:
    def odd(state: Any, x: Any) -> Any:
        return {1: (state + 0.5, x), 2: ((state, state), x), 3: state, 5: (np.zeros(1 << 21, np.int8)[0:0], x)}.get(
            int(x), (state + 1, (x, state))
        )

    got = outcomes(iter(Dataset.range(7).scan(np.int64(0), odd)))
    assert [each[0] if isinstance(each[0], type) else int(each[1]) for each in got] == [
        0,
        MismatchError,
        MismatchError,
        InvalidArgumentError,
        1,
        MismatchError,
        2,
    ]
    assert issubclass(MismatchError, TypeError)
    assert "component 0 is float64, and that of the initial state is int64" in got[1][1]
    assert "must return a pair" in got[3][1]
    large = outcomes(iter(Dataset.range(2).scan(np.zeros(1), lambda s, x: (np.zeros(1 << 18), x))))
    assert [each[0] for each in large] == [hr.ResourceExhaustedError] * 2


def test_a_first_state_that_is_none_is_refused() -> None:
    with pytest.raises(hr.ResourceExhaustedError, match="1,048,576 are the most"):
        Dataset.range(2).scan(np.zeros((1 << 17) + 1), total)
    with pytest.raises(InvalidArgumentError):
        Dataset.range(2).scan((), total)
    with pytest.raises(InvalidArgumentError):
        Dataset.range(2).scan(0, 3)  # type: ignore[arg-type]


def test_a_state_that_was_carried_is_itself_or_refused() -> None:
    _, pair = flatten_as_is((0, 0))
    data = packed([np.arange(3), b"ab"], pair)
    components, structure = unpacked(data)
    assert structure == pair
    assert (components[0].tolist(), components[1]) == ([0, 1, 2], b"ab")
    for at in range(len(data)):
        for put in (0, 255):
            with suppress(MalformedMessage):  # and no other error
                unpacked(data[:at] + bytes([put]) + data[at + 1 :])
