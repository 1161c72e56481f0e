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


@pytest.mark.parametrize("error", [{}, {"kind": "x"}, {"kind": [], "args": [], "where": None}, {"kind": 1, "args": 2}])
def test_an_error_that_is_none_is_refused(error: dict[str, Any]) -> None:
    assert refused(Pieces(7, 1, 0, 1, False, None, error), []).startswith("an error that is none")


def test_an_error_of_an_unknown_kind_is_an_error_all_the_same() -> None:
    found = piece_from(Pieces(7, 1, 0, 1, False, None, {"kind": "New", "args": ["so"], "where": None}), [], WORK)
    assert type(found.error) is HeadraceError
    assert str(found.error) == "so"
