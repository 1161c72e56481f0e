"""Nested datasets: some elements in an element, as one component of bytes, and the Dataset that a function gets of it.

    length of the header  uint64
    header                MessagePack: the layout of a block (see `blocks`)
    zeros                 up to a multiple of 64 bytes
    buffer                of the block

Where the header is a mapping, the elements are those of a file of element records, which it names (see `Shelved`).
The leaf of the element's structure that stands for it is of kind "dataset".
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import msgpack
import numpy as np

from .blocks import Block, BlockLayout
from .columns import Arena, Column, Layout, aligned, column_of, layout_of
from .errors import InvalidArgumentError, MalformedMessage
from .gathering import gather_block
from .nodes import Decoded, Elements, Node, Records, Rows
from .sources import COMPRESSIONS, file_names

__all__ = ["Shelved", "block_of", "check_nested", "content_of", "layout_in", "opened", "packed_runs"]

_PREFIX = 8


@dataclass(frozen=True, slots=True)
class Shelved:
    """A dataset of the elements that a file of records holds."""

    path: str
    compression: str
    records: int

    def to_content(self) -> bytes:
        """As a component."""
        return _framed(asdict(self))

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Shelved:
        """Back from what is in a component.

        Raises:
            MalformedMessage: there is no such dataset.
        """
        found = cls(**data)
        if type(found.path) is not str or not found.path or "\0" in found.path:
            raise MalformedMessage("a dataset of a file that cannot be")
        if found.compression not in COMPRESSIONS or type(found.records) is not int or not 0 <= found.records < 1 << 62:
            raise MalformedMessage("a dataset of a file that is none")
        return found

    @property
    def node(self) -> Node:
        """What gives its elements."""
        return Decoded(Records(file_names(self.path), self.compression), count=self.records)


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
    return _framed(layout.to_data())


def _framed(data: Any) -> bytes:
    header: bytes = msgpack.packb(data)
    return (len(header).to_bytes(_PREFIX, "little") + header).ljust(aligned(_PREFIX + len(header)), b"\0")


def _parts(content: bytes) -> tuple[BlockLayout | Shelved, int]:
    """What the header of a component says, and where its buffer begins."""
    end = _PREFIX + int.from_bytes(content[:_PREFIX], "little")
    if end > len(content):
        raise MalformedMessage(f"a dataset of {len(content)} bytes with a header of {end}")
    return _told(content[_PREFIX:end]), aligned(end)


@lru_cache(maxsize=256)
def _told(header: bytes) -> BlockLayout | Shelved:
    try:
        data = msgpack.unpackb(header)
        return Shelved.from_data(data) if isinstance(data, dict) else BlockLayout.from_data(data)
    except (ValueError, TypeError, RecursionError) as error:  # what msgpack raises is a ValueError
        raise MalformedMessage(f"a dataset whose header is none: {error}") from error


def opened(content: bytes) -> Any:
    """The Dataset of the elements in a component."""
    from .dataset import Dataset  # which needs elements, which this is a part of

    layout, start = _parts(content)
    if isinstance(layout, Shelved):
        return Dataset(layout.node)
    columns = tuple(_frozen(each.to_data()) for each in layout.columns)
    return Dataset(Elements(layout.structure, layout.rows, columns, np.frombuffer(content, np.uint8)[start:]))


def _frozen(data: Any) -> Any:
    return tuple(map(_frozen, data)) if isinstance(data, list) else data


def content_of(node: Any) -> bytes:
    """The component of a dataset that is passed on: the reverse of `opened`.

    Raises:
        InvalidArgumentError: it is not as it came.
    """
    match node:
        case Decoded(source=Records(filenames=Rows(arrays=(names,))) as file) if len(names) == 1:
            return Shelved(os.fsdecode(bytes(names[0])), file.compression, node.count).to_content()
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
            if isinstance(layout, BlockLayout):
                _checked(layout, np.frombuffer(content, np.uint8)[start:])
