"""A column: one component of every element of a block, in contiguous memory.

Four forms, told apart by which arrays are there:

=================  ======================  ==========  =========  ==========
form               values                  splits      rows       shapes
=================  ======================  ==========  =========  ==========
dense              [n, ...] of the dtype
ragged             [items]                             [n + 1]    [n, rank]
one string each    [bytes] uint8           [n + 1]
many strings each  [bytes] uint8           [items + 1] [n + 1]    [n, rank]
=================  ======================  ==========  =========  ==========

`splits` bound strings within the bytes, `rows` bound elements within the items, `shapes` are the
elements' shapes, whose products are the differences of `rows`.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError, MalformedMessage
from .spec import DType, dtype_name

__all__ = ["Allocate", "Arena", "Column", "Layout", "aligned", "column_of", "dtype_named", "layout_of"]

Array: TypeAlias = npt.NDArray[Any]
#: Room for so many bytes in memory that another process can read, uint8; None where there is none.
Allocate: TypeAlias = Callable[[int], Array | None]
_ALIGN = 64
#: What NumPy can have.
MAX_RANK = 32
#: No element has more items than this, and no two lengths of its shape multiply to more.
MAX_ITEMS = 1 << 48
_I64 = np.dtype(np.int64)
_U8 = np.dtype(np.uint8)
_NUMBERS = {np.dtype(code).str for code in "?bBhHiIlLqQefdgFDG"}
#: What a column can be of, by its name in messages. NumPy's own reader of names takes far more.
_DTYPES: dict[str, DType] = {"bytes": bytes} | {name: np.dtype(name) for name in _NUMBERS}


def dtype_named(name: Any) -> DType:
    """What a column, an array or a number can be of, by its name in messages: `bytes`, or `dtype.str`.

    >>> dtype_named("<i8"), dtype_named("bytes")
    (dtype('int64'), <class 'bytes'>)

    Raises:
        MalformedMessage: there is none of that name.
    """
    found = _DTYPES.get(name) if isinstance(name, str) else None
    if found is None:
        raise MalformedMessage(f"a dtype that is none: {reprlib.repr(name)}")
    return found


def aligned(size: int) -> int:
    """`size` rounded up to a cache line."""
    return -(-size // _ALIGN) * _ALIGN


@dataclass(frozen=True, slots=True)
class Layout:
    """What a column's arrays are, without their content: dtype and one shape for each array that is there."""

    dtype: DType
    rank: int
    values: tuple[int, ...]
    splits: int | None = None  #: Length of `splits`, or None.
    rows: int | None = None

    @property
    def arrays(self) -> list[tuple[np.dtype[Any], tuple[int, ...]]]:
        """dtype and shape of each array, in the order in which they lie in memory."""
        found = [(_U8 if self.dtype is bytes else np.dtype(self.dtype), self.values)]
        if self.splits is not None:
            found.append((_I64, (self.splits,)))
        if self.rows is not None:
            found += [(_I64, (self.rows,)), (_I64, (self.rows - 1, self.rank))]
        return found

    @property
    def count(self) -> int:
        """Of how many elements it is."""
        if self.rows is not None:
            return self.rows - 1
        return self.values[0] if self.splits is None else self.splits - 1

    @property
    def nbytes(self) -> int:
        """Memory for all of them, each on its own cache line."""
        return sum(aligned(dtype.itemsize * math.prod(shape)) for dtype, shape in self.arrays)

    def to_data(self) -> list[Any]:
        """As plain data, for a message."""
        name = "bytes" if self.dtype is bytes else np.dtype(self.dtype).str
        return [name, self.rank, list(self.values), self.splits, self.rows]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> Layout:
        """Back from `to_data`; what cannot be is refused."""
        try:
            name, rank, values, splits, rows = data
            layout = cls(dtype_named(name), rank, tuple(values), splits, rows)
        except (TypeError, ValueError) as error:
            raise MalformedMessage(f"a column that is none: {reprlib.repr(data)}") from error
        if not layout._is_a_form():
            raise MalformedMessage(f"a column of no form that there is: {reprlib.repr(data)}")
        return layout

    def _is_a_form(self) -> bool:
        """Whether the arrays are those of one line of the module's table."""
        bounds = [each for each in (self.splits, self.rows) if each is not None]
        if not all(type(each) is int for each in (self.rank, *self.values, *bounds)):
            return False
        if not 0 <= self.rank <= MAX_RANK or min(self.values, default=0) < 0 or min(bounds, default=1) < 1:
            return False
        if self.dtype is bytes:
            return self.splits is not None and (self.rows is not None) == (self.rank > 0) and len(self.values) == 1
        if self.rows is not None:
            return self.splits is None and len(self.values) == 1
        return self.splits is None and len(self.values) == self.rank + 1


class Arena:
    """One buffer from which a block's arrays are cut, so that the block travels as one piece."""

    def __init__(self, buffer: Array) -> None:
        self.buffer, self.used = buffer, 0

    @classmethod
    def of(cls, nbytes: int, allocate: Allocate | None = None) -> Arena:
        """A new one, where `allocate` says, or in memory of our own."""
        found = None if allocate is None else allocate(nbytes)
        return cls(np.empty(nbytes, np.uint8) if found is None else found)

    def cut(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        """The next array; MalformedMessage when the buffer is too short for it."""
        size = dtype.itemsize * math.prod(shape)
        if self.used + size > self.buffer.nbytes:
            raise MalformedMessage(f"a buffer of {self.buffer.nbytes} bytes is too short for its columns")
        try:
            piece = self.buffer[self.used : self.used + size].view(dtype).reshape(shape)
        except ValueError as error:  # no bytes, but lengths beyond what NumPy can count
            raise MalformedMessage(f"an array that cannot be: {error}") from error
        self.used += aligned(size)
        return piece

    def column(self, layout: Layout) -> Column:
        """The next column."""
        arrays = [self.cut(dtype, shape) for dtype, shape in layout.arrays]
        values = arrays.pop(0)
        splits = arrays.pop(0) if layout.splits is not None else None
        rows, shapes = arrays if arrays else (None, None)
        return Column(layout.dtype, layout.rank, values, splits, rows, shapes)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One component of `len(column)` elements; see the module's table."""

    dtype: DType
    rank: int  #: Of one element.
    values: Array
    splits: Array | None = None
    rows: Array | None = None
    shapes: Array | None = None

    def __len__(self) -> int:
        if self.rows is not None:
            return len(self.rows) - 1
        return len(self.splits) - 1 if self.splits is not None else len(self.values)

    @property
    def dense(self) -> bool:
        """Whether all elements have one shape and lie in one array."""
        return self.splits is None and self.rows is None

    @property
    def layout(self) -> Layout:
        """Everything but the content."""
        splits, rows = (None if each is None else len(each) for each in (self.splits, self.rows))
        return Layout(self.dtype, self.rank, self.values.shape, splits, rows)

    @property
    def arrays(self) -> list[Array]:
        """The arrays that are there, in the order of `Layout.arrays`."""
        return [each for each in (self.values, self.splits, self.rows, self.shapes) if each is not None]

    @property
    def kind(self) -> tuple[Any, ...]:
        """What two columns must share to be stored as one: dtype and rank."""
        return (dtype_name(self.dtype), self.rank)

    def shape_of(self, row: int) -> tuple[int, ...]:
        """The shape of one element."""
        if self.shapes is not None:
            return tuple(self.shapes[row].tolist())
        return () if self.splits is not None else self.values.shape[1:]

    def get(self, row: int) -> Any:
        """One element: `bytes`, a NumPy scalar, or an array (a view where it can be)."""
        if self.dense:
            return self.values[row]
        if self.rows is None or self.shapes is None:
            return self._string(row)
        low, high = int(self.rows[row]), int(self.rows[row + 1])
        if self.splits is None:
            return self.values[low:high].reshape(self.shape_of(row))
        out = np.empty(high - low, object)
        out[:] = [self._string(item) for item in range(low, high)]
        return out.reshape(self.shape_of(row))

    def __iter__(self) -> Iterator[Any]:
        if self.dense:
            return iter(self.values)
        if self.rows is None and self.splits is not None:
            return _strings(self.values, self.splits)
        return map(self.get, range(len(self)))

    def sizes(self, rows: Array) -> Array:
        """Bytes of content of these elements, the same however they are laid out."""
        if self.dense:
            return np.full(len(rows), self.values.dtype.itemsize * math.prod(self.values.shape[1:]), np.int64)
        low, high = rows, rows + 1
        if self.rows is not None:
            low, high = self.rows[low], self.rows[high]
        if self.splits is not None:
            low, high = self.splits[low], self.splits[high]
        return (high - low) * self.values.dtype.itemsize

    def _string(self, item: int) -> bytes:
        assert self.splits is not None
        return self.values[self.splits[item] : self.splits[item + 1]].tobytes()

    def check(self) -> None:
        """Refuse boundaries that do not fit the content, as a message from outside may have."""
        items = len(self.values)
        for name, bounds in (("splits", self.splits), ("rows", self.rows)):
            if bounds is None:
                continue
            # Compared, not subtracted: differences of hostile bounds wrap around.
            if not len(bounds) or bounds[0] != 0 or bounds[-1] != items or (bounds[1:] < bounds[:-1]).any():
                raise MalformedMessage(f"a column whose {name} do not fit its {items} items")
            items = len(bounds) - 1
        if self.rows is not None and self.shapes is not None and not _shapes_fit(self.shapes, self.rows):
            raise MalformedMessage("a column whose shapes do not fit its rows")


def _shapes_fit(shapes: Array, rows: Array) -> bool:
    # As floats, which grow where integers wrap around; a length beside a 0 counts, too.
    sizes = np.prod(np.maximum(shapes, 1), axis=1, dtype=np.float64)
    if (shapes < 0).any() or (sizes >= MAX_ITEMS).any():
        return False
    return bool((np.prod(shapes, axis=1, dtype=np.int64) == rows[1:] - rows[:-1]).all())


def _strings(values: Array, splits: Array) -> Iterator[bytes]:
    content, bounds = values.data, splits.tolist()
    return (content[low:high].tobytes() for low, high in pairwise(bounds))


def _dtype_and_rank(component: Any) -> tuple[DType, int]:
    if isinstance(component, bytes):
        return bytes, 0
    return (bytes if component.dtype == object else component.dtype), component.ndim


def column_of(components: Sequence[Any], layout: Layout, arena: Arena) -> Column:
    """A column of these components (see `layout_of`), copied once into the arena."""
    column = arena.column(layout)
    if column.dense:
        for row, each in zip(column.values, components, strict=True) if layout.rank else ():
            row[...] = each
        if not layout.rank:
            column.values[:] = components
        return column
    if column.rows is not None and column.shapes is not None:
        for i, each in enumerate(components):
            column.shapes[i] = each.shape
        _bounds(column.rows, [each.size for each in components])
    if column.splits is None:
        for low, each in zip(column.rows if column.rows is not None else (), components, strict=False):
            column.values[low : low + each.size] = each.reshape(-1)
        return column
    strings = components if layout.rank == 0 else [item for each in components for item in each.reshape(-1)]
    _bounds(column.splits, [len(each) for each in strings])
    column.values[:] = np.frombuffer(b"".join(strings), np.uint8)
    return column


def _bounds(out: Array, lengths: Sequence[int]) -> None:
    out[0] = 0
    np.cumsum(lengths, out=out[1:])


def layout_of(components: Sequence[Any]) -> Layout:
    """How these components, of one dtype and rank, are best laid out."""
    dtype, rank = _dtype_and_rank(components[0])
    several = rank > 0 or len(set(map(type, components))) > 1
    if several and any(_dtype_and_rank(each) != (dtype, rank) for each in components):
        raise InvalidArgumentError("components of one column differ in dtype or rank")
    count = len(components)
    if dtype is bytes:
        if rank == 0:
            return Layout(bytes, 0, (sum(map(len, components)),), count + 1)
        total = sum(len(item) for each in components for item in each.reshape(-1))
        return Layout(bytes, rank, (total,), sum(each.size for each in components) + 1, count + 1)
    shapes = {each.shape for each in components}
    if len(shapes) == 1:
        return Layout(dtype, rank, (count, *shapes.pop()))
    return Layout(dtype, rank, (sum(each.size for each in components),), None, count + 1)
