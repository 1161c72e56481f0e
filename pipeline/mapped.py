"""Mapped arrays: arrays that lie in a file, of which just the rows that are asked for are read."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .columns import Array, dtype_named
from .ends import Ends, ends_of
from .errors import DataLossError, MalformedMessage, NotFoundError
from .spec import DType

__all__ = ["MappedArray", "mapped"]


@dataclass(slots=True, eq=False)
class MappedArray:
    """Rows one behind the other in a file, from a byte on.

    Has of an array what planning asks for, and travels as a name: whoever computes maps the same file. That it is the
    same one is seen by its ends, once, and its size before anything is read.
    """

    path: str
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    ends: Ends
    opened: Array | None = field(default=None, repr=False)

    @property
    def ndim(self) -> int:
        """Dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Of all rows."""
        return _nbytes(self.shape, self.dtype)

    def __getitem__(self, rows: Any) -> Array:
        """Some rows, mapped or copied as NumPy does it.

        Raises:
            NotFoundError: the file is gone.
            DataLossError: it is not the file that it was.
        """
        found: Array = self._open()[rows]
        return found

    def _open(self) -> Array:
        try:
            size = os.stat(self.path).st_size  # noqa: PTH116  (it may hold bytes that are no text)
            if size == self.ends[0] and (self.opened is not None or ends_of(self.path) == self.ends):
                if self.opened is None:
                    self.opened = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
                return self.opened
        except OSError as error:
            raise NotFoundError(self.path, f"cannot be mapped: {error.strerror}") from error
        told = f"it has {size:,} bytes, and had {self.ends[0]:,}" if size != self.ends[0] else "it has other content"
        raise DataLossError(self.path, f"{told} when the pipeline was made: build the pipeline anew", None)

    def to_data(self) -> list[Any]:
        """As plain data, for a message."""
        return [self.path, self.offset, self.dtype.str, list(self.shape), *self.ends]

    @classmethod
    def from_data(cls, data: Any) -> MappedArray:
        """Back from `to_data`.

        Raises:
            MalformedMessage: what is no such array.
        """
        path, offset, name, shape, size, crc = data
        numbers = [offset, size, crc, *shape]
        if type(path) is not str or not path or "\0" in path or not all(type(each) is int for each in numbers):
            raise MalformedMessage("a mapped array whose fields are none")
        dtype = dtype_named(name)
        if dtype is bytes or not shape or len(shape) > 32 or not all(0 <= each < 1 << 62 for each in numbers):
            raise MalformedMessage(f"a mapped array of {name!r:.20} and {len(shape)} dimensions")
        kind = np.dtype(dtype)
        if 0 in shape or offset + _nbytes(shape, kind) > size:
            raise MalformedMessage(f"a mapped array that does not lie in a file of {size} bytes")
        return cls(path, offset, kind, tuple(shape), (size, crc))

    def content(self) -> list[Any]:
        """What it holds, as plain data for a fingerprint: wherever the file lies."""
        return ["mapped", self.offset, self.dtype.str, list(self.shape), *self.ends]


def _nbytes(shape: Any, dtype: DType) -> int:
    total = np.dtype(dtype).itemsize
    for each in shape:
        total *= each  # of Python's integers, which do not overflow
    return total


def mapped(array: Array) -> Array | MappedArray:
    """An array by the file that it is mapped from, where it can only be read and lies there row by row.

    That is what `np.load(path, mmap_mode="r")` gives, and slices of it. Any other array is itself.
    """
    source = _memmap(array)
    name = None if source is None else source.filename
    if source is None or name is None or array.size == 0 or array.dtype.hasobject:
        return array
    if not array.flags.c_contiguous or not array.dtype.isnative or source._mmap is None:
        return array
    begins = np.frombuffer(source._mmap, np.uint8).ctypes.data
    offset = source.offset - source.offset % mmap.ALLOCATIONGRANULARITY + array.ctypes.data - begins
    path = os.fspath(name)
    try:
        ends = ends_of(path)
    except OSError:  # its name is gone, its content is not
        return array
    if offset + array.nbytes > ends[0]:
        return array
    return MappedArray(path, offset, array.dtype, array.shape, ends, array)


def _memmap(array: Array) -> Any:
    """That of which an array is a part, if nobody can write to it."""
    found: Any = array
    while found is not None and not isinstance(found, np.memmap):
        found = getattr(found, "base", None)
    return found if found is not None and found.mode == "r" else None
