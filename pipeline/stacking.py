"""Stacking: elements of unequal shapes as rows of one RaggedTensor or SparseTensor; such values as one more of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from .blocks import Block, BlockBuilder
from .columns import Array, Column
from .errors import DataLossError, InvalidArgumentError
from .gathering import gather_block, refuse_datasets
from .padding import shapes_of
from .ragged import RaggedTensor, splits_of_lengths
from .sparse import SparseTensor
from .spec import DType, Shape, TensorSpec
from .structure import Structure, flatten_as_is
from .work import too_large

__all__ = ["SPARSE", "Ragged", "Sparse", "is_composite", "is_ragged", "stack_block", "stacked_specs"]

RAGGED = flatten_as_is(RaggedTensor(0, 0))[1]  # type: ignore[arg-type]
SPARSE = flatten_as_is(SparseTensor(0, 0, 0))[1]  # type: ignore[arg-type]

#: A column, what to call it, and how many of its dimensions may vary.
_Cell: TypeAlias = "tuple[Column, str, int | None]"
#: Components, and how they nest.
_Parts: TypeAlias = "tuple[list[Any], Structure]"


def is_composite(structure: Structure) -> bool:
    """Whether elements hold a RaggedTensor or a SparseTensor."""
    return structure == SPARSE or is_ragged(structure) or any(map(is_composite, structure.parts))


def is_ragged(structure: Structure) -> bool:
    """Whether this is that of a RaggedTensor."""
    if (structure.type, structure.keys) != (RAGGED.type, RAGGED.keys):
        return False
    values, splits = structure.parts
    return splits == Structure() and (values == Structure() or is_ragged(values))


def stack_block(block: Block, ragged: Ragged | None = None) -> Block:
    """One batch, as a block of one row, of elements that hold ragged or sparse values: each with a dimension more.

    What is neither is stacked, or made ragged as `ragged` says.

    Raises:
        InvalidArgumentError: values of unequal shape that must be equal; sparse ones of unequal rank.
    """
    refuse_datasets(block.structure)
    ranks = (0,) * block.structure.size if ragged is None else ragged.of(block.structure)
    cells = zip(block.columns, block.structure.names(), ranks, strict=True)
    dtype = np.dtype(np.int64) if ragged is None else ragged.splits_dtype
    try:
        return _one(*_stacked(block.structure, cells, dtype))
    except (ValueError, TypeError, IndexError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(f"elements of {block.structure.names()} cannot be stacked: {error}") from error


def _one(components: list[Any], structure: Structure) -> Block:
    """A block of one element."""
    if error := too_large(sum(each.nbytes for each in components)):
        raise error
    builder = BlockBuilder()
    builder.add(components, structure)
    return builder.build()


def _stacked(structure: Structure, cells: Iterator[_Cell], splits_dtype: DType) -> _Parts:
    """All that has this structure, whose columns come next."""
    if structure.kind == "leaf":
        return _ragged(*next(cells), splits_dtype)
    if structure == SPARSE or is_ragged(structure):
        mine = list(islice(cells, structure.size))
        columns = [column for column, _, _ in mine]
        return _stacked_ragged(structure, columns) if structure != SPARSE else _stacked_sparse(columns, mine[0][1])
    found = [_stacked(part, cells, splits_dtype) for part in structure.parts]
    parts = tuple(nest for _, nest in found)
    components = [each for components, _ in found for each in components]
    return components, Structure(structure.kind, structure.keys, parts, structure.type)


def _dense(column: Column, name: str) -> Any:
    """All elements of a column as one array; they must have one shape."""
    block = Block.of_columns(Structure("dict", (name,), (Structure(),)), len(column), [column])
    rows = np.arange(len(column))
    return gather_block([block], np.zeros(len(column), np.int64), rows, len(column)).columns[0].get(0)


def _items(column: Column) -> Array:
    """All items of a column, one behind the other."""
    if column.splits is None:
        return column.values.reshape(-1)
    strings = Column(bytes, 0, column.values, column.splits)
    found = np.empty(len(strings), object)
    found[:] = list(strings)
    return found


def _stacked_sparse(columns: Sequence[Column], name: str) -> _Parts:
    indices, values, shape = columns
    told = name.rpartition(".")[0] or name
    if not shape.dense or shape.rank != 1 or indices.rank != 2 or values.rank != 1:
        raise InvalidArgumentError(f"component {told}: sparse values of unequal rank cannot be stacked")
    counts, rank = shapes_of(values)[:, 0], shape.values.shape[1]
    rows = np.repeat(np.arange(len(shape)), counts)
    places = np.column_stack([rows, _items(indices).reshape(len(rows), rank)])
    bounds = np.array([len(shape), *shape.values.max(axis=0)], np.int64)
    return [places.astype(np.int64), _items(values), bounds], SPARSE


def _stacked_ragged(structure: Structure, columns: Sequence[Column]) -> _Parts:
    """Each level's splits, behind those of the level above; the outermost are the numbers of rows of each element."""
    values, *splits = columns  # the innermost splits first
    bounds = [np.concatenate([[0], *map(np.diff, each)]).cumsum().astype(each.dtype) for each in splits]
    outer = splits_of_lengths(shapes_of(splits[-1])[:, 0] - 1).astype(splits[-1].dtype)
    tail = _tail(values)
    items = _items(values).reshape(int(shapes_of(values)[:, 0].sum()), *tail)
    return [items, *bounds, outer], RAGGED.over([structure, Structure()])


def _tail(values: Column) -> tuple[int, ...]:
    """The shape of one value, which all share."""
    tails = np.unique(shapes_of(values)[:, 1:], axis=0)
    if len(tails) > 1:
        raise InvalidArgumentError(f"ragged values of unequal shape {tails.tolist()} cannot be stacked")
    return tuple(tails[0].tolist())


def _ragged(column: Column, name: str, rank: int | None, splits_dtype: DType) -> _Parts:
    """Elements of one component as rows that vary in so many dimensions; None is in all of them."""
    depth = column.rank if rank is None else rank
    if not depth:
        return [_dense(column, name)], Structure()
    shapes = shapes_of(column)
    if depth > column.rank or len(np.unique(shapes[:, depth:], axis=0)) > 1:
        raise InvalidArgumentError(
            f"component {name} varies in other than its first {depth} dimensions: shapes {shapes[:3].tolist()}"
        )
    levels = [np.repeat(shapes[:, k], shapes[:, :k].prod(axis=1)) for k in range(depth)]
    splits = [splits_of_lengths(lengths).astype(splits_dtype) for lengths in reversed(levels)]
    return [_items(column).reshape(_count(levels[-1]), *shapes[0, depth:].tolist()), *splits], _ragged_nest(depth)


def _count(lengths: Array) -> int:
    return int(lengths.sum())


def _ragged_nest(depth: int) -> Structure:
    """How an array that varies in so many dimensions nests once it is stacked."""
    nest = Structure()
    for _ in range(depth):
        nest = RAGGED.over([nest, Structure()])
    return nest


@dataclass(frozen=True, slots=True)
class Ragged:
    """How `ragged_batch` makes one of several: `ranks` is, one a component, how many of its dimensions vary.

    0 stacks as `batch` does; None is all of them.
    """

    ranks: tuple[int | None, ...] | None
    splits_dtype: DType
    operator: ClassVar[str] = "ragged_batch"

    def of(self, structure: Structure) -> tuple[int | None, ...]:
        """One rank for each component of elements."""
        if self.ranks is not None and len(self.ranks) != structure.size:
            raise InvalidArgumentError(f"ragged_batch: {structure.names()} are no {len(self.ranks)} components")
        return self.ranks or (None,) * structure.size

    def __call__(self, block: Block) -> Block:
        """One batch, as a block of one row, of all elements of a block.

        Raises:
            InvalidArgumentError: elements of another number of components, or unequal where they must be equal.
        """
        return stack_block(block, self)


def stacked_specs(
    specs: Sequence[TensorSpec], structure: Structure, rows: int | None, ragged: Ragged | None = None
) -> tuple[list[TensorSpec], Structure]:
    """Of so many elements of these specs as `stack_block` makes one of them; None is a number that varies."""
    ranks = (0,) * len(specs) if ragged is None else ragged.of(structure)
    dtype = np.dtype(np.int64) if ragged is None else ragged.splits_dtype
    return _spec(structure, iter(zip(specs, ranks, strict=True)), rows, dtype)


def _spec(
    structure: Structure, cells: Iterator[tuple[TensorSpec, int | None]], rows: int | None, splits_dtype: DType
) -> tuple[list[TensorSpec], Structure]:
    bounds = None if rows is None else rows + 1
    if structure == SPARSE:
        (indices, _), (values, _), _ = islice(cells, 3)
        rank = None if indices.shape is None or indices.shape[1] is None else indices.shape[1] + 1
        shapes: list[Shape] = [(None, rank), (None,), (rank,)]
        return [TensorSpec(s, d) for s, d in zip(shapes, [np.int64, values.dtype, np.int64], strict=True)], SPARSE
    if is_ragged(structure):
        (values, _), *splits = islice(cells, structure.size)
        inner = [TensorSpec((None,), each.dtype) for each, _ in splits]
        varying = TensorSpec(None if values.shape is None else (None, *values.shape[1:]), values.dtype)
        return [varying, *inner, TensorSpec((bounds,), inner[-1].dtype)], RAGGED.over([structure, Structure()])
    if structure.kind == "leaf":
        spec, rank = next(cells)
        if spec.shape is None:
            return [spec], structure
        depth = len(spec.shape) if rank is None else rank
        if not depth:
            return [TensorSpec((rows, *spec.shape), spec.dtype)], structure
        ends = [*[None] * (depth - 1), bounds]
        return [
            TensorSpec((None, *spec.shape[depth:]), spec.dtype),
            *(TensorSpec((each,), splits_dtype) for each in ends),
        ], _ragged_nest(depth)
    found = [_spec(part, cells, rows, splits_dtype) for part in structure.parts]
    parts = tuple(nest for _, nest in found)
    return [each for specs, _ in found for each in specs], Structure(
        structure.kind, structure.keys, parts, structure.type
    )


@dataclass(frozen=True, slots=True)
class Sparse:
    """How `sparse_batch` makes one of several: rows of this shape, None where it is as long as the longest."""

    row_shape: tuple[int | None, ...]
    operator: ClassVar[str] = "sparse_batch"

    def __call__(self, block: Block) -> Block:
        """One batch, as a block of one row, of all elements of a block.

        Raises:
            InvalidArgumentError: elements of several components, or of another rank.
            DataLossError: an element longer than a row.
        """
        refuse_datasets(block.structure)
        if block.structure.kind != "leaf":
            raise InvalidArgumentError(f"sparse_batch needs elements of one array, not {block.structure.names()}")
        column = block.columns[0]
        if column.rank != len(self.row_shape):
            raise InvalidArgumentError(
                f"sparse_batch: row_shape is {list(self.row_shape)}, elements have rank {column.rank}"
            )
        shapes = shapes_of(column)
        longest = shapes.max(axis=0, initial=0).tolist()
        rows = [have if want is None else want for want, have in zip(self.row_shape, longest, strict=True)]
        if any(have > want for have, want in zip(longest, rows, strict=True)):
            raise DataLossError(  # tf.data's kind of error for this
                "sparse_batch",
                f"an element of shape up to {longest} is longer than a row of {rows}: cut it in a map before, or use "
                "None in row_shape for the longest",
            )
        return _one([_places(shapes), _items(column), np.array([len(column), *rows], np.int64)], SPARSE)


def _places(shapes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of every item of elements of these shapes: which element, and where in it."""
    sizes = shapes.prod(axis=1)
    rows = np.repeat(np.arange(len(shapes)), sizes)
    rest = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = [rows]
    for k in range(shapes.shape[1]):
        inner = shapes[:, k + 1 :].prod(axis=1)[rows]
        found.append(rest // inner)
        rest = rest % inner
    return np.column_stack(found)
