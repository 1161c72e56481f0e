"""Nested datasets: some elements in an element, as one component of bytes, and the Dataset that a function gets of it.

    length of the header  uint64
    header                MessagePack: the layout of a block (see `blocks`)
    zeros                 up to a multiple of 64 bytes
    buffer                of the block

The leaf of the element's structure that stands for it is of kind "dataset".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgpack
import numpy as np

from .blocks import Block, BlockLayout
from .columns import Arena, Column, Layout, aligned, column_of, layout_of
from .errors import InvalidArgumentError, MalformedMessage
from .gathering import gather_block
from .nodes import Elements

__all__ = ["block_of", "check_nested", "content_of", "layout_in", "opened", "packed_runs"]

_PREFIX = 8


def packed_runs(block: Block, size: int) -> Column:
    """Every `size` rows of a block as one component."""
    count = block.rows // size
    if all(column.dense for column in block.columns):
        return _dense_runs(block, count, size)
    runs = [_packed(_rows(block, low, low + size)) for low in range(0, count * size, size)]
    layout = layout_of(runs)
    return column_of(runs, layout, Arena.of(layout.nbytes))


def _dense_runs(block: Block, count: int, size: int) -> Column:
    """All at once: where elements are of one shape, each run takes the same room."""
    layouts = tuple(Layout(each.dtype, each.rank, (size, *each.values.shape[1:])) for each in block.columns)
    head = _head(BlockLayout(block.structure, size, layouts))
    out = np.zeros((count, len(head) + sum(each.nbytes for each in layouts)), np.uint8)
    out[:, : len(head)] = np.frombuffer(head, np.uint8)
    at = len(head)
    for column, layout in zip(block.columns, layouts, strict=True):
        if nbytes := column.values.nbytes // count:
            flat = np.ascontiguousarray(column.values).reshape(-1).view(np.uint8)
            out[:, at : at + nbytes] = flat.reshape(count, nbytes)
        at += layout.nbytes
    return Column(bytes, 0, out.reshape(-1), np.arange(count + 1) * out.shape[1])


def _rows(block: Block, low: int, high: int) -> Block:
    return gather_block([block], np.zeros(high - low, np.int64), np.arange(low, high), None)


def _packed(block: Block) -> bytes:
    return _head(block.layout) + block.buffer.tobytes()


def _head(layout: BlockLayout) -> bytes:
    header: bytes = msgpack.packb(layout.to_data())
    return (len(header).to_bytes(_PREFIX, "little") + header).ljust(aligned(_PREFIX + len(header)), b"\0")


def _parts(content: bytes) -> tuple[BlockLayout, int]:
    """The layout in a component, and where its buffer begins."""
    end = _PREFIX + int.from_bytes(content[:_PREFIX], "little")
    if end > len(content):
        raise MalformedMessage(f"a dataset of {len(content)} bytes with a header of {end}")
    return _layout(content[_PREFIX:end]), aligned(end)


@lru_cache(maxsize=256)
def _layout(header: bytes) -> BlockLayout:
    try:
        return BlockLayout.from_data(msgpack.unpackb(header))
    except (ValueError, TypeError, RecursionError) as error:  # what msgpack raises is a ValueError
        raise MalformedMessage(f"a dataset whose header is none: {error}") from error


def opened(content: bytes) -> Any:
    """The Dataset of the elements in a component."""
    from .dataset import Dataset  # which needs elements, which this is a part of

    layout, start = _parts(content)
    columns = tuple(_frozen(each.to_data()) for each in layout.columns)
    return Dataset(Elements(layout.structure, layout.rows, columns, np.frombuffer(content, np.uint8)[start:]))


def _frozen(data: Any) -> Any:
    return tuple(map(_frozen, data)) if isinstance(data, list) else data


def content_of(node: Any) -> bytes:
    """The component of a dataset that is passed on: the reverse of `opened`.

    Raises:
        InvalidArgumentError: it is not as it came.
    """
    if not isinstance(node, Elements):
        raise InvalidArgumentError(
            "a dataset in an element can be passed on as it came, and not made into another: use flat_map where its "
            "elements are wanted, or iterate over it in the function"
        )
    return _head(layout_in(node)) + np.asarray(node.buffer).tobytes()


def layout_in(node: Elements) -> BlockLayout:
    """Of the elements of a leaf.

    Raises:
        MalformedMessage: there is none.
    """
    layout = BlockLayout.from_data([node.structure.to_data(), node.rows, node.columns])
    if len(layout.columns) != layout.structure.size or any(each.count != node.rows for each in layout.columns):
        raise MalformedMessage("elements whose columns do not fit their structure or number")
    return layout


def block_of(node: Elements) -> Block:
    """The elements of a leaf, their bounds checked: kernels will trust them.

    Raises:
        MalformedMessage: they do not fit one another.
    """
    return _checked(layout_in(node), np.asarray(node.buffer))


def _checked(layout: BlockLayout, buffer: Any) -> Block:
    block = Block.over(layout, buffer.copy() if buffer.ctypes.data % _PREFIX else buffer)
    for column in block.columns:
        column.check()
    check_nested(block)
    return block


def check_nested(block: Block) -> None:
    """See that the datasets in elements that came from elsewhere are such, so that whoever opens them can trust them.

    Raises:
        MalformedMessage: one is none.
    """
    for leaf, column in zip(block.structure.leaves(), block.columns, strict=True):
        if leaf.kind != "dataset":
            continue
        if column.dtype is not bytes or column.rank:
            raise MalformedMessage("a dataset that is not one component of bytes")
        for content in column:
            layout, start = _parts(content)
            _checked(layout, np.frombuffer(content, np.uint8)[start:])
