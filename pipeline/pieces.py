"""Pieces as they travel: the plain part in the message, the arrays as buffers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import Block, BlockLayout
from .errors import MalformedMessage, from_data
from .messages import Pieces
from .nested import check_nested
from .tags import WIDEST
from .work import STATE_ROOM, Payload, Piece, Work, identities

__all__ = ["block_from", "payload_buffers", "payload_from", "piece_buffers", "piece_from"]


def piece_buffers(piece: Piece, work: Work) -> list[Any]:
    """A piece's arrays: those of its elements, and the state of a sequential function behind them."""
    found = _element_buffers(piece, work)
    return found if piece.state is None else [*found, np.frombuffer(piece.state, np.uint8)]


def _element_buffers(piece: Piece, work: Work) -> list[Any]:
    """The block's buffer, the positions, the identities unless the work tells them, gaps, tags."""
    if piece.block is None:
        return []
    buffers = [piece.block.buffer, piece.positions]
    if not work.origin:
        buffers.append(piece.identities)
    if piece.left_out:
        buffers.append(piece.gaps)
    return buffers if piece.tags is None else [*buffers, piece.tags]


def piece_from(message: Pieces, buffers: Sequence[Any], work: Work) -> Piece:
    """The piece that a worker sent; MalformedMessage where its parts do not fit one another."""
    piece = Piece(message.first, message.next, last=message.last, left_out=message.left_out, ignored=message.ignored)
    if not 0 <= message.first <= message.next < 1 << 63:
        raise MalformedMessage(f"a piece from {message.first} to {message.next}")
    if not 0 <= message.left_out <= message.next - message.first:
        raise MalformedMessage(f"a piece of {message.next - message.first} positions, {message.left_out} left out")
    if not 0 <= message.tags <= WIDEST:
        raise MalformedMessage(f"a piece with {message.tags} tags: {WIDEST} are the most")
    if message.state:
        if not buffers or (state := memoryview(buffers[-1])).nbytes > STATE_ROOM:
            raise MalformedMessage("a piece that is to have a state, and has none, or one that is too large")
        piece.state, buffers = state.tobytes(), buffers[:-1]
    if (piece.state is None) is not (work.since is None or piece.next == piece.first):
        raise MalformedMessage("a piece with a state where none belongs, or without one where one does")
    if message.error is not None:
        piece.error = from_data(message.error)
    elif message.layout is not None:
        _fill(piece, message, list(buffers), work)
    return piece


def _fill(piece: Piece, message: Pieces, buffers: list[Any], work: Work) -> None:
    """Put a message's elements into its piece."""
    assert message.layout is not None, "there are elements"
    if len(buffers) != (2 if work.origin else 3) + bool(message.left_out) + bool(message.tags):
        raise MalformedMessage(f"a piece with {len(buffers)} buffers")
    piece.block = block_from(message.layout, buffers.pop(0))
    piece.positions = _positions(buffers.pop(0), piece)
    if work.origin:
        piece.identities = identities(work.origin, work.offsets(piece.positions))
    else:
        piece.identities = _numbers(buffers.pop(0), np.uint64, 2 * piece.block.rows).reshape(-1, 2)
    if message.left_out:
        piece.gaps = _gaps(buffers.pop(0), piece)
    if message.tags:
        piece.tags = _numbers(buffers.pop(0), np.int64, message.tags * piece.block.rows).reshape(-1, message.tags)


def _gaps(buffer: Any, piece: Piece) -> npt.NDArray[Any]:
    """How many were left out before each element and behind the last: as many as the piece says."""
    assert piece.block is not None, "there are gaps between elements"
    found = _numbers(buffer, np.int64, piece.block.rows + 1)
    if (found < 0).any() or (found > piece.left_out).any() or found.sum() != piece.left_out:
        raise MalformedMessage(f"gaps that are none of a piece with {piece.left_out} elements left out")
    return found


def _positions(buffer: Any, piece: Piece) -> npt.NDArray[Any]:
    """Where each element begins: in order, within the piece."""
    assert piece.block is not None, "a block has positions"
    found = _numbers(buffer, np.int64, piece.block.rows)
    if not len(found) or found[0] < piece.first or found[-1] >= piece.next or (found[1:] < found[:-1]).any():
        raise MalformedMessage(f"elements that are none of a piece from {piece.first} to {piece.next}")
    return found


def block_from(layout: list[Any], buffer: Any) -> Block:
    """A block over a received buffer, its bounds checked: kernels will trust them."""
    data = buffer if isinstance(buffer, np.ndarray) else np.frombuffer(buffer, np.uint8)
    if data.ctypes.data % 8:
        data = data.copy()  # typed views need aligned memory
    block = Block.over(BlockLayout.from_data(layout), data)
    for column in block.columns:
        column.check()
    check_nested(block)
    return block


def payload_buffers(payload: Payload) -> list[Any]:
    """The arrays of elements that are handed along, and the state that goes with them, if one does."""
    found = [payload.block.buffer, payload.identities]
    return [*found, np.frombuffer(payload.state, np.uint8)] if payload.state else found


def payload_from(layout: list[Any], buffers: Sequence[Any]) -> Payload:
    """Elements that were handed along; MalformedMessage where the parts do not fit one another."""
    if len(buffers) not in (2, 3) or not all(memoryview(each).nbytes for each in buffers[2:]):
        raise MalformedMessage(f"elements handed along in {len(buffers)} buffers")
    block = block_from(layout, buffers[0])
    state = memoryview(buffers[2]).tobytes() if len(buffers) > 2 else b""
    return Payload(block, _numbers(buffers[1], np.uint64, 2 * block.rows).reshape(-1, 2), state)


def _numbers(buffer: Any, dtype: type[Any], count: int) -> npt.NDArray[Any]:
    data = np.frombuffer(buffer, np.uint8)
    if data.nbytes != count * 8:
        raise MalformedMessage(f"{data.nbytes} bytes where {count} numbers belong")
    return data.copy().view(dtype) if data.ctypes.data % 8 else data.view(dtype)
