"""Lineage: of what elements in a store were made, and that identities follow from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.pipeline.arrivals import Arrivals
from headrace.pipeline.blocks import Block
from headrace.pipeline.feeds import handed
from headrace.pipeline.flat import GRAIN
from headrace.pipeline.folding import Fold
from headrace.pipeline.lineage import Folded, Hopped, Itself, Joined, Leaf, Lineage, Mixed, Numbers, together
from headrace.pipeline.store import Handles, Store
from headrace.pipeline.structure import Structure
from headrace.pipeline.work import Piece, Work, identities

PAIR = Structure("tuple", (), (Structure(), Structure()))


def leaves(store: Store, low: int, high: int, origin: int = 7) -> Handles:
    """Elements of a leaf that are their own offsets."""
    block = Block.of_elements([np.int64(i) for i in range(low, high)])
    return store.add(block, identities(origin, range(low, high)))


def hopped(store: Store, inputs: Handles, values: list[Any], positions: list[int], grain: int = 1) -> Handles:
    """What came of elements that were handed along."""
    job = handed((3,), store, inputs, grain)
    arrivals = Arrivals(job, store)
    who = store.identities(inputs)[np.array(positions) // grain]
    piece = Piece(0, len(inputs) * grain, Block.of_elements(values), who, np.array(positions, np.int64), last=True)
    arrivals.add(piece)
    got = arrivals.pop(1 << 20)
    assert isinstance(got, np.ndarray)
    arrivals.close()
    return got


def offsets(lineage: Lineage) -> list[int]:
    assert isinstance(lineage, Leaf)
    return [int(each) for each in lineage.identities[:, 1]]


def test_elements_of_a_leaf_are_who_they_are() -> None:
    store = Store()
    assert offsets(store.lineage(leaves(store, 0, 5)[[3, 1]])) == [3, 1]


def test_of_no_elements_nothing_is_told() -> None:
    assert len(Store().lineage(np.empty(0, np.int64))) == 0


def test_a_stack_is_told_by_what_lies_in_it() -> None:
    store = Store()
    batches, _ = Fold()(store, leaves(store, 0, 6), 2)
    lineage = store.lineage(batches[[2, 0]])
    assert isinstance(lineage, Folded)
    assert (lineage.sizes.tolist(), offsets(lineage.part), lineage.padded) == ([2, 2], [4, 5, 0, 1], None)


def test_stacks_of_unlike_sizes_are_told_together() -> None:
    store = Store()
    three, _ = Fold()(store, leaves(store, 0, 3), 3)
    two, _ = Fold()(store, leaves(store, 3, 5), 2)
    lineage = store.lineage(np.concatenate([two, three]))
    assert isinstance(lineage, Folded)
    assert (lineage.sizes.tolist(), offsets(lineage.part)) == ([2, 3], [3, 4, 0, 1, 2])
    np.testing.assert_array_equal(lineage.identities, store.identities(np.concatenate([two, three])))


def test_outputs_of_a_segment_are_told_by_their_inputs() -> None:
    store = Store()
    lineage = store.lineage(hopped(store, leaves(store, 0, 4), [b"b", b"d"], [1, 3])[::-1])
    assert isinstance(lineage, Hopped)
    assert (lineage.path, lineage.index, offsets(lineage.inputs)) == ((3,), None, [3, 1])


def test_one_of_many_outputs_is_told_by_which_it_is() -> None:
    store = Store()
    inputs = leaves(store, 0, 4)
    got = hopped(store, inputs, [1, 2, 3], [GRAIN, 3 * GRAIN, 3 * GRAIN + 5], GRAIN)
    lineage = store.lineage(got[[2, 0]])
    assert isinstance(lineage, Hopped)
    assert lineage.index is not None
    assert lineage.within is not None
    told = [offsets(lineage.inputs)[row] for row in lineage.index.tolist()]
    assert (told, lineage.within.tolist()) == ([3, 1], [5, 0])


def test_what_is_smaller_than_its_lineage_is_told_as_it_is() -> None:
    store = Store()
    batch, _ = Fold()(store, leaves(store, 0, 1000), 1000)
    got = hopped(store, batch, [np.int64(499500)], [0])
    lineage = store.lineage(got)
    assert isinstance(lineage, Itself)
    assert (list(lineage.block), lineage.nbytes < 100) == ([499500], True)


def test_what_was_made_otherwise_is_told_as_it_is() -> None:
    store = Store()
    handles = store.add(Block.of_elements([b"one", b"three"]), identities(1, [1, 2]), derived=True)
    lineage = store.lineage(handles[1:])
    assert isinstance(lineage, Itself)
    assert list(lineage.block) == [b"three"]


def test_elements_side_by_side_are_told_flat_however_often_they_were_joined() -> None:
    store = Store()
    numbered = store.join(PAIR, [Block.of_numbers(np.arange(5, 8)), leaves(store, 0, 3)])
    lineage = store.lineage(store.join(PAIR, [numbered, leaves(store, 0, 3, origin=9)])[1:])
    assert isinstance(lineage, Joined)
    assert lineage.nest == PAIR.over([PAIR, Structure()])
    assert [type(part) for part in lineage.parts] == [Numbers, Leaf, Leaf]
    assert [offsets(part) for part in lineage.parts[1:]] == [[1, 2], [1, 2]]


def test_unlike_elements_are_told_apart_and_stay_in_order() -> None:
    store = Store()
    batches, _ = Fold()(store, leaves(store, 0, 4), 2)
    mixed = np.concatenate([batches[:1], leaves(store, 10, 12), batches[1:]])
    lineage = store.lineage(mixed)
    assert isinstance(lineage, Mixed)
    assert lineage.which.tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(lineage.identities, store.identities(mixed))
    again = lineage.rows(np.array([3, 1]))
    np.testing.assert_array_equal(again.identities, store.identities(mixed[[3, 1]]))
    assert isinstance(lineage.rows(np.array([2])), Leaf), "what is of one kind needs no telling apart"


def test_mixed_ones_are_put_behind_others() -> None:
    store = Store()
    batches, _ = Fold()(store, leaves(store, 0, 4), 2)
    single = leaves(store, 10, 12)
    mixed = store.lineage(np.concatenate([single[:1], batches]))
    both = together([store.lineage(single), mixed, store.lineage(batches[:0])])
    np.testing.assert_array_equal(both.identities, store.identities(np.concatenate([single, single[:1], batches])))


def test_a_block_that_was_made_smaller_still_tells() -> None:
    store = Store()
    texts = [b"x" * 1000 + b"%d" % i for i in range(200)]
    inputs = leaves(store, 0, 200)
    got = hopped(store, inputs, texts, list(range(200)))
    store.release(got[np.arange(200) % 10 != 3])
    kept = got[3::10]
    assert store.nbytes < 60_000, "the rest has moved"
    lineage = store.lineage(kept)
    assert isinstance(lineage, Hopped)
    assert offsets(lineage.inputs) == list(range(3, 200, 10))
    assert store.identities(kept)[:, 1].tolist() == list(range(3, 200, 10))
    assert list(store.gather(kept)) == texts[3::10]


def test_a_copy_tells_the_same_and_outlives_what_it_was_made_of() -> None:
    store = Store()
    batches, _ = Fold()(store, leaves(store, 0, 4), 2)
    copy = store.copy(batches[::-1])
    store.release(batches)
    lineage = store.lineage(copy)
    assert isinstance(lineage, Folded)
    assert offsets(lineage.part) == [2, 3, 0, 1]
    assert [each.tolist() for each in store.gather(copy)] == [[2, 3], [0, 1]]


def test_a_number_by_itself_is_nobody() -> None:
    with pytest.raises(TypeError):
        _ = Numbers(np.arange(3)).identities


def test_the_store_remembers_where_elements_of_an_origin_come_from() -> None:
    store = Store()
    store.opened(Work((1,), 77, 30, 60, "a.txt", only=(30, 31)))
    store.opened(Work((2,), 0, 0, 4))
    assert (store.works, store.paths) == ({77: Work((1,), 77, 0, None, "a.txt")}, {77: "a.txt"})
