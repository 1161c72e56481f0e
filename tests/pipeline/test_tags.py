"""Tags: what a function says of an element travels beside it, and nothing that lies about it gets in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from headrace import Dataset
from headrace.pipeline.blobs import Sent
from headrace.pipeline.blocks import Block
from headrace.pipeline.errors import HeadraceError, InvalidArgumentError, MalformedMessage
from headrace.pipeline.execution import execute
from headrace.pipeline.frames import from_frames, to_frames
from headrace.pipeline.functions import UserFunction
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.messages import Pieces
from headrace.pipeline.nodes import Map, Node, Tagged, TakeWhile
from headrace.pipeline.pieces import piece_buffers, piece_from
from headrace.pipeline.segment import segment_at
from headrace.pipeline.store import Store
from headrace.pipeline.tags import NUMBER, PREDICATE, SIZE
from headrace.pipeline.work import Appetite, Piece, Work, identities

WORK = Work((1,), origin=5, start=0, stop=100)


def function(call: Callable[..., Any]) -> UserFunction:
    return UserFunction.of(call, "test")


def pieces(node: Node, count: int = 10, elements: int = 4) -> list[Piece]:
    """What a worker makes of so many numbers."""
    segment = segment_at(node)
    found = execute(segment, Work(segment.path, 7, 0, count), None, 1, 0, Appetite(elements=elements))
    return [piece for piece in found if piece.block is not None or piece.error is not None]


def numbers() -> Node:
    return Dataset.range(10).node


def two_tags(source: Node) -> Tagged:
    return Tagged(Tagged(source, function(lambda x: x % 3), NUMBER), function(lambda key: key + 10), SIZE)


@pytest.mark.parametrize("source", [numbers(), Map(numbers(), function(lambda x: x))], ids=["as read", "of a map"])
def test_tags_stand_beside_the_elements_which_stay_as_they_are(source: Node) -> None:
    found = pieces(two_tags(source))
    blocks = [piece.block for piece in found if piece.block is not None]
    assert [list(map(int, block)) for block in blocks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    tags = np.concatenate([piece.tags for piece in found if piece.tags is not None])
    assert tags.tolist() == [[x % 3, x % 3 + 10] for x in range(10)]


def test_a_filter_before_a_tag_leaves_its_elements_out() -> None:
    odd = Dataset.range(10).filter(lambda x: x % 2 == 1).node
    found = pieces(Tagged(odd, function(lambda x: x * x), NUMBER))
    assert np.concatenate([piece.tags for piece in found if piece.tags is not None]).ravel().tolist() == [
        1, 9, 25, 49, 81,
    ]  # fmt: skip


def test_an_element_whose_function_fails_is_a_failure_in_its_place() -> None:
    def three(x: Any) -> Any:
        return [][x] if x == 3 else x

    found = pieces(Tagged(numbers(), function(three), NUMBER), elements=100)
    assert [(piece.first, piece.next, piece.error is not None) for piece in found] == [
        (0, 3, False),
        (3, 4, True),
        (4, 10, False),
    ]


@pytest.mark.parametrize("answer", [True, np.bool_(True), 1.0, None, np.arange(1), "1", 1 << 63, np.uint64(1 << 63)])
def test_what_is_no_whole_number_is_refused(answer: Any) -> None:
    (piece,) = pieces(Tagged(numbers(), function(lambda _: answer), NUMBER), count=1)
    assert isinstance(piece.error, InvalidArgumentError)
    assert "must return one whole number" in str(piece.error) or "does not fit into 64 bits" in str(piece.error)


@pytest.mark.parametrize("answer", [7, np.int8(7), np.array(7), np.uint64(7), np.int32(7)])
def test_whole_numbers_of_any_kind_will_do(answer: Any) -> None:
    (piece,) = pieces(Tagged(numbers(), function(lambda _: answer), NUMBER), count=1)
    assert piece.tags is not None
    assert piece.tags.dtype == np.int64
    assert piece.tags.tolist() == [[7]]


@pytest.mark.parametrize("behind", ["a map", "nothing"])
def test_what_a_function_keeps_and_writes_into_later_does_not_reach_earlier_elements(behind: str) -> None:
    kept: list[Any] = []

    def keep(x: Any) -> bool:
        for each in kept:
            each += 100
        kept.append(x if len(kept) % 2 else x[:1])
        return True

    rows = Dataset.from_tensor_slices(np.arange(20).reshape(10, 2))
    source = rows.map(lambda x: x + 0) if behind == "a map" else rows
    found = list(source.take_while(keep))
    assert [each.tolist() for each in found] == [[2 * i, 2 * i + 1] for i in range(10)]


# On the wire.


def there_and_back(piece: Piece) -> Piece:
    assert piece.block is not None
    layout = piece.block.layout.to_data()
    message = Pieces(7, 1, piece.first, piece.next, False, layout, left_out=piece.left_out, tags=piece.width)
    buffers = [np.ascontiguousarray(each).tobytes() for each in piece_buffers(piece, WORK)]
    found, data = from_frames(to_frames(message, buffers))
    assert isinstance(found, Pieces)
    return piece_from(found, data, WORK)


def tagged_piece(width: int = 2, left_out: int = 0) -> Piece:
    at = np.arange(3)
    tags = np.arange(3 * width).reshape(3, width) - 1
    piece = Piece(0, 9, Block.of_numbers(at), identities(5, at), at, tags=tags)
    if left_out:
        piece.left_out, piece.gaps = left_out, np.array([left_out, 0, 0, 0])
    return piece


@pytest.mark.parametrize("left_out", [0, 2])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_tags_travel_with_their_piece(width: int, left_out: int) -> None:
    piece = tagged_piece(width, left_out)
    found = there_and_back(piece)
    assert piece.tags is not None
    assert found.tags is not None
    assert found.tags.tolist() == piece.tags.tolist()
    assert found.left_out == left_out


@pytest.mark.parametrize(("tags", "cut"), [(1, 0), (3, 0), (2, 1), (4, 0), (-1, 0), (0, 0)])
def test_tags_that_do_not_fit_the_piece_are_refused(tags: int, cut: int) -> None:
    piece = tagged_piece()
    assert piece.block is not None
    buffers = [np.ascontiguousarray(each).tobytes() for each in piece_buffers(piece, WORK)]
    buffers[-1] = buffers[-1][cut:]
    message = Pieces(7, 1, 0, 9, False, piece.block.layout.to_data(), tags=tags)
    with pytest.raises(MalformedMessage):
        piece_from(message, buffers, WORK)


# In the store.


def test_the_store_tells_tags_also_once_blocks_were_made_smaller() -> None:
    store = Store()
    rows = np.arange(1000)
    block = Block.of_columns(*_wide(rows))
    first = store.add(block, identities(5, rows), tags=rows[:, None] * 2)
    second = store.add(Block.of_numbers(rows[:3]), identities(6, rows[:3]), tags=rows[:3, None] - 9)
    store.release(first[::2])
    store.release(first[1:900:2])
    mixed = np.array([second[1], first[901], second[0], first[999]])
    assert store.tags(mixed).tolist() == [[-8], [1802], [-9], [1998]]


def _wide(rows: Any) -> tuple[Any, int, Any]:
    wide = Block.of_elements([np.full(32, row) for row in rows])
    return wide.structure, wide.rows, wide.columns


# In a graph.


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (Tagged(numbers(), function(len), "colour"), "a tag of kind 'colour'"),
        (Tagged(numbers(), function(len), SIZE), "elements that have no number"),
        (TakeWhile(numbers()), "elements that have no predicate"),
        (Map(Tagged(numbers(), function(len), NUMBER), function(len)), "elements whose tags nobody looks at"),
        (
            Tagged(Tagged(numbers(), function(len), NUMBER), function(len), NUMBER),
            "elements whose tags nobody looks at",
        ),
        (TakeWhile(Tagged(numbers(), function(len), NUMBER)), "elements that have no predicate"),
    ],
)
def test_a_graph_whose_operators_lack_their_tags_is_refused(node: Node, why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        decode_outline(encode(node, Sent()))


def test_a_graph_with_tags_travels() -> None:
    found = decode_outline(encode(TakeWhile(Tagged(numbers(), function(len), PREDICATE)), Sent()))
    assert isinstance(found, TakeWhile)
    assert isinstance(found.source, Tagged)
    with pytest.raises(HeadraceError, match="a server runs no function"):
        found.source.function.call()
