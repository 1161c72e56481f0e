"""Pieces and payloads on the wire: there and back, and nothing that lies about its parts gets in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.pipeline.blocks import Block
from headrace.pipeline.errors import DataLossError, HeadraceError, MalformedMessage, to_data
from headrace.pipeline.frames import from_frames, to_frames
from headrace.pipeline.messages import Message, Pieces
from headrace.pipeline.pieces import block_from, payload_buffers, payload_from, piece_buffers, piece_from
from headrace.pipeline.work import Payload, Piece, Work, identities

WORK = Work((1,), origin=5, start=0, stop=100)
HANDED = replace(WORK, origin=0)


def block_of(*elements: Any) -> Block:
    return Block.of_elements(list(elements))


def piece_of(block: Block, first: int = 10) -> Piece:
    """With an element at every second position."""
    at = first + 2 * np.arange(block.rows)
    return Piece(first, first + 2 * block.rows, block, identities(5, at), at)


def message_of(piece: Piece) -> Pieces:
    layout = piece.block.layout.to_data() if piece.block is not None else None
    error = to_data(piece.error) if piece.error is not None else None
    return Pieces(7, 1, piece.first, piece.next, piece.last, layout, error)


def travel(message: Message, buffers: list[Any]) -> tuple[Any, list[Any]]:
    """Over the wire, as bytes."""
    return from_frames(to_frames(message, [np.ascontiguousarray(each).tobytes() for each in buffers]))


def there_and_back(piece: Piece, work: Work) -> Piece:
    return piece_from(*travel(message_of(piece), piece_buffers(piece, work)), work)


ELEMENTS = [
    (np.int64(1), np.int64(2)),
    (b"one", b"", b"three"),
    ({"a": np.arange(3), "b": (b"x",)}, {"a": np.arange(3), "b": (b"yy",)}),
    (np.arange(2.0), np.arange(5.0)),
    (np.array([b"a", b"bc"], object), np.array([b""], object)),
    ((), ()),
]


@pytest.mark.parametrize("elements", ELEMENTS, ids=repr)
def test_a_piece_comes_back_as_it_was(elements: tuple[Any, ...]) -> None:
    piece = piece_of(block_of(*elements))
    found = there_and_back(piece, WORK)
    assert found.block is not None
    assert (found.first, found.next, found.last) == (piece.first, piece.next, False)
    assert repr(list(found.block)) == repr(list(elements))
    np.testing.assert_array_equal(found.positions, piece.positions)
    np.testing.assert_array_equal(found.identities, piece.identities)


def test_elements_handed_along_bring_their_own_identities() -> None:
    piece = piece_of(block_of(np.int64(1), np.int64(2)))
    piece.identities = np.array([[7, 70], [8, 80]], np.uint64)
    found = there_and_back(piece, HANDED)
    np.testing.assert_array_equal(found.identities, piece.identities)


@given(st.integers(0, 1 << 62), st.integers(0, 100), st.booleans())
def test_a_piece_without_elements_is_a_stretch_of_positions(first: int, length: int, last: bool) -> None:
    found = there_and_back(Piece(first, first + length, last=last), WORK)
    assert (found.first, found.next, found.last, found.block) == (first, first + length, last, None)


def test_a_failure_comes_back_with_its_place() -> None:
    error = DataLossError("a.tfrecord", "cut", 12)
    error.where = "reading, the record at byte 12 of a.tfrecord"
    found = there_and_back(Piece(12, 13, error=error), WORK)
    assert isinstance(found.error, DataLossError)
    assert str(found.error) == str(error)


def test_a_payload_comes_back_as_it_was() -> None:
    block = block_of((np.int64(1), b"one"), (np.int64(2), b"two"))
    payload = Payload(block, np.array([[1, 2], [3, 4]], np.uint64))
    buffers = [np.ascontiguousarray(each).tobytes() for each in payload_buffers(payload)]
    found = payload_from(block.layout.to_data(), buffers)
    assert list(found.block) == list(block)
    np.testing.assert_array_equal(found.identities, payload.identities)


def test_a_buffer_need_not_be_aligned() -> None:
    block = block_of(np.int64(1), np.int64(2))
    shifted = memoryview(b"?" + block.buffer.tobytes())[1:]
    assert list(block_from(block.layout.to_data(), shifted)) == [1, 2]


# What lies.


def refused(message: Pieces, buffers: list[Any], work: Work = WORK) -> str:
    with pytest.raises(MalformedMessage) as told:
        piece_from(message, buffers, work)
    return str(told.value)


def test_a_piece_that_ends_before_it_begins_is_refused() -> None:
    assert refused(Pieces(7, 1, 5, 4, False), []) == "a piece from 5 to 4"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_piece_with_another_number_of_buffers_is_refused(count: int) -> None:
    piece = piece_of(block_of(np.int64(1)))
    buffers = [each.tobytes() for each in piece_buffers(piece, HANDED)]
    assert refused(message_of(piece), buffers[:count]) == f"a piece with {count} buffers"


@pytest.mark.parametrize("change", [-8, -1, 1, 8])
def test_positions_of_another_number_are_refused(change: int) -> None:
    piece = piece_of(block_of(np.int64(1), np.int64(2)))
    block, positions = (each.tobytes() for each in piece_buffers(piece, WORK))
    changed = positions[:change] if change < 0 else positions + bytes(change)
    assert refused(message_of(piece), [block, changed]) == f"{16 + change} bytes where 2 numbers belong"


@pytest.mark.parametrize("elements", ELEMENTS[:5], ids=repr)
def test_a_block_that_is_too_small_for_its_layout_is_refused(elements: tuple[Any, ...]) -> None:
    piece = piece_of(block_of(*elements))
    block, positions = (each.tobytes() for each in piece_buffers(piece, WORK))
    refused(message_of(piece), [block[:1], positions])


@given(st.data())
def test_bounds_that_lie_are_refused_or_stay_inside(data: st.DataObject) -> None:
    elements = data.draw(st.sampled_from(ELEMENTS[:5]))
    block = block_of(*elements)
    content = bytearray(block.buffer.tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = block_from(block.layout.to_data(), content)
    except MalformedMessage:
        return
    assert len(list(found)) == block.rows


@pytest.mark.parametrize(("first", "end"), [(-1, 5), (-5, -1), (0, 1 << 63), (1 << 63, 1 << 63)])
def test_a_piece_of_positions_that_cannot_be_is_refused(first: int, end: int) -> None:
    assert refused(Pieces(7, 1, first, end, False), []) == f"a piece from {first} to {end}"


@pytest.mark.parametrize("at", [[9, 12], [10, 14], [12, 10], [-(2**63), 12], [10, 2**63 - 1]])
def test_elements_outside_their_piece_or_out_of_order_are_refused(at: list[int]) -> None:
    piece = piece_of(block_of(np.int64(1), np.int64(2)))
    piece.positions = np.array(at)
    assert refused(message_of(piece), piece_buffers(piece, WORK)) == "elements that are none of a piece from 10 to 14"


def test_a_block_without_elements_is_refused() -> None:
    layout = replace(block_of(()).layout, rows=0).to_data()
    assert refused(Pieces(7, 1, 0, 5, False, layout), [b"", b""]).startswith("elements that are none")


@pytest.mark.parametrize("change", [-8, -1, 1, 16])
def test_identities_of_another_number_are_refused(change: int) -> None:
    piece = piece_of(block_of(np.int64(1), np.int64(2)))
    block, positions, who = (each.tobytes() for each in piece_buffers(piece, HANDED))
    changed = who[:change] if change < 0 else who + bytes(change)
    assert (
        refused(message_of(piece), [block, positions, changed], HANDED) == f"{32 + change} bytes where 4 numbers belong"
    )


@pytest.mark.parametrize(
    "column",
    [
        ["<i4", 1, [1 << 62, 0], None, None],
        ["<i4", 1, [1 << 63, 0], None, None],
        ["<i4", 2, [1 << 40, 1 << 40, 0], None, None],
        ["<i4", 1, [2, 1 << 70], None, None],
        ["<i4", 33, [2] + [0] * 33, None, None],
        ["<i4", 0, [3], None, None],
        ["<i4", 0, [0], None, None],
        ["i4,,", 0, [2], None, None],
        ["bytes", 0, [64], 1, None],
        ["bytes", 0, [64], 1 << 62, None],
        ["<i4", 1, [0], None, 1 << 62],
        ["<i4", 32, [0], None, 3],
        [["<i4"], 0, [2], None, None],
        [[[[[[[[[[]]]]]]]]]],
    ],
    ids=repr,
)
def test_a_layout_of_what_cannot_lie_in_the_buffer_is_refused(column: Any) -> None:
    positions = np.arange(2).tobytes()
    refused(Pieces(7, 1, 0, 2, False, [["leaf", [], [], ""], 2, [column]]), [bytes(128), positions])


LAYOUT_VALUES = st.recursive(
    st.sampled_from(["leaf", "tuple", "dict", "named", "", "bytes", "<i8", "<f4", "|b1", None, 1.5, b"x"])
    | st.integers(-2, 3)
    | st.sampled_from([1 << 20, 1 << 48, 1 << 62, (1 << 64) - 1]),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=12,
)


@given(st.lists(LAYOUT_VALUES, max_size=4), st.lists(st.binary(max_size=200), max_size=3))
def test_whatever_a_layout_is_it_is_read_or_refused(layout: list[Any], buffers: list[bytes]) -> None:
    for read in (
        lambda: piece_from(Pieces(7, 1, 0, 2, False, layout), buffers, WORK),
        lambda: payload_from(layout, buffers),
    ):
        try:
            read()
        except MalformedMessage:
            continue


@given(st.data())
def test_a_layout_that_is_changed_in_one_place_is_read_or_refused(data: st.DataObject) -> None:
    elements = data.draw(st.sampled_from(ELEMENTS))
    piece = piece_of(block_of(*elements))
    assert piece.block is not None
    message = message_of(piece)
    place: Any = message.layout
    while data.draw(st.booleans()) and any(inner := [each for each in place if isinstance(each, list) and each]):
        place = data.draw(st.sampled_from(inner))
    place[data.draw(st.integers(0, len(place) - 1))] = data.draw(LAYOUT_VALUES)
    try:
        found = piece_from(message, piece_buffers(piece, WORK), WORK)
    except MalformedMessage:
        return
    assert found.block is not None
    assert len(list(found.block)) == found.block.rows


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_payload_with_another_number_of_buffers_is_refused(count: int) -> None:
    block = block_of(np.int64(1))
    with pytest.raises(MalformedMessage, match=f"in {count} buffers"):
        payload_from(block.layout.to_data(), [block.buffer, np.zeros((1, 2), np.uint64), b""][:count])


@pytest.mark.parametrize("shift", range(1, 8))
def test_positions_and_identities_need_not_be_aligned(shift: int) -> None:
    piece = piece_of(block_of((np.float64(1), b"x"), (np.float64(2), b"yy")))
    shifted = [
        memoryview(bytes(shift) + np.ascontiguousarray(each).tobytes())[shift:] for each in piece_buffers(piece, HANDED)
    ]
    found = piece_from(message_of(piece), shifted, HANDED)
    assert found.block is not None
    assert list(found.block) == [(1.0, b"x"), (2.0, b"yy")]
    np.testing.assert_array_equal(found.positions, piece.positions)
    np.testing.assert_array_equal(found.identities, piece.identities)


@pytest.mark.parametrize("error", [{}, {"kind": "x"}, {"kind": [], "args": [], "where": None}, {"kind": 1, "args": 2}])
def test_an_error_that_is_none_is_refused(error: dict[str, Any]) -> None:
    assert refused(Pieces(7, 1, 0, 1, False, None, error), []).startswith("an error that is none")


def test_an_error_of_an_unknown_kind_is_an_error_all_the_same() -> None:
    found = piece_from(Pieces(7, 1, 0, 1, False, None, {"kind": "New", "args": ["so"], "where": None}), [], WORK)
    assert type(found.error) is HeadraceError
    assert str(found.error) == "so"
