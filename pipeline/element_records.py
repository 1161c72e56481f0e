"""Element records: one element of any structure as the payload of one TFRecord.

    length of the header   uint32
    header                 MessagePack: the structure, and of each component its dtype ("<i8", "bytes") and rank
    of each component      its shape, int64 each; of strings the length of each, int64 each; its content

Numbers are little-endian and arrays row by row. docs/formats.md has it with an example. Records of elements of one kind
begin with the same header, and are decoded all at once.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from .blocks import Block
from .columns import MAX_ITEMS, MAX_RANK, Array, Column, dtype_named
from .columnwise import Columns, columnwise
from .errors import DataLossError, HeadraceError, InvalidArgumentError
from .kernels import framing
from .nested import check_nested
from .ragged import splits_of_lengths
from .spec import DType
from .structure import Element, Structure, flatten

__all__ = ["decode", "decoded", "encode", "encoded", "encoded_rows", "taken_apart"]

_LENGTH = struct.Struct("<I")
_Numbers = npt.NDArray[np.int64]
_Kinds = tuple[tuple[DType, int], ...]


def encode(element: Element) -> bytes:
    """One element as the payload of a record.

    >>> decode(encode({"id": 7, "name": "seven"}))
    {'id': np.int32(7), 'name': b'seven'}
    """
    return encoded(*flatten(element))


def encoded(components: Sequence[Any], structure: Structure) -> bytes:
    """The same, of an element that has been taken apart."""
    parts = [_header(structure, tuple(map(_kind, components)))]
    for each in components:
        parts += _content(each)
    return b"".join(parts)


def encoded_rows(block: Block) -> list[bytes]:
    """The elements of a block, each as the payload of a record.

    >>> [decode(each) for each in encoded_rows(Block.of_numbers(np.array([3, 5])))]
    [np.int64(3), np.int64(5)]
    """
    kinds = tuple((_name(each.dtype), each.rank) for each in block.columns)
    header = _header(block.structure, kinds)
    if all(each.dense for each in block.columns):
        return _dense_rows(block, header)
    return [b"".join([header, *chain.from_iterable(map(_content, each))]) for each in block.components()]


def _dense_rows(block: Block, header: bytes) -> list[bytes]:
    """Where elements are of one shape: all at once, since each takes the same room."""
    parts = [np.broadcast_to(np.frombuffer(header, np.uint8), (block.rows, len(header)))]
    for column in block.columns:
        shape = np.array(column.values.shape[1:], "<i8").view(np.uint8)
        values = np.ascontiguousarray(column.values.astype(column.values.dtype.newbyteorder("<"), copy=False))
        content = values.reshape(-1).view(np.uint8)
        parts += [np.broadcast_to(shape, (block.rows, len(shape))), content.reshape(block.rows, -1)]
    joined = np.concatenate(parts, axis=1)
    size, whole = joined.shape[1], joined.tobytes()
    return [whole[low : low + size] for low in range(0, len(whole), size)]


def _name(dtype: DType) -> str:
    return "bytes" if dtype is bytes else np.dtype(dtype).newbyteorder("<").str


def _kind(component: Any) -> tuple[str, int]:
    if isinstance(component, bytes) or component.dtype == object:
        return "bytes", 0 if isinstance(component, bytes) else component.ndim
    return component.dtype.newbyteorder("<").str, component.ndim


@lru_cache(maxsize=1024)
def _header(structure: Structure, kinds: tuple[tuple[str, int], ...]) -> bytes:
    header: bytes = msgpack.packb([structure.to_data(), kinds])
    return _LENGTH.pack(len(header)) + header


def _content(component: Any) -> list[bytes]:
    if isinstance(component, bytes):
        return [struct.pack("<q", len(component)), component]
    shape = struct.pack(f"<{component.ndim}q", *component.shape)
    if component.dtype != object:
        return [shape, component.astype(component.dtype.newbyteorder("<"), copy=False).tobytes()]
    strings = component.reshape(-1).tolist()
    return [shape, struct.pack(f"<{len(strings)}q", *map(len, strings)), *strings]


def decoded(records: Column) -> Columns:
    """The elements of records, all of one kind.

    Raises:
        DataLossError: a record holds no element; it is not told which one.
    """
    if records.dtype is not bytes or records.rank or records.splits is None:
        raise InvalidArgumentError("elements are read from records, which are bytes")
    cursor = _Cursor(records.values, records.splits)
    structure, kinds = _parsed(cursor.header())
    columns = [cursor.strings(rank) if dtype is bytes else cursor.numbers(dtype, rank) for dtype, rank in kinds]
    if (cursor.at != cursor.ends).any():
        raise _damaged("there is more behind its last component")
    if any(leaf.kind == "dataset" for leaf in structure.leaves()):
        _check_nested(structure, columns)
    return structure, columns


def decode(record: bytes) -> Element:
    """The element of one record.

    Raises:
        DataLossError: it holds none.
    """
    components, structure = taken_apart(record)
    return structure.pack(components)


@columnwise(decoded)
def taken_apart(record: bytes) -> tuple[list[Any], Structure]:
    """The components of the element of one record, and how they nest; its errors are those of `decode`."""
    if not isinstance(record, bytes):
        raise InvalidArgumentError(f"an element is read from a record, which is bytes, not {type(record).__name__}")
    content = np.frombuffer(record, np.uint8)
    structure, columns = decoded(Column(bytes, 0, content, np.array([0, len(content)])))
    return [each.get(0) for each in columns], structure


def _damaged(reason: str) -> DataLossError:
    return DataLossError("a record that holds no element", f"{reason}: it was not written by save, snapshot or cache")


@lru_cache(maxsize=1024)
def _parsed(header: bytes) -> tuple[Structure, _Kinds]:
    try:
        data, kinds = msgpack.unpackb(header)
        structure = Structure.from_data(data)
        found = tuple((dtype_named(name), rank) for name, rank in kinds)
    except (HeadraceError, ValueError, TypeError, RecursionError) as error:
        raise _damaged(f"its header is none: {error}") from error
    if len(found) != structure.size or not all(type(rank) is int and 0 <= rank <= MAX_RANK for _, rank in found):
        raise _damaged("its header says what cannot be")
    return structure, found


def _check_nested(structure: Structure, columns: Sequence[Column]) -> None:
    try:
        check_nested(Block.of_columns(structure, len(columns[0]), columns))
    except HeadraceError as error:
        raise _damaged(str(error)) from error


class _Cursor:
    """Where in each record the next part begins; nothing is read beyond a record's end."""

    def __init__(self, data: Array, splits: Array) -> None:
        self.data, self.at, self.ends = np.ascontiguousarray(data), splits[:-1].copy(), splits[1:]

    def _taken(self, sizes: _Numbers) -> tuple[Array, _Numbers]:
        """So many bytes of each record one behind the other, and where each one's begin."""
        if (sizes > self.ends - self.at).any():
            raise _damaged("it has been cut")
        splits = splits_of_lengths(sizes)
        out = np.empty(int(splits[-1]), np.uint8)
        framing.concatenate(self.data, self.at, splits, out)
        self.at += sizes
        return out, splits

    def _same(self, size: int) -> Array:
        """So many bytes of each, [records, size]."""
        return self._taken(np.full(len(self.at), size))[0].reshape(len(self.at), size)

    def header(self) -> bytes:
        """That of all records."""
        length = _LENGTH.unpack(self._same(_LENGTH.size)[0].tobytes())[0]
        self.at -= _LENGTH.size
        whole = self._same(_LENGTH.size + length)
        if (whole != whole[0]).any():
            raise _damaged("its header is not that of the record before")
        return whole[0, _LENGTH.size :].tobytes()

    def _shapes(self, rank: int) -> tuple[_Numbers, _Numbers]:
        """Of the component at hand, [records, rank], and how many items each has."""
        shapes = self._same(8 * rank).view("<i8").astype(np.int64).reshape(len(self.at), rank)
        # As floats, which grow where integers wrap around; a length beside a 0 counts, too.
        if (shapes < 0).any() or (np.prod(np.maximum(shapes, 1), axis=1, dtype=np.float64) >= MAX_ITEMS).any():
            raise _damaged("it has a shape that cannot be")
        return shapes, np.prod(shapes, axis=1, dtype=np.int64)

    def numbers(self, dtype: DType, rank: int) -> Column:
        """A component of numbers."""
        shapes, items = self._shapes(rank)
        content, splits = self._taken(items * np.dtype(dtype).itemsize)
        values = content.view(np.dtype(dtype).newbyteorder("<")).astype(dtype, copy=False)
        if (shapes == shapes[0]).all():
            return Column(dtype, rank, values.reshape(len(shapes), *shapes[0].tolist()))
        return Column(dtype, rank, values, None, splits // np.dtype(dtype).itemsize, shapes)

    def strings(self, rank: int) -> Column:
        """A component of strings."""
        shapes, items = self._shapes(rank)
        content, _ = self._taken(8 * items)
        lengths = content.view("<i8").astype(np.int64)
        # Each by itself, or else their sum could wrap around.
        if (lengths < 0).any() or (lengths > len(self.data)).any():
            raise _damaged("it has been cut")
        splits, rows = splits_of_lengths(lengths), splits_of_lengths(items)
        values, _ = self._taken(np.diff(splits[rows]))
        return Column(bytes, rank, values, splits, *((rows, shapes) if rank else ()))
