"""Store and gather, against a plain Python list of elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import InvalidArgumentError
from headrace.pipeline.blocks import Block
from headrace.pipeline.store import Handles, Store
from headrace.pipeline.work import identities

NUMBERS = st.sampled_from(["uint8", "int32", "float64"])


@st.composite
def elements(draw: st.DrawFn, ragged: bool) -> list[list[Any]]:
    """Blocks of elements: a scalar, text, an array of numbers, an array of text; shapes vary if `ragged`."""
    rank = draw(st.integers(0, 2))
    dtype = draw(NUMBERS)
    side = st.integers(0, 3) if ragged else st.just(draw(st.integers(0, 3)))
    counter = iter(range(10**6))

    def element(shape: tuple[int, ...]) -> Any:
        number = next(counter)
        size = int(np.prod(shape))
        array = (np.arange(size).reshape(shape) + number).astype(dtype) if rank else np.dtype(dtype).type(number % 200)
        words = np.array([b"w" * ((number + k) % 5) for k in range(size)] + [None], object)[:-1].reshape(shape)
        return np.int64(number), {"text": b"t" * (number % 7), "array": array, "words": words if rank else b"w"}

    shapes = st.tuples(*[side] * rank)
    blocks = draw(st.lists(st.lists(shapes, min_size=1, max_size=6), min_size=1, max_size=5))
    return [[element(shape) for shape in block] for block in blocks]


def stored(blocks: list[list[Any]]) -> tuple[Store, Handles, list[Any]]:
    store = Store()
    handles = [store.add(Block.of_elements(each), identities(i, range(len(each)))) for i, each in enumerate(blocks)]
    return store, np.concatenate(handles), [element for block in blocks for element in block]


def assert_equal(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one[0], other[0])
    for key in ("text", "array", "words"):
        np.testing.assert_array_equal(one[1][key], other[1][key])
        assert getattr(one[1][key], "shape", ()) == getattr(other[1][key], "shape", ())


@settings(max_examples=80, deadline=None)
@given(elements(ragged=True), st.data())
def test_a_gather_gives_the_elements_that_were_put_in(blocks: list[list[Any]], data: st.DataObject) -> None:
    store, handles, model = stored(blocks)
    picks = data.draw(st.lists(st.integers(0, len(model) - 1), min_size=1, max_size=20))
    got = list(store.gather(handles[picks]))
    assert len(got) == len(picks)
    for element, pick in zip(got, picks, strict=True):
        assert_equal(element, model[pick])


@settings(max_examples=80, deadline=None)
@given(elements(ragged=False), st.integers(1, 4), st.data())
def test_a_folded_gather_stacks_as_numpy_does(blocks: list[list[Any]], fold: int, data: st.DataObject) -> None:
    store, handles, model = stored(blocks)
    rows = st.lists(st.integers(0, len(model) - 1), min_size=fold, max_size=fold)
    picks = data.draw(st.lists(rows, min_size=1, max_size=4))
    got = list(store.gather(handles[np.concatenate(picks)], fold=fold))
    for element, row in zip(got, picks, strict=True):
        chosen = [model[pick] for pick in row]
        stacked = {key: np.stack([each[1][key] for each in chosen]) for key in ("array",)}
        words = np.empty((fold, *np.shape(chosen[0][1]["words"])), object)
        texts = np.empty(fold, object)
        for i, each in enumerate(chosen):
            words[i], texts[i] = each[1]["words"], each[1]["text"]
        assert_equal(element, (np.array([each[0] for each in chosen]), {**stacked, "text": texts, "words": words}))


@settings(max_examples=60, deadline=None)
@given(elements(ragged=True), st.data())
def test_elements_survive_the_release_of_others_and_nothing_is_left_at_the_end(
    blocks: list[list[Any]], data: st.DataObject
) -> None:
    store, handles, model = stored(blocks)
    alive = list(range(len(model)))
    while alive:
        gone = data.draw(st.lists(st.sampled_from(alive), min_size=1, unique=True))
        store.release(handles[gone])
        alive = [each for each in alive if each not in gone]
        assert len(store) == len(alive)
        if alive:
            for element, pick in zip(store.gather(handles[alive]), alive, strict=True):
                assert_equal(element, model[pick])
    assert store.nbytes == 0


def big_block(rows: int = 1000) -> tuple[Store, Handles]:
    store = Store()
    block = Block.of_elements([(np.full(128, i), str(i)) for i in range(rows)])
    return store, store.add(block, identities(9, range(rows)))


def test_few_survivors_do_not_pin_a_large_block_and_keep_their_handles_and_identities() -> None:
    store, handles = big_block()
    whole = store.nbytes
    for i in range(1000):
        if i % 100:
            store.release(handles[i : i + 1])
    survivors = handles[::100]
    assert store.nbytes < max(whole // 20, 80 << 10)
    assert [int(text) for _, text in store.gather(survivors)] == list(range(0, 1000, 100))
    assert store.identities(survivors).tolist() == [[9, i] for i in range(0, 1000, 100)]
    assert store.whole(survivors) is None
    store.release(survivors)
    assert (store.nbytes, len(store)) == (0, 0)


def test_a_block_is_whole_only_when_all_its_elements_are_asked_for_in_order() -> None:
    store, handles = big_block(10)
    assert store.whole(handles) is not None
    for some in (handles[1:], handles[:-1], handles[::-1], handles[[0, 1, 2, 3, 4, 5, 6, 7, 9, 8]]):
        assert store.whole(some) is None


def test_sizes_count_content_whatever_block_an_element_lies_in() -> None:
    rows = [(np.zeros(n, np.int32), "x" * n) for n in (0, 3, 5, 1)]
    together, apart = Store(), Store()
    handles = together.add(Block.of_elements(rows), identities(0, range(4)))
    single = np.concatenate([apart.add(Block.of_elements([row]), identities(0, [0])) for row in rows])
    for i, n in enumerate((0, 3, 5, 1)):
        assert together.nbytes_of(handles[i : i + 1]) == apart.nbytes_of(single[i : i + 1]) == 5 * n
    assert together.nbytes_of(handles) == 45


def test_unlike_blocks_are_told_apart_and_refused_together() -> None:
    store = Store()
    kinds: list[Any] = [np.int32(1), np.int64(1), np.zeros(2), np.zeros(3), np.zeros((1, 1)), {"a": np.int32(1)}]
    handles = np.concatenate([store.add(Block.of_elements([each]), identities(0, [0])) for each in kinds])
    assert [store.alike(handles[i:]) for i in range(6)] == [1, 1, 2, 1, 1, 1]
    with pytest.raises(InvalidArgumentError, match="component 0 is int32 in one element and int64 in another"):
        store.gather(handles[:2])
    with pytest.raises(InvalidArgumentError, match="rank 1 in one element and 2 in another"):
        store.gather(handles[3:5])
    with pytest.raises(InvalidArgumentError, match="differ in structure"):
        store.gather(handles[[0, 5]])


def test_a_fold_over_unequal_shapes_names_the_first_that_differs() -> None:
    store = Store()
    rows = [{"a": np.zeros(n), "b": np.zeros((2, n))} for n in (1, 1, 2, 2, 3, 2)]
    handles = store.add(Block.of_elements(rows), identities(0, range(6)))
    assert [each["a"].shape for each in store.gather(handles[:4], fold=2)] == [(2, 1), (2, 2)]
    with pytest.raises(
        InvalidArgumentError, match=r"component a\. First element had shape \[3\] and element 1 had shape \[2\]"
    ):
        store.gather(handles, fold=2)


def test_a_block_of_too_many_elements_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="are the most"):
        Store().add(Block.of_elements([()] * ((1 << 20) + 1)), identities(0, []))
