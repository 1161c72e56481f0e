"""Windows: stretches of a dataset as datasets of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.blobs import Sent
from headrace.pipeline.blocks import Block
from headrace.pipeline.columns import Layout
from headrace.pipeline.errors import HeadraceError, MalformedMessage
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.nested import block_of, check_nested, opened
from headrace.pipeline.nodes import Elements, Window
from headrace.pipeline.pieces import block_from
from headrace.pipeline.structure import DATASET, flatten

from ..conftest import Run, assert_same
from .resuming import outcomes, resumes_everywhere


def opened_up(element: Any) -> Any:
    """An element with lists in place of datasets."""
    if isinstance(element, Dataset):
        return [opened_up(each) for each in element]
    if isinstance(element, dict):
        return {key: opened_up(each) for key, each in element.items()}
    return tuple(map(opened_up, element)) if type(element) is tuple else element


def numbers(found: list[Any]) -> list[list[int]]:
    return [[int(x) for x in window] for window in found]


def by_the_rule(count: int, size: int, shift: int, stride: int, drop: bool) -> list[list[int]]:
    """What tf.data's documentation says of range(count)."""
    spans = [range(first, first + size * stride, stride) for first in range(0, count, shift)]
    windows = [[x for x in span if x < count] for span in spans]
    return [window for window in windows if len(window) == size or not drop]


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("shift", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_which_elements_are_in_which_window(size: int, shift: int, stride: int, drop: bool) -> None:
    for count in (0, 1, 4, 9):
        windows = Dataset.range(count).window(size, shift, stride, drop)
        expected = by_the_rule(count, size, shift, stride, drop)
        assert numbers(list(windows)) == expected
        assert len(windows) == len(expected)


def test_the_examples_of_the_documentation(run: Run) -> None:
    seven = Dataset.range(7)
    assert numbers(run(seven.window(3))[0]) == [[0, 1, 2], [3, 4, 5], [6]]
    assert numbers(run(seven.window(3, 2, 1, True))[0]) == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert numbers(run(seven.window(3, 1, 2, True))[0]) == [[0, 2, 4], [1, 3, 5], [2, 4, 6]]


def test_windows_become_batches_by_flat_map(run: Run) -> None:
    found = run(Dataset.range(50).shuffle(9, seed=1).window(3, 1, drop_remainder=True).flat_map(lambda w: w.batch(3)))[
        0
    ]
    order = [int(x) for x in Dataset.range(50).shuffle(9, seed=1)]
    assert [row.tolist() for row in found] == [order[i : i + 3] for i in range(48)]


def test_each_component_is_a_dataset(run: Run) -> None:
    def ragged(x: Any) -> Any:
        return {"n": x, "more": (np.full(int(x) % 3, x), b"s" * int(x), np.array([b"a"] * int(x), object))}

    windows = run(Dataset.range(5).map(ragged).window(2))[0]
    assert [type(each) for each in (windows[0]["n"], *windows[0]["more"])] == [Dataset] * 4
    assert [int(x) for x in windows[1]["n"]] == [2, 3]
    assert [each.tolist() for each in windows[1]["more"][0]] == [[2, 2], []]
    assert list(windows[2]["more"][1]) == [b"ssss"]
    assert [each.tolist() for each in windows[1]["more"][2]] == [[b"a"] * 2, [b"a"] * 3]


def test_zip_puts_components_together_again(run: Run) -> None:
    pairs = Dataset.range(6).map(lambda x: (x, x * x)).window(4)
    found = run(pairs.flat_map(lambda a, b: Dataset.zip(a, b.map(lambda y: y + 1)).batch(3)))[0]
    assert [(a.tolist(), b.tolist()) for a, b in found] == [([0, 1, 2], [1, 2, 5]), ([3], [10]), ([4, 5], [17, 26])]


def test_windows_of_windows(run: Run) -> None:
    twice = Dataset.range(7).window(2).window(2)
    assert [[[int(x) for x in inner] for inner in outer] for outer in run(twice)[0]] == [
        [[0, 1], [2, 3]],
        [[4, 5], [6]],
    ]
    flat = twice.flat_map(lambda outer: outer.flat_map(lambda inner: inner.map(lambda x: x * 10)))
    assert [int(x) for x in run(flat)[0]] == [0, 10, 20, 30, 40, 50, 60]


def test_a_window_is_an_element_like_any_other(run: Run) -> None:
    windows = Dataset.range(9).window(3).enumerate().shuffle(3, seed=2).filter(lambda n, w: n != 1)
    found = run(Dataset.zip(windows, Dataset.range(9)).map(lambda pair, x: (x, pair[1], sum(map(int, pair[1])))))[0]
    assert sorted(([int(y) for y in window], total) for _, window, total in found) == [([0, 1, 2], 3), ([6, 7, 8], 21)]


def test_a_window_is_a_dataset_to_be_gone_on_with(run: Run) -> None:
    second = list(Dataset.range(10).map(lambda x: (x, b"%d" % x)).window(4))[1]
    found = run(Dataset.zip(*second).skip(1).map(lambda x, s: (x + 1, s)).repeat(2).shard(2, 0))[0]
    assert [(int(x), s) for x, s in found] == [(6, b"5"), (8, b"7"), (7, b"6")]
    assert len(second[0]) == 4


class Pair(NamedTuple):
    x: Any
    y: Any


def test_specs_and_cardinality() -> None:
    pairs = Dataset.range(10).batch(2).map(lambda b: Pair(b, b"x"))
    assert pairs.window(3).element_spec == Pair(
        hr.DatasetSpec(hr.TensorSpec((2,), np.int64)), hr.DatasetSpec(hr.TensorSpec((), bytes))
    )
    nested = Dataset.range(10).window(3).window(2)
    told = hr.DatasetSpec(hr.DatasetSpec(hr.TensorSpec((), np.int64)))
    assert nested.element_spec == told
    assert nested.map(lambda w: w).element_spec == told
    assert next(iter(nested)).element_spec == told.element_spec
    assert repr(told) == "DatasetSpec(DatasetSpec(TensorSpec(shape=(), dtype=int64)))"
    ragged = Dataset.range(4).map(lambda x: np.zeros(int(x))).window(2).map(lambda w: w)
    assert ragged.element_spec == hr.DatasetSpec(hr.TensorSpec((None,), np.float64))
    assert Dataset.range(9).repeat().window(2).cardinality() == hr.INFINITE_CARDINALITY
    assert Dataset.range(9).filter(bool).window(2).cardinality() == hr.UNKNOWN_CARDINALITY


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda w: w.batch(2), "component 0 is a dataset, and datasets cannot be batched"),
        (lambda w: w.enumerate().padded_batch(2), "component 1 is a dataset, and datasets cannot be batched"),
        (lambda w: w.ragged_batch(2), "component 0 is a dataset, and datasets cannot be batched"),
        (lambda w: w.sparse_batch(2, []), "component 0 is a dataset, and datasets cannot be batched"),
        (lambda w: w.bucket_by_sequence_length(len, [2], [1, 1]), "datasets cannot be batched"),
        (lambda w: w.unbatch(), "component 0 is a scalar"),
        (lambda w: w.map(lambda x: x.batch(2)), "can be passed on as it came, and not made into another"),
        (lambda w: hr.TFRecordDataset(w), "file names must be text"),
    ],
)
def test_what_cannot_be_made_of_datasets_is_told(wrong: Callable[[Dataset], Dataset], told: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=told):
        list(wrong(Dataset.range(6).window(3)))


@pytest.mark.parametrize("arguments", [(0,), (2, 0), (2, 1, 0), (1.5,)])
def test_wrong_arguments_are_refused(arguments: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="must be"):
        Dataset.range(3).window(*arguments)


def fails_at_fives(x: Any) -> Any:
    if x % 10 == 5:
        raise ValueError(f"{x}")
    return x


def test_an_element_that_fails_raises_and_is_in_no_window() -> None:
    found = outcomes(iter(Dataset.range(8).map(fails_at_fives).window(3, 1)))
    assert [kind is hr.FunctionError for kind, *_ in map(list, found)] == [False] * 3 + [True] + [False] * 4
    windows = [each for each in found if isinstance(each, Dataset)]
    assert numbers(windows) == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 6], [4, 6, 7], [6, 7], [7]]


def test_elements_that_are_unlike_fail_in_the_windows_that_hold_both() -> None:
    mixed = Dataset.range(6).map(lambda x: x if x < 3 else float(x))
    found = outcomes(iter(mixed.window(2, 1)))
    assert [isinstance(each, Dataset) for each in found] == [True, True, False, True, True, True]
    assert "component 0 is int64 in one element and float32 in another" in found[2][1]


def test_a_window_too_large_for_an_element_is_told(enforced: Callable[..., None]) -> None:
    enforced(element_bytes=2000)
    found = outcomes(iter(Dataset.range(500).map(lambda x: x).window(250)))
    assert [kind for kind, _ in found] == [hr.ResourceExhaustedError] * 2


@pytest.mark.parametrize("arguments", [(3, 1), (2, 3), (3, 2, 2)])
def test_it_goes_on_from_every_element(arguments: Any, service: hr.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Dataset:
        records = Dataset.range(14).map(fails_at_fives).map(lambda x: (x, np.full(int(x) % 3, x)))
        return records.shuffle(4).window(*arguments).shuffle(3)

    assert len(resumes_everywhere(make, service, monkeypatch, opened_up)) > 4


def test_what_is_behind_a_window_goes_on_from_every_element(
    service: hr.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> Dataset:
        windows = Dataset.range(11).map(fails_at_fives).shuffle(4).window(3, 2).map(lambda w: w)
        return windows.flat_map(lambda w: w.map(noisy).shuffle(2).batch(2)).shuffle(3)

    assert len(resumes_everywhere(make, service, monkeypatch)) > 5


def noisy(x: Any, rng: np.random.Generator) -> Any:
    return x * 1000 + rng.integers(1000)


# What lies.


def nested_block(content: bytes) -> Block:
    block = Block.of_elements([content])
    return Block(DATASET, 1, block.columns, block.buffer)


def content() -> bytes:
    """A dataset of three texts, as a component."""
    (window,) = list(Dataset.from_tensor_slices([b"a", b"bc", b""]).window(3))
    (found,), _ = flatten(window)
    return bytes(found)


def test_a_component_says_what_is_in_it() -> None:
    assert list(opened(content())) == [b"a", b"bc", b""]
    check_nested(nested_block(content()))


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_a_damaged_component_is_refused_or_read(at: int) -> None:
    good = content()
    for byte in (0, 1, 77, 255):
        bad = good[:at] + bytes([byte]) + good[at + 1 :]
        for each in (bad, good[:at]):
            block = nested_block(each)
            try:
                found = block_from(block.layout.to_data(), block.buffer)
                opened_up(found.element(0))
            except HeadraceError:
                pass


def test_a_component_that_claims_more_than_it_holds_is_refused() -> None:
    layout = [["leaf", [], [], ""], 1 << 19, [Layout(np.dtype(np.int64), 0, (1 << 19,)).to_data()]]
    header = msgpack.packb(layout)
    lying = len(header).to_bytes(8, "little") + header + bytes(64)
    with pytest.raises(MalformedMessage, match="too short"):
        check_nested(nested_block(lying))
    with pytest.raises(MalformedMessage, match="a header of"):
        check_nested(nested_block((1 << 62).to_bytes(8, "little")))


def test_graphs_of_windows_travel_and_are_checked() -> None:
    window = next(iter(Dataset.range(5).map(lambda x: (x, b"s")).window(2)))[1]
    node = window.map(len).node
    found = decode_outline(encode(node, Sent())).inputs[0]
    assert isinstance(found, Elements)
    assert found.rows == 2
    elements = window.node
    for wrong in (
        Window(elements, 0, 1, 1),
        Window(elements, 1, 0, 1),
        Window(elements, 1, 1, 0),
        Elements(elements.structure, 3, elements.columns, elements.buffer),
        Elements(elements.structure, 2, elements.columns, elements.buffer[:-1]),
        Elements(elements.structure, -2, elements.columns, elements.buffer),
        Elements(elements.structure, 2, (), elements.buffer),
    ):
        with pytest.raises(MalformedMessage):
            decode_outline(encode(wrong, Sent()))
    assert_same(list(block_of(elements)), [b"s", b"s"])
