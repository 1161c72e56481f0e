"""Padding: elements of unequal shapes made equal and stacked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .blocks import Block, BlockLayout
from .columns import Array, Column, Layout
from .errors import DataLossError, InvalidArgumentError
from .gathering import refuse_datasets
from .kernels.gather import gather_strings, item_positions, pad_items
from .spec import dtype_name
from .structure import Structure, as_component, flatten_as_is
from .work import too_large

__all__ = ["Padding", "pad_block", "padding_arguments", "shapes_of"]

Shapes = tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Padding:
    """One target shape and one value a component; `shapes` None pads every dimension to the longest.

    A single value stands for all components, and so does a single shape.
    """

    shapes: Shapes | None = None
    values: tuple[Any, ...] | None = None
    shapes_nest: Structure | None = None
    values_nest: Structure | None = None
    first: int | None = None  #: Where `shapes` is None: to what the first dimension of each component is padded.
    operator: ClassVar[str] = "padded_batch"

    def __call__(self, block: Block) -> Block:
        """One batch, as a block of one row, of all elements of a block: see `pad_block`."""
        return pad_block(block, self)


def padding_arguments(
    padded_shapes: Any, padding_values: Any
) -> tuple[Shapes | None, tuple[Any, ...] | None, Structure | None, Structure | None]:
    """What `padded_batch` was given, one entry a component, and how they nest."""
    shapes = shapes_nest = values = values_nest = None
    if padded_shapes is not None:
        found, shapes_nest = _flatten_shapes(padded_shapes)
        shapes = tuple(found)
    if padding_values is not None:
        leaves, values_nest = flatten_as_is(padding_values)
        if any(each is not None and np.ndim(each) for each in leaves):
            raise InvalidArgumentError("padding_values must be scalars, nested like the elements")
        values = tuple(None if each is None else as_component(each) for each in leaves)
    return shapes, values, shapes_nest, values_nest


def _flatten_shapes(value: Any) -> tuple[list[tuple[int | None, ...]], Structure]:
    """Shapes are lists or tuples of lengths, so that nesting ends where numbers begin."""
    if isinstance(value, dict):
        keys = tuple(sorted(value))
        inner = [_flatten_shapes(value[key]) for key in keys]
        return [shape for shapes, _ in inner for shape in shapes], Structure("dict", keys, tuple(s for _, s in inner))
    if isinstance(value, list | tuple) and all(each is None or isinstance(each, int | np.integer) for each in value):
        return [tuple(None if each is None or each < 0 else int(each) for each in value)], Structure()
    if isinstance(value, tuple):
        inner = [_flatten_shapes(each) for each in value]
        kind, keys = ("named", value._fields) if hasattr(value, "_fields") else ("tuple", ())
        return [shape for shapes, _ in inner for shape in shapes], Structure(kind, keys, tuple(s for _, s in inner))
    raise InvalidArgumentError(f"padded_shapes holds {value!r}: each shape is a list of lengths, None for the longest")


def pad_block(block: Block, padding: Padding) -> Block:
    """One batch, as a block of one row, of all elements of a block.

    Raises:
        InvalidArgumentError: shapes or values that do not fit the elements, or elements of unequal rank.
        DataLossError: an element longer than its target.
        ResourceExhaustedError: a batch of more bytes than one may have.
    """
    refuse_datasets(block.structure)
    names = block.structure.names()
    shapes = _spread(padding.shapes, padding.shapes_nest, block.structure, "padded_shapes")
    values = _spread(padding.values, padding.values_nest, block.structure, "padding_values")
    if padding.shapes is None and padding.first is not None:
        shapes = [(padding.first, *[None] * (each.rank - 1))[: each.rank] for each in block.columns]
    targets = [_target(n, c, s) for n, c, s in zip(names, block.columns, shapes, strict=True)]
    fills = [_fill_value(n, c, v) for n, c, v in zip(names, block.columns, values, strict=True)]
    jobs = list(zip(block.columns, targets, fills, strict=True))
    layout = BlockLayout(block.structure, 1, tuple(_layout(*job) for job in jobs))
    if error := too_large(layout.nbytes):  # before it is made: few items can need much padding
        raise error
    out = Block.of_layout(layout)
    for job, column in zip(jobs, out.columns, strict=True):
        _pad(*job, column)
    return out


def _spread(given: Sequence[Any] | None, nest: Structure | None, structure: Structure, what: str) -> Sequence[Any]:
    if given is None:
        return [None] * structure.size
    if (
        nest == Structure()
        and structure.size >= 1
        and len(given) == 1
        and (what == "padding_values" or structure.size == 1)
    ):
        return list(given) * structure.size
    if len(given) != structure.size or (nest is not None and nest.names() != structure.names()):
        raise InvalidArgumentError(f"{what} has components {nest and nest.names()}, the elements {structure.names()}")
    return given


def shapes_of(column: Column) -> Array:
    """The shape of each element, int64 [n, rank]."""
    if column.shapes is not None:
        return column.shapes
    shape = np.array(column.shape_of(0), np.int64)
    return np.broadcast_to(shape, (len(column), len(shape)))


def _target(name: str, column: Column, asked: tuple[int | None, ...] | None) -> Array:
    """The shape that every element of this batch gets."""
    shapes = shapes_of(column)
    longest: Array = shapes.max(axis=0, initial=0)
    if asked is None:
        return longest
    if len(asked) != column.rank:
        raise InvalidArgumentError(
            f"padded_shapes for component {name} is {list(asked)}, its elements have rank {column.rank}"
        )
    target = np.array([want if want is not None else have for want, have in zip(asked, longest, strict=True)], np.int64)
    if (longest > target).any():
        # tf.data's kind of error for this.
        raise DataLossError(
            f"padded_batch, component {name}",
            f"an element of shape up to {longest.tolist()} is longer than the padded shape {target.tolist()}: "
            "cut it in a map before, or say None in padded_shapes for the longest of the batch",
        )
    return target


def _fill_value(name: str, column: Column, value: Any) -> Any:
    if value is None:
        return b"" if column.dtype is bytes else np.zeros((), column.dtype)
    if isinstance(value, bytes) != (column.dtype is bytes):
        raise InvalidArgumentError(_misfit(name, value, column))
    if not isinstance(value, bytes) and value.dtype != column.dtype:
        raise InvalidArgumentError(_misfit(name, value, column))
    return value


def _misfit(name: str, value: Any, column: Column) -> str:
    kind, wanted = "bytes" if isinstance(value, bytes) else value.dtype, dtype_name(column.dtype)
    fix = "b'...'" if column.dtype is bytes else f"np.{wanted}(...)"
    return f"the padding value {value!r} for component {name} is {kind}, its elements are {wanted}: give {fix}"


def _layout(column: Column, target: Array, fill: Any) -> Layout:
    count = len(column)
    shape = (1, count, *target.tolist())
    if column.dtype is not bytes:
        return Layout(column.dtype, column.rank + 1, shape)
    items = math.prod(shape)
    strings = len(column.splits) - 1 if column.splits is not None else 0
    nbytes = len(column.values) + (items - strings) * len(fill)
    return Layout(bytes, column.rank + 1, (nbytes,), items + 1, 2)


def _pad(column: Column, target: Array, fill: Any, out: Column) -> None:
    shapes = np.require(shapes_of(column), requirements=["C", "A"])
    if out.dense:
        out.values[...] = fill
        pad_items(column.values.ctypes.data, shapes, target, out.values.dtype.itemsize, out.values.ctypes.data)
        return
    assert column.splits is not None
    assert out.splits is not None
    assert out.rows is not None
    assert out.shapes is not None
    items = len(out.splits) - 1
    out.rows[:] = (0, items)
    out.shapes[0] = (len(column), *target)
    positions = np.empty(len(column.splits) - 1, np.int64)
    item_positions(shapes, target, positions)
    # Every item is string 0 of the fill, or a string of the column: sources 0 and 1 of a gather.
    which, starts = np.zeros(items, np.int64), np.zeros(items, np.int64)
    which[positions] = 1
    starts[positions] = np.arange(len(positions))
    filler, bounds = np.frombuffer(fill or b"\0", np.uint8), np.array([0, len(fill)], np.int64)
    values = np.array([filler.ctypes.data, column.values.ctypes.data])
    splits = np.array([bounds.ctypes.data, column.splits.ctypes.data])
    gather_strings(values, splits, which, starts, np.ones(items, np.int64), out.splits, out.values.ctypes.data)
