"""Held elements as plain data: small, and enough to compute just them again."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.broker import held
from headrace.broker.held import NotKept, Origins, found, keep, needed, recovery
from headrace.pipeline.blocks import Block
from headrace.pipeline.store import Handles, Store
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
    assert after.identities(found(data, handles)).tolist() == [list(each) for each in who]


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
    assert found(journaled(data), {}).tolist() == []


def test_what_was_made_of_others_cannot_be_kept() -> None:
    store = Store()
    with pytest.raises(NotKept):
        keep(store, known(TEXT), stored(store, [(77, 1)], derived=True))


def test_what_comes_from_no_known_leaf_cannot_be_kept() -> None:
    store = Store()
    with pytest.raises(NotKept):
        keep(store, known(ROWS), stored(store, [(77, 1)]))
