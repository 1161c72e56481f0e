"""TensorSpec: the shape and dtype of one component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .structure import flatten_as_is

__all__ = ["DType", "DatasetSpec", "Shape", "TensorSpec", "as_dtype", "dtype_name", "spec_of", "unify"]

#: A NumPy dtype, or the type `bytes` for strings, which have no fixed length.
DType: TypeAlias = "np.dtype[Any] | type[bytes]"

#: One entry a dimension, None where it varies; None for an unknown rank.
Shape: TypeAlias = "tuple[int | None, ...] | None"


def as_dtype(name: npt.DTypeLike | type[bytes]) -> DType:
    """The dtype that a user named; `bytes`, `str` and "string" all mean byte strings.

    >>> as_dtype("int64"), as_dtype(bytes), as_dtype("string")
    (dtype('int64'), <class 'bytes'>, <class 'bytes'>)
    """
    if name in (bytes, str, "string", "bytes", object):
        return bytes
    dtype = np.dtype(name).newbyteorder("=")
    if dtype.kind in "SUO":
        return bytes
    if dtype.kind not in "biufc":
        raise InvalidArgumentError(f"dtype {dtype} has no place in an element: use numbers, booleans or bytes")
    return dtype


@lru_cache(maxsize=64)
def dtype_name(dtype: DType) -> str:
    """How a dtype is written in messages and specs."""
    return "bytes" if dtype is bytes else np.dtype(dtype).name


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape and dtype of a component; a None in the shape is a length that varies.

    >>> TensorSpec((None, 28), "float32")
    TensorSpec(shape=(None, 28), dtype=float32)
    """

    shape: Shape
    dtype: DType

    def __init__(self, shape: Sequence[int | None] | None, dtype: npt.DTypeLike | type[bytes]) -> None:
        object.__setattr__(self, "shape", None if shape is None else tuple(shape))
        object.__setattr__(self, "dtype", as_dtype(dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={dtype_name(self.dtype)})"


@dataclass(frozen=True, slots=True, init=False)
class DatasetSpec(TensorSpec):
    """A component that is a dataset, as in what `window` gives; to whoever asks for no more, it is one of bytes.

    >>> DatasetSpec(TensorSpec((), "int64")).element_spec
    TensorSpec(shape=(), dtype=int64)
    """

    element_spec: Any  #: `TensorSpec`s, nested like its elements.

    def __init__(self, element_spec: Any) -> None:
        TensorSpec.__init__(self, (), bytes)
        object.__setattr__(self, "element_spec", element_spec)

    def __repr__(self) -> str:
        return f"DatasetSpec({self.element_spec!r})"


def spec_of(value: Any) -> TensorSpec:
    """The spec of one component as it stands: an array, a scalar or `bytes`."""
    if isinstance(value, bytes):
        return TensorSpec((), bytes)
    array = np.asarray(value)
    return TensorSpec(array.shape, array.dtype)


def unify(one: TensorSpec, other: TensorSpec) -> TensorSpec:
    """The narrowest spec that covers both; their dtypes must agree."""
    if isinstance(one, DatasetSpec) and isinstance(other, DatasetSpec):
        return DatasetSpec(_unified(one.element_spec, other.element_spec))
    if one.dtype != other.dtype:
        raise InvalidArgumentError(f"elements differ in dtype: {dtype_name(one.dtype)} and {dtype_name(other.dtype)}")
    if one.shape is None or other.shape is None or len(one.shape) != len(other.shape):
        return TensorSpec(None, one.dtype)
    return TensorSpec([a if a == b else None for a, b in zip(one.shape, other.shape, strict=True)], one.dtype)


def _unified(one: Any, other: Any) -> Any:
    """The same of nestings of specs."""
    (specs, structure), (others, nest) = flatten_as_is(one), flatten_as_is(other)
    if structure != nest:
        raise InvalidArgumentError(f"datasets differ in structure: {structure.names()} and {nest.names()}")
    return structure.pack([unify(a, b) for a, b in zip(specs, others, strict=True)])
