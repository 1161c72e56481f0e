"""Columns and blocks on the wire: round trips, and what hostile layouts and bounds meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import HeadraceError
from headrace.pipeline.blocks import Block, BlockLayout
from headrace.pipeline.columns import Column
from headrace.pipeline.errors import MalformedMessage
from headrace.pipeline.padding import Padding, pad_block
from headrace.pipeline.store import Store
from headrace.pipeline.structure import Structure
from headrace.pipeline.work import identities


class Pair(NamedTuple):
    """Something named."""

    left: Any
    right: Any


EXAMPLES: list[list[Any]] = [
    [np.int64(1), np.int64(2)],
    [b"", b"abc"],
    [np.zeros((2, 0)), np.zeros((3, 1))],
    [np.zeros((2, 2), np.float16)],
    [np.array([b"a", b"bc"], object), np.array([], object)],
    [(np.bool_(True), {"b": b"x", "a": (np.complex64(1j),)})],
    [Pair(np.uint8(3), b"right")],
    [(), (), ()],
]


def over_the_wire(block: Block, offset: int = 0) -> Block:
    """The same block, as a peer sees it; `offset` puts its buffer at an odd address."""
    layout = BlockLayout.from_data(msgpack.unpackb(msgpack.packb(block.layout.to_data())))
    content = np.frombuffer(b"\0" * offset + block.buffer.tobytes(), np.uint8)[offset:]
    return Block.over(layout, content)


@pytest.mark.parametrize("elements", EXAMPLES)
@pytest.mark.parametrize("offset", [0, 1])
def test_a_block_comes_back_from_the_wire_as_it_was(elements: list[Any], offset: int, same: Any) -> None:
    back = over_the_wire(Block.of_elements(elements), offset)
    for column in back.columns:
        column.check()
    for one, other in zip(back, elements, strict=True):
        same(one, other)


@pytest.mark.parametrize("offset", [1, 4])
def test_blocks_at_odd_addresses_are_gathered_and_padded_like_others(offset: int, same: Any) -> None:
    rows: list[Any] = [(np.arange(n, dtype=np.float64), np.array([b"x" * n] * n, object)) for n in (1, 3, 2)]
    block = over_the_wire(Block.of_elements(rows), offset)
    store = Store()
    handles = store.add(block, identities(0, range(3)))
    for got, row in zip(store.gather(handles[[2, 0]]), [rows[2], rows[0]], strict=True):
        same(got, row)
    ((numbers, _),) = pad_block(block, Padding())
    assert numbers.tolist() == [[0, 0, 0], [0, 1, 2], [0, 1, 0]]


def test_a_named_tuple_of_a_class_that_is_not_here_still_has_its_names() -> None:
    data = Structure("named", ("left", "class"), (Structure(),) * 2, "nowhere:Gone").to_data()
    element = Structure.from_data(data).pack([1, 2])
    assert element == (1, 2)
    assert element.left == 1


@pytest.mark.parametrize(
    "column",
    [
        ["<i4", 0, [3], None, None, 0],
        ["<i4", 0, [-1], None, None],
        ["<i4", 1, [3], None, None],
        ["<i4", 0, [3, 1], None, None],
        ["<i4", 0, [3], 4, None],
        ["<i4", 0, [3], None, 0],
        ["<i4", -1, [], None, None],
        ["<i4", 99, [3], None, 4],
        ["<i4", 0, ["3"], None, None],
        ["<i4", 0, [3.0], None, None],
        ["<i4", 0, None, None, None],
        [">i4", 0, [3], None, None],
        ["<M8[s]", 0, [3], None, None],
        ["nonsense", 0, [3], None, None],
        [None, 0, [3], None, None],
        ["bytes", 0, [3], None, None],
        ["bytes", 0, [3], 0, None],
        ["bytes", 1, [3], 4, None],
        ["bytes", 0, [3], 4, 4],
        7,
    ],
)
def test_a_column_of_no_form_is_refused(column: Any) -> None:
    with pytest.raises(MalformedMessage):
        BlockLayout.from_data([["leaf", [], [], ""], 3, [column]])


@pytest.mark.parametrize(
    "structure",
    [
        7,
        ["leaf"],
        ["knot", [], [], ""],
        ["leaf", ["a"], [], ""],
        ["dict", ["a"], [], ""],
        ["dict", [["a"]], [["leaf", [], [], ""]], ""],
        ["tuple", ["a"], [["leaf", [], [], ""]], ""],
        ["named", ["a"], [["leaf", [], [], ""]], None],
    ],
)
def test_a_structure_that_is_none_is_refused(structure: Any) -> None:
    with pytest.raises(MalformedMessage):
        BlockLayout.from_data([structure, 0, []])


def test_a_structure_that_nests_without_end_is_refused() -> None:
    deep: list[Any] = ["leaf", [], [], ""]
    for _ in range(100):
        deep = ["tuple", [], [deep], ""]
    with pytest.raises(MalformedMessage):
        Structure.from_data(deep)


@pytest.mark.parametrize("rows", [-1, 1 << 21, 2.0, None])
def test_a_number_of_elements_that_cannot_be_is_refused(rows: Any) -> None:
    with pytest.raises(MalformedMessage):
        BlockLayout.from_data([["tuple", [], [], ""], rows, []])


@pytest.mark.parametrize(
    ("columns", "rows"), [([["<i4", 0, [3], None, None]], 2), ([], 0), ([["<i8", 0, [1 << 60], None, None]], 1 << 20)]
)
def test_columns_that_do_not_fit_block_or_buffer_are_refused(columns: Any, rows: int) -> None:
    layout = BlockLayout.from_data([["leaf", [], [], ""], rows, columns])
    with pytest.raises(MalformedMessage):
        Block.over(layout, np.zeros(64, np.uint8))


HOSTILE = st.one_of(
    st.integers(-3, 12), st.sampled_from([-(2**63), 2**63 - 1, 2**62, -(2**62), 2**32, 2**31, -(2**32), 1 << 48])
)


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.integers(0, 2),
    st.lists(HOSTILE, min_size=1, max_size=5),
    st.lists(HOSTILE, min_size=1, max_size=5),
    st.lists(HOSTILE, min_size=8, max_size=8),
    st.integers(0, 9),
)
def test_whatever_bounds_pass_the_check_are_safe_to_gather_stack_and_pad(
    text: bool, rank: int, splits: list[int], rows: list[int], shapes: list[int], count: int
) -> None:
    column = _column(text, rank, splits, rows, shapes, count)
    try:
        column.check()
    except MalformedMessage:
        return
    if not len(column):
        return
    # What passed is within its content, so all that follows must hold the same bytes as plain slices.
    block = Block(Structure(), len(column), (column,), np.empty(0, np.uint8))
    store = Store()
    handles = store.add(block, identities(0, range(len(column))))
    copies = list(store.gather(handles[::-1]))[::-1]
    for i, copy in enumerate(copies):
        np.testing.assert_array_equal(copy, column.get(i))
    attempts: list[Callable[[], Block]] = [
        lambda: store.gather(handles, fold=len(handles)),
        lambda: pad_block(block, Padding()),
    ]
    for attempt in attempts:
        try:
            attempt()
        except HeadraceError:
            continue


def _column(text: bool, rank: int, splits: list[int], rows: list[int], shapes: list[int], count: int) -> Column:
    bounds = np.array(rows, np.int64) if rank or not text else None
    sides = None if bounds is None else np.resize(np.array(shapes, np.int64), (len(rows) - 1, rank))
    if text:
        return Column(bytes, rank, np.zeros(count, np.uint8), np.array(splits, np.int64), bounds, sides)
    return Column(np.dtype(np.int32), rank, np.arange(count, dtype=np.int32), None, bounds, sides)


@pytest.mark.parametrize(
    "bounds", [[0, 2**63 - 1, -2, 4], [0, 5, 4], [1, 4], [0, 3], [0, -1, 4], [4], [0, 2**62, -(2**62), 4]]
)
def test_bounds_that_leave_the_content_are_refused_even_where_differences_wrap_around(bounds: list[int]) -> None:
    column = Column(bytes, 0, np.zeros(4, np.uint8), np.array(bounds, np.int64))
    with pytest.raises(MalformedMessage, match="splits do not fit its 4 items"):
        column.check()


@pytest.mark.parametrize(
    "shape", [[2**32, 2**32], [-1, 0], [0, 2**63 - 1], [2, 1], [2**31, 2**33], [1 << 47, 0], [3, 0]]
)
def test_shapes_whose_products_wrap_around_are_refused(shape: list[int]) -> None:
    column = Column(np.dtype(np.int8), 2, np.zeros(0, np.int8), None, np.array([0, 0]), np.array([shape], np.int64))
    if shape in ([1 << 47, 0], [3, 0]):
        column.check()
        return
    with pytest.raises(MalformedMessage, match="shapes do not fit"):
        column.check()
