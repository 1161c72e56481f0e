"""Composing: columns of what has no fixed length, out of values that lie row behind row.

A row is an Example of a batch, or a step of a feature list. Every result is that of a batch; `alone` takes the only
row out of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .features import FixedLenSequenceFeature, SparseFeature, VarLenFeature
from .kernels.places import places_in_rows
from .partitions import divided
from .parts import Rows, Whose, converted
from .ragged import RaggedTensor
from .ragged_feature import Partition, RaggedFeature
from .sparse import SparseTensor
from .spec import DType
from .work import too_large

__all__ = ["Found", "Varying", "alone", "composed", "keys_of", "padded", "spread", "value_key"]

#: Features of any number of values.
Varying: TypeAlias = VarLenFeature | FixedLenSequenceFeature | RaggedFeature | SparseFeature
Words: TypeAlias = npt.NDArray[np.int64]


class Found:
    """What was read of every key, and how errors call the rows."""

    def __init__(self, rows: Mapping[str, Rows], lent: Set[str], who: Whose) -> None:
        self._rows, self._lent, self.who = rows, lent, who

    def values(self, key: str, dtype: DType) -> Rows:
        """The values at a key, in the dtype asked for; nobody else's array."""
        values, splits = self._rows[key]
        result = converted(key, dtype, values, splits, self.who)
        return Rows(result.copy() if result is values and key in self._lent else result, splits)

    def steps(self, name: str, spec: FixedLenSequenceFeature) -> Rows:
        """Values of every row as steps of the shape asked for."""
        values, splits = self.values(name, spec.dtype)
        self._check(name, spec, splits, np.diff(splits) % spec.size == 0)
        return Rows(values.reshape(-1, *spec.shape), splits // spec.size)

    def equal(self, name: str, spec: FixedLenSequenceFeature) -> npt.NDArray[Any]:
        """The values, where every row is one step of the shape asked for."""
        values, splits = self.values(name, spec.dtype)
        self._check(name, spec, splits, np.diff(splits) == spec.size)
        return values.reshape(-1, *spec.shape)

    def _check(self, name: str, spec: FixedLenSequenceFeature, splits: Words, good: npt.NDArray[np.bool_]) -> None:
        if not good.all():
            row = int(np.argmin(good))
            raise InvalidArgumentError(
                f"{self.who[row]}: feature {name!r} holds {splits[row + 1] - splits[row]} values, a step of shape "
                f"{spec.shape} has {spec.size}: use VarLenFeature if that varies"
            )

    def places(self, key: str) -> Rows:
        """The int64 values at a key, to be read only."""
        return self._rows[key]


def keys_of(name: str, spec: Varying) -> dict[str, DType]:
    """The features that one of a specification is made of, and of which dtype they are."""
    match spec:
        case RaggedFeature():
            keyed = [each.key for each in spec.partitions if not isinstance(each, RaggedFeature.UniformRowLength)]
            return dict.fromkeys(keyed, np.dtype(np.int64)) | {value_key(name, spec): spec.dtype}
        case SparseFeature():
            return dict.fromkeys(spec.index_key, np.dtype(np.int64)) | {spec.value_key: spec.dtype}
    return {name: spec.dtype}


def value_key(name: str, spec: Varying) -> str:
    """The feature that has the values."""
    key = getattr(spec, "value_key", None)
    return name if key is None else str(key)


def composed(name: str, spec: Varying, found: Found) -> Any:
    """The column of a batch that a specification asks for.

    Raises:
        InvalidArgumentError: features that do not fit one another, or a dtype that does not hold a value.
        ResourceExhaustedError: padding to more bytes than a batch may have.
    """
    match spec:
        case RaggedFeature():
            return _ragged(name, spec, found)
        case SparseFeature():
            return _sparse(name, spec, found)
        case FixedLenSequenceFeature():
            return padded(found.steps(name, spec), spec.default)
    values, splits = found.values(name, spec.dtype)
    return SparseTensor(spread(splits), values, np.array([len(splits) - 1, np.diff(splits).max(initial=0)], np.int64))


def alone(column: Any) -> Any:
    """What a batch of one row holds."""
    if isinstance(column, RaggedTensor):
        return column.values
    if isinstance(column, SparseTensor):
        return SparseTensor(column.indices[:, 1:].copy(), column.values, column.dense_shape[1:].copy())
    return column[0]


def spread(splits: Words) -> Words:
    """Row and place in the row of every value, [values, 2]."""
    indices = np.empty((int(splits[-1]), 2), np.int64)
    places_in_rows(splits, indices)
    return indices


def padded(rows: Rows, default: Any) -> npt.NDArray[Any]:
    """[rows, longest, ...], every row filled up at its end."""
    values = rows.values
    sizes = len(rows.splits) - 1, int(np.diff(rows.splits).max(initial=0)), *values.shape[1:]
    if error := too_large(values.itemsize * int(np.prod(sizes, dtype=np.float64))):
        raise error
    return RaggedTensor(values, rows.splits).to_tensor(default)


def _ragged(name: str, spec: RaggedFeature, found: Found) -> RaggedTensor:
    values: Any
    values, splits = found.values(value_key(name, spec), spec.dtype)
    for partition in reversed(spec.partitions):

        def refuse(row: int, reason: str, partition: Partition = partition) -> NoReturn:
            raise InvalidArgumentError(f"{found.who[row]}: feature {name!r}, {partition}: {reason}")

        numbers = None if isinstance(partition, RaggedFeature.UniformRowLength) else found.places(partition.key)
        values, splits = divided(values, splits, partition, numbers, spec.row_splits_dtype, refuse)
    return RaggedTensor(values, splits.astype(spec.row_splits_dtype))


def _sparse(name: str, spec: SparseFeature, found: Found) -> SparseTensor:
    values, splits = found.values(spec.value_key, spec.dtype)
    rows = len(splits) - 1
    indices = np.empty((len(values), 1 + len(spec.size)), np.int64)
    indices[:, 0] = np.repeat(np.arange(rows), np.diff(splits))
    for dimension, (key, size) in enumerate(zip(spec.index_key, spec.size, strict=True), 1):
        places, bounds = found.places(key)
        if (bounds != splits).any():
            row = int(np.argmax(bounds != splits)) - 1
            raise InvalidArgumentError(
                f"{found.who[row]}: feature {name!r} has {splits[row + 1] - splits[row]} values in {spec.value_key!r} "
                f"and {bounds[row + 1] - bounds[row]} places in {key!r}: each value needs its place"
            )
        if (outside := (places < 0) | (places >= size)).any():
            at = int(np.argmax(outside))
            raise InvalidArgumentError(
                f"{found.who[int(indices[at, 0])]}: feature {name!r} has a value at {places[at]} by {key!r}, and its "
                f"size is {size}: places begin with 0"
            )
        indices[:, dimension] = places
    if not spec.already_sorted and not _in_order(indices):
        order = np.lexsort(indices.T[::-1])
        indices, values = indices[order], values[order]
    return SparseTensor(indices, values, np.array([rows, *spec.size], np.int64))


def _in_order(indices: Words) -> bool:
    """Whether rows of numbers do not fall, the first number counting most."""
    ordered = np.ones(max(len(indices) - 1, 0), np.bool_)
    for steps in np.diff(indices, axis=0).T[::-1]:
        ordered = (steps > 0) | ((steps == 0) & ordered)
    return bool(ordered.all())
