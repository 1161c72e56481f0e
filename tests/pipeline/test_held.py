"""Held elements as plain data: small, and enough to compute just them again."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.pipeline import held
from headrace.pipeline.blocks import Block
from headrace.pipeline.held import NotKept, Origins, found, keep, needed, recovery
from headrace.pipeline.store import Handles, Store
from headrace.pipeline.structure import Structure
from headrace.pipeline.work import Work, identities

TEXT, ROWS = Work((1,), 77, 0, None, "a.txt"), Work((1,), 1 << 63, 0, 50)


def known(*works: Work) -> Origins:
    origins = Origins()
    for work in works:
        origins.add(work)
    return origins


def stored(store: Store, who: list[tuple[int, int]], derived: bool = False) -> Handles:
    """Handles of elements with these identities, each in a block of its own."""
    block = Block.of_elements([np.int64(0)])
    return np.concatenate([store.add(block, identities(*each), derived) for each in [(o, [at]) for o, at in who]])


def journaled(state: Any) -> Any:
    return msgpack.unpackb(msgpack.packb(state))


@given(st.lists(st.tuples(st.sampled_from([77, 1 << 63]), st.integers(0, 1 << 40)), min_size=1, unique=True))
def test_what_is_kept_is_found_again_in_its_order(who: list[tuple[int, int]]) -> None:
    before, after = Store(), Store()
    data = journaled(keep(before, known(TEXT, ROWS), stored(before, who)))
    works = recovery({"held": data})
    again = [(work.origin, at) for work in works for at in work.only or ()]
    assert sorted(again) == sorted(who)
    handles = dict(zip(again, stored(after, again).tolist(), strict=True))
    assert after.identities(found(data, handles, after)).tolist() == [list(each) for each in who]


def test_work_names_the_file_and_just_the_stretch_that_is_needed() -> None:
    store = Store()
    data = keep(store, known(TEXT), stored(store, [(77, 30), (77, 10), (77, 20)]))
    assert recovery({"held": data}) == [Work((1,), 77, 10, 31, "a.txt", only=(10, 20, 30))]


def test_an_element_held_in_two_places_is_computed_once() -> None:
    store = Store()
    handles = stored(store, [(77, 10), (77, 20)])
    state = {"a": keep(store, known(TEXT), handles), "b": [{"c": keep(store, known(TEXT), handles[:1])}]}
    assert [each["count"] for each in needed(state)] == [2, 1]
    assert [work.only for work in recovery(state)] == [(10, 20)]


def test_many_elements_are_computed_again_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "PART", 2)
    store = Store()
    data = keep(store, known(ROWS), stored(store, [(1 << 63, at) for at in range(5)]))
    assert [(work.start, work.stop, work.only) for work in recovery(data)] == [
        (0, 2, (0, 1)),
        (2, 4, (2, 3)),
        (4, 5, (4,)),
    ]


def test_ten_thousand_neighbours_in_any_order_take_a_few_bytes_each() -> None:
    store = Store()
    block = Block.of_elements([np.int64(0)] * 10_000)
    handles = store.add(block, identities(77, np.arange(10_000) * 113))
    data = keep(store, known(TEXT), np.random.default_rng(1).permutation(handles))
    assert len(msgpack.packb(data)) < 4 * 10_000


def test_nothing_held_needs_nothing() -> None:
    store = Store()
    data = keep(store, known(), np.empty(0, np.int64))
    assert recovery({"held": data}) == []
    assert found(journaled(data), {}, store).tolist() == []


PAIR = Structure("tuple", (), (Structure(), Structure()))


def test_joined_elements_are_kept_as_their_parts_and_joined_again() -> None:
    before, after = Store(), Store()
    left = before.join(PAIR, [Block.of_numbers(np.arange(5, 8)), stored(before, [(77, 3), (77, 1), (1 << 63, 9)])])
    joined = before.join(PAIR, [left, stored(before, [(1 << 63, at) for at in (0, 2, 1)])])
    mixed = joined[[2, 0]]
    data = journaled(keep(before, known(TEXT, ROWS), mixed))
    again = [(work.origin, at) for work in recovery({"held": [data]}) for at in work.only or ()]
    assert sorted(again) == [(77, 3), (1 << 63, 0), (1 << 63, 1), (1 << 63, 9)]
    handles = dict(zip(again, stored(after, again).tolist(), strict=True))
    back = found(data, handles, after)
    assert after.identities(back).tolist() == before.identities(mixed).tolist()
    assert list(after.gather(back)) == list(before.gather(mixed)) == [((7, 0), 0), ((5, 0), 0)]
    after.release(back)
    assert len(after) == 0, "the parts went into what they were joined to"


def test_what_is_joined_of_something_that_cannot_be_kept_cannot_be_kept() -> None:
    store = Store()
    with pytest.raises(NotKept):
        keep(store, known(TEXT), store.join(PAIR, [stored(store, [(77, 1)]), stored(store, [(77, 2)], derived=True)]))


def test_elements_joined_in_unlike_ways_are_not_kept_together() -> None:
    store = Store()
    pair = store.join(PAIR, [stored(store, [(77, 1)]), stored(store, [(77, 2)])])
    numbered = store.join(PAIR, [Block.of_numbers(np.arange(1)), stored(store, [(77, 3)])])
    for each in (pair, numbered):
        keep(store, known(TEXT), each)
    with pytest.raises(NotKept):
        keep(store, known(TEXT), np.concatenate([pair, numbered]))


def test_what_was_made_of_others_cannot_be_kept() -> None:
    store = Store()
    with pytest.raises(NotKept):
        keep(store, known(TEXT), stored(store, [(77, 1)], derived=True))


def test_what_comes_from_no_known_leaf_cannot_be_kept() -> None:
    store = Store()
    with pytest.raises(NotKept):
        keep(store, known(ROWS), stored(store, [(77, 1)]))
