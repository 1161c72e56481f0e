"""Unstacking: the rows of elements that hold ragged or sparse values, each value with a dimension less."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any, TypeAlias

import numpy as np

from .errors import InvalidArgumentError
from .spec import TensorSpec
from .stacking import SPARSE, is_ragged
from .structure import Structure

__all__ = ["unstacked", "unstacked_specs"]

#: The components of each row.
_Rows: TypeAlias = "list[list[Any]]"


def unstacked(components: list[Any], structure: Structure) -> tuple[_Rows, Structure]:
    """The rows of one element, and how they nest: a ragged value gives arrays, or ragged values of one dimension less.

    Raises:
        InvalidArgumentError: a component is a scalar, or the components have unequal numbers of rows.

    >>> from headrace.pipeline.ragged import RaggedTensor
    >>> from headrace.pipeline.structure import flatten
    >>> value = RaggedTensor(np.array([5, 6, 7]), np.array([0, 2, 3]))
    >>> unstacked(*flatten((value, np.array([1, 2]))))[0]
    [[array([5, 6]), np.int64(1)], [array([7]), np.int64(2)]]
    """
    try:
        return _rows(structure, iter(zip(components, structure.names(), strict=True)))
    except (ValueError, TypeError, IndexError, MemoryError) as error:  # whatever a function made up
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(f"an element of {structure.names()} has no rows to unbatch: {error}") from error


def _rows(structure: Structure, cells: Iterator[tuple[Any, str]]) -> tuple[_Rows, Structure]:
    if structure == SPARSE:
        return _of_sparse(*(each for each, _ in islice(cells, 3))), SPARSE
    if is_ragged(structure):
        return _of_ragged([each for each, _ in islice(cells, structure.size)]), structure.parts[0]
    if structure.kind == "leaf":
        value, name = next(cells)
        if np.ndim(value) == 0:
            raise InvalidArgumentError(f"component {name} is a scalar, which has no rows to unbatch")
        return [[each] for each in value], structure
    found = [_rows(part, cells) for part in structure.parts]
    counts = [len(rows) for rows, _ in found]
    if len(set(counts)) != 1:
        raise InvalidArgumentError(f"all components of an element to unbatch must have one length, not {counts}")
    beside = [[each for row in rows for each in row] for rows in zip(*(rows for rows, _ in found), strict=True)]
    return beside, Structure(structure.kind, structure.keys, tuple(nest for _, nest in found), structure.type)


def _of_sparse(indices: Any, values: Any, shape: Any) -> _Rows:
    ends = np.searchsorted(indices[:, 0], np.arange(int(shape[0]) + 1))
    spans = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    return [[indices[low:high, 1:], values[low:high], shape[1:]] for low, high in spans]


def _of_ragged(components: list[Any]) -> _Rows:
    """The outermost splits are the last ones; those below are cut where these say, and begin with 0 again."""
    values, *splits = components
    rows: _Rows = []
    outer = splits[-1].tolist()
    for low, high in pairwise(outer):
        inner: list[Any] = []
        for each in reversed(splits[:-1]):
            mine = each[low : high + 1]
            inner.insert(0, mine - mine[0])
            low, high = int(mine[0]), int(mine[-1])
        rows.append([values[low:high], *inner])
    return rows


def unstacked_specs(specs: list[TensorSpec], structure: Structure) -> tuple[list[TensorSpec], Structure]:
    """Of these rows, from the specs of the element."""
    return _specs(structure, iter(specs))


def _specs(structure: Structure, cells: Iterator[TensorSpec]) -> tuple[list[TensorSpec], Structure]:
    if structure == SPARSE:
        indices, values, shape = islice(cells, 3)
        rank = None if shape.shape is None or shape.shape[0] is None else shape.shape[0] - 1
        shapes = [(None, rank), (None,), (rank,)]
        dtypes = [indices.dtype, values.dtype, shape.dtype]
        return [TensorSpec(each, dtype) for each, dtype in zip(shapes, dtypes, strict=True)], SPARSE
    if is_ragged(structure):
        values, *splits = islice(cells, structure.size)
        return [values, *(TensorSpec((None,), each.dtype) for each in splits[:-1])], structure.parts[0]
    if structure.kind == "leaf":
        spec = next(cells)
        return [TensorSpec(None if spec.shape is None else spec.shape[1:], spec.dtype)], structure
    found = [_specs(part, cells) for part in structure.parts]
    nest = Structure(structure.kind, structure.keys, tuple(each for _, each in found), structure.type)
    return [each for specs, _ in found for each in specs], nest
