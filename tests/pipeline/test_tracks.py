"""Integers as few bits, and whatever bytes come instead."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.pipeline.draws import Draws
from headrace.pipeline.errors import MalformedMessage
from headrace.pipeline.kernels.tracks import STRETCH
from headrace.pipeline.tracks import deflate, inflate, pack, pack_small, unpack, unpack_small

WHOLE = st.integers(-(1 << 63), (1 << 63) - 1)
WINDOW = 65_536


def column(values: Any) -> Any:
    return np.array(values, np.int64)


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(WHOLE, st.integers(0, 50)), WHOLE, st.integers(0, 3)), max_size=60))
def test_any_integers_on_any_tracks_come_back(rows: list[tuple[int, int, int]]) -> None:
    values, numbers, tracks = (column([row[k] for row in rows]) for k in range(3))
    assert unpack(pack(values, numbers, tracks, 4), numbers, tracks, 4).tolist() == values.tolist()


@given(st.lists(st.integers(-(1 << 62), 1 << 62)))
def test_small_integers_and_large_ones_come_back(values: list[int]) -> None:
    assert unpack_small(pack_small(column(values)), len(values)).tolist() == values


@pytest.mark.parametrize("count", [STRETCH - 1, STRETCH, STRETCH + 1])
def test_a_stretch_ends_anywhere(count: int) -> None:
    values = np.random.default_rng(count).integers(0, 1000, count)
    numbers, tracks = np.arange(count), np.zeros(count, np.int64)
    assert unpack(pack(values, numbers, tracks, 1), numbers, tracks, 1).tolist() == values.tolist()


def bits(values: Any, numbers: Any) -> float:
    """So many for each."""
    return 8 * sum(map(len, pack(values, numbers, np.zeros(len(values), np.int64), 1))) / len(values)


@pytest.fixture(scope="module", params=[WINDOW, 3 * WINDOW, 20 * WINDOW])
def window(request: pytest.FixtureRequest) -> Any:
    """Which inputs a shuffle holds when so many have come."""
    return np.sort(Draws(WINDOW, 77, request.param - WINDOW, request.param, False).slots())


def test_what_a_shuffle_holds_of_a_range_takes_nothing(window: Any) -> None:
    assert bits(window, window) < 0.1


def test_what_a_shuffle_holds_of_equal_records_takes_nothing(window: Any) -> None:
    assert bits(window * 247 + 5, window) < 0.1


def test_what_a_shuffle_holds_of_unequal_records_takes_what_their_sizes_vary(window: Any) -> None:
    """A normal distribution of standard deviation 6 has log2(6 * sqrt(2 * pi * e)) = 4.63 bits; gaps add to it."""
    sizes = np.random.default_rng(1).normal(231, 6, int(window[-1]) + 1).round().astype(np.int64)
    offsets = np.cumsum(sizes + 16) - sizes - 16
    assert bits(offsets[window], window) < 5.6


def test_what_a_shuffle_holds_behind_a_filter_takes_about_three_bits(window: Any) -> None:
    passed = np.flatnonzero(np.random.default_rng(2).random(3 * int(window[-1]) + 100) < 0.5)
    assert bits(passed[window], window) < 3.4


def test_neighbours_of_two_files_in_turn_are_foreseen() -> None:
    tracks = np.arange(10_000) % 2
    values = np.where(tracks == 0, 100, 250) * (np.arange(10_000) // 2)
    packed = pack(values, np.arange(10_000), tracks, 2)
    assert sum(map(len, packed)) < 10_000 * 2, "the slopes differ, and half of the way is known"
    assert unpack(packed, np.arange(10_000), tracks, 2).tolist() == values.tolist()


def test_bytes_that_give_more_than_they_should_are_refused_before_they_do() -> None:
    bomb = zlib.compress(bytes(1 << 24))
    with pytest.raises(MalformedMessage, match="100 bytes"):
        inflate(bomb, 100)


@pytest.mark.parametrize("data", [b"", b"no", deflate(np.arange(3))[:-1], deflate(np.arange(2)), None, 7])
def test_what_was_not_deflated_or_is_of_another_length_is_refused(data: Any) -> None:
    with pytest.raises(MalformedMessage):
        inflate(data, 24)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_changed_bits_give_other_integers_or_are_refused(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    values = np.random.default_rng(count).integers(0, 1 << data.draw(st.integers(1, 60)), count)
    numbers, tracks = np.arange(count), np.zeros(count, np.int64)
    slopes, parameters, packed = pack(values, numbers, tracks, 1)
    changed = bytearray(packed)
    if changed and data.draw(st.booleans()):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        parameters = deflate(np.array([data.draw(st.integers(0, 255))], np.uint8))
    try:
        found = unpack([slopes, parameters, bytes(changed)], numbers, tracks, 1)
    except MalformedMessage:
        return
    assert len(found) == count
