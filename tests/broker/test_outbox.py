"""The outbox: keeps what is not acknowledged, and sends it again identically."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.broker.outbox import Outbox, Parcel


def filled(*counts: int) -> Outbox:
    outbox = Outbox()
    for count in counts:
        outbox.put(Parcel(outbox.produced, count, None, None, 0))
    return outbox


def firsts(outbox: Outbox, until: int) -> list[int]:
    return [each.first for each in outbox.unsent(until)]


def test_parcels_that_begin_before_the_window_ends_are_sent_once() -> None:
    outbox = filled(2, 2, 2)
    assert firsts(outbox, until=3) == [0, 2]
    assert firsts(outbox, until=3) == []
    assert firsts(outbox, until=100) == [4]


def test_what_is_rewound_to_goes_out_again_as_it_was() -> None:
    outbox = filled(2, 2, 2)
    before = list(outbox.unsent(100))
    outbox.rewind(2)
    assert list(outbox.unsent(100)) == before[1:]


def test_rewinding_into_a_parcel_sends_the_whole_parcel() -> None:
    outbox = filled(2, 2)
    list(outbox.unsent(100))
    outbox.rewind(3)
    assert firsts(outbox, 100) == [2]


def test_rewinding_to_the_end_sends_only_what_comes_then() -> None:
    outbox = filled(2)
    outbox.rewind(2)
    assert firsts(outbox, 100) == []
    outbox.put(Parcel(2, 1, None, None, 0))
    assert firsts(outbox, 100) == [2]


def test_a_parcel_is_kept_until_all_of_it_is_acknowledged() -> None:
    outbox = filled(2, 2)
    assert outbox.acknowledge(3)
    assert [each.first for each in outbox.parcels] == [2]
    assert outbox.acknowledge(4)
    assert not outbox.parcels


def test_an_acknowledgement_that_says_nothing_new_changes_nothing() -> None:
    outbox = filled(2, 2)
    outbox.acknowledge(3)
    assert not outbox.acknowledge(3)
    assert not outbox.acknowledge(1)
    assert outbox.acknowledged == 3


def test_elements_that_were_let_go_cannot_be_reached() -> None:
    outbox = filled(2, 2, 2)
    assert outbox.reaches(0)
    outbox.acknowledge(2)
    assert [outbox.reaches(cursor) for cursor in (1, 2, 5, 6)] == [False, True, True, True]
    outbox.acknowledge(6)
    assert [outbox.reaches(cursor) for cursor in (5, 6)] == [False, True]


def test_parcels_follow_one_another() -> None:
    with pytest.raises(AssertionError, match="parcels follow one another"):
        filled(2).put(Parcel(3, 1, None, None, 0))


@given(st.lists(st.integers(1, 4), max_size=8), st.data())
def test_from_any_cursor_on_everything_comes_once_and_in_order(counts: list[int], data: st.DataObject) -> None:
    outbox = filled(*counts)
    acknowledged = data.draw(st.integers(0, outbox.produced))
    outbox.acknowledge(acknowledged)
    cursor = data.draw(st.integers(acknowledged, outbox.produced))
    outbox.rewind(cursor)
    numbers = [number for each in outbox.unsent(outbox.produced) for number in range(each.first, each.next)]
    assert [number for number in numbers if number >= cursor] == list(range(cursor, outbox.produced))
