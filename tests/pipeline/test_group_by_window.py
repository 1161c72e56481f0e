"""Group by window: datasets made of windows of elements that share a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.broker.lanes import Lane
from headrace.pipeline.blobs import Sent
from headrace.pipeline.errors import MalformedMessage
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.nodes import FlatMap, Tagged, WindowByKey
from headrace.pipeline.work import Piece
from tests.players import SHARED, Player

from ..conftest import Run
from .resuming import outcomes, resumes_everywhere


def with_key(key: Any, window: Dataset) -> Dataset:
    """All of a window as one batch behind its key."""
    return window.batch(1000).map(lambda batch: (key, batch))


def told(found: list[Any]) -> list[tuple[int, list[Any]]]:
    return [(int(key), batch.tolist()) for key, batch in found]


def by_hand(numbers: list[int], key: Callable[[int], int], size: Callable[[int], int]) -> list[tuple[int, list[int]]]:
    """What tf.data's documentation says."""
    windows: dict[int, list[int]] = {}
    found = []
    for x in numbers:
        windows.setdefault(key(x), []).append(x)
        if len(windows[key(x)]) == size(key(x)):
            found.append((key(x), windows.pop(key(x))))
    return found + sorted(windows.items())


def test_a_window_comes_when_it_is_full_and_the_rest_in_the_order_of_keys(run: Run) -> None:
    grouped = Dataset.range(20).group_by_window(lambda x: 5 - x % 7, with_key, window_size=2)
    assert told(run(grouped)[0]) == by_hand(list(range(20)), lambda x: 5 - x % 7, lambda key: 2)
    assert told(run(grouped)[0])[-1][0] == 5, "keys are ordered as numbers, -1 before 5"


def test_each_key_may_have_windows_of_a_size_of_its_own(run: Run) -> None:
    grouped = (
        Dataset.range(300)
        .shuffle(40, seed=3)
        .group_by_window(lambda x: x % 5, with_key, window_size_func=lambda key: 3 * key + 1)
    )
    order = [int(x) for x in Dataset.range(300).shuffle(40, seed=3)]
    assert told(run(grouped)[0]) == by_hand(order, lambda x: x % 5, lambda key: 3 * key + 1)


def test_a_window_may_become_any_number_of_elements(run: Run) -> None:
    def some(key: Any, window: Dataset) -> Dataset:
        return window.map(lambda x: (key, x)).take(int(key))

    found = run(Dataset.range(12).group_by_window(lambda x: x % 3, some, 3))[0]
    assert [(int(key), int(x)) for key, x in found] == [(1, 1), (2, 2), (2, 5), (1, 10), (2, 11)]


def test_whole_elements_are_in_a_window(run: Run) -> None:
    def element(x: Any) -> Any:
        return {"n": x, "s": (b"s" * int(x), np.full(int(x) % 2, x))}

    grouped = Dataset.range(5).map(element).group_by_window(lambda each: each["n"] % 2, lambda key, w: w, 2)
    found = run(grouped)[0]
    assert [int(each["n"]) for each in found] == [0, 2, 1, 3, 4]
    assert found[2]["s"][0] == b"s"
    assert found[2]["s"][1].tolist() == [1]


def test_an_endless_dataset_gives_its_windows(run: Run) -> None:
    endless = Dataset.range(3).repeat().group_by_window(lambda x: x, with_key, 2).take(4)
    assert told(run(endless)[0]) == [(0, [0, 0]), (1, [1, 1]), (2, [2, 2]), (0, [0, 0])]


def test_inside_a_dataset_that_a_function_makes(run: Run) -> None:
    def inner(n: Any) -> Dataset:
        return Dataset.range(n).group_by_window(lambda x: x % 2, with_key, 2).flat_map(lambda key, w: w_of(w))

    def w_of(batch: Any) -> Dataset:
        return Dataset.from_tensor_slices(batch).window(2, drop_remainder=True).flat_map(lambda w: w)

    assert [int(x) for x in run(Dataset.range(3, 6).flat_map(inner))[0]] == [0, 2, 0, 2, 1, 3, 0, 2, 1, 3]


def fails_at_fives(x: Any) -> Any:
    if x % 10 == 5:
        raise ValueError(f"{x}")
    return x % 2


def test_an_element_whose_key_cannot_be_told_fails_alone() -> None:
    found = outcomes(iter(Dataset.range(8).group_by_window(fails_at_fives, with_key, 2)))
    assert told(found[:2]) == [(0, [0, 2]), (1, [1, 3])]
    assert found[2] == (hr.FunctionError, "group_by_window(fails_at_fives) raised ValueError: 5")
    assert told(found[3:]) == [(0, [4, 6]), (1, [7])]


def test_a_function_that_makes_no_dataset_of_a_window_fails_for_that_one() -> None:
    def odd(key: Any, window: Dataset) -> Any:
        return 3 if key else window

    found = outcomes(iter(Dataset.range(6).group_by_window(lambda x: x % 2, odd, 2)))
    assert [each if isinstance(each, tuple) else int(each) for each in found if not isinstance(each, tuple)] == [
        0,
        2,
        4,
    ]
    assert [kind for kind, _ in (each for each in found if isinstance(each, tuple))] == [hr.InvalidArgumentError] * 2


def test_unlike_elements_fail_with_the_window_that_holds_them() -> None:
    mixed = Dataset.range(8).map(lambda x: x if x != 2 else float(x))
    found = outcomes(iter(mixed.group_by_window(lambda x: int(x) % 2, with_key, 2)))
    assert found[0][0] is hr.InvalidArgumentError
    assert told(found[1:]) == [(1, [1, 3]), (0, [4, 6]), (1, [5, 7])]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"window_size_func": lambda key: 0}, "a window size of 0: it must be at least 1"),
        ({"window_size_func": lambda key: 1.5}, "must return one whole number"),
    ],
)
def test_a_size_that_is_none_is_refused(more: Any, why: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=why):
        next(iter(Dataset.range(4).group_by_window(lambda x: x, with_key, **more)))


@pytest.mark.parametrize("more", [{}, {"window_size": 2, "window_size_func": lambda key: 2}, {"window_size": 0}])
def test_wrong_arguments_are_refused(more: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="window_size"):
        Dataset.range(4).group_by_window(lambda x: x, with_key, **more)


def test_a_key_must_be_a_whole_number() -> None:
    with pytest.raises(hr.InvalidArgumentError, match="must return one whole number, not bool"):
        list(Dataset.range(4).group_by_window(lambda x: x % 2 == 0, with_key, 2))


def test_windows_that_together_take_too_much_are_told() -> None:
    rows = Dataset.range(1000).map(lambda x: np.full(100, x))
    kept = rows.group_by_window(lambda x: x[0], with_key, 2).with_options(hr.Options(buffer_bytes=100_000))
    found = outcomes(iter(kept))
    assert [kind for kind, _ in found] == [hr.ResourceExhaustedError]
    assert "would hold 100,800 bytes in windows that are not full, over the budget of 100,000" in found[0][1]
    enough = rows.group_by_window(lambda x: x[0] % 60, with_key, 2).with_options(hr.Options(buffer_bytes=100_000))
    assert len(outcomes(iter(enough))) == 480 + 40


@pytest.mark.parametrize("sizes", [{"window_size": 3}, {"window_size_func": lambda key: key + 1}], ids=["one", "each"])
def test_it_goes_on_from_every_element(sizes: Any, service: hr.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Dataset:
        numbers = Dataset.range(18).shuffle(4).map(lambda x: {"x": x, "r": np.full(int(x) % 3, x)})
        return numbers.group_by_window(lambda each: fails_at_fives(each["x"]) + each["x"] % 3, batches, **sizes)

    assert len(resumes_everywhere(make, service, monkeypatch)) > 6


def batches(key: Any, window: Dataset) -> Dataset:
    return window.padded_batch(2).map(lambda batch: (key, batch))


def test_cardinality_and_travel() -> None:
    grouped = Dataset.range(9).repeat().group_by_window(lambda x: x, with_key, 2)
    node = grouped.node
    assert isinstance(node, FlatMap)
    assert Dataset(node.source).cardinality() == hr.UNKNOWN_CARDINALITY
    assert Dataset(node.source).element_spec == (
        hr.TensorSpec((), np.int64),
        hr.DatasetSpec(hr.TensorSpec((), np.int64)),
    )
    assert isinstance(node.source.inputs[0], Tagged)
    again = decode_outline(encode(node, Sent())).inputs[0]
    assert isinstance(again, WindowByKey)
    assert again.size == 2
    for wrong in (
        WindowByKey(node.source.inputs[0]),
        WindowByKey(node.source.inputs[0], 0),
        WindowByKey(again.inputs[0].inputs[0], 2),
    ):
        with pytest.raises(MalformedMessage, match="a WindowByKey with"):
            decode_outline(encode(wrong, Sent()))


class Liar(Player):
    """Its workers tell of windows without elements, or of fewer."""

    def _computed(self, lane: Lane) -> Iterator[Piece]:
        for piece in Player._computed(self, lane):
            if piece.tags is not None:
                piece.tags[:, 1] = -(piece.tags[:, 0] % 2)
            yield piece


def test_a_window_of_no_size_is_refused_whoever_told_of_it() -> None:
    dataset = Dataset.range(6).group_by_window(lambda x: x, with_key, window_size_func=lambda key: 1)
    found = Liar(dataset.resolved, SHARED).take()
    assert [each for each in found if isinstance(each, str)] == [
        f"group_by_window: a worker told of a window without elements, of key {key}" for key in range(6)
    ]
