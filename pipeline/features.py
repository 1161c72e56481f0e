"""Features of a tf.train.Example: how one is parsed. Ragged ones are in `ragged_feature`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .listing import floats_of, listed
from .spec import DType, as_dtype, dtype_name

__all__ = [
    "FixedLenFeature",
    "FixedLenSequenceFeature",
    "SparseFeature",
    "VarLenFeature",
    "parsed_dtype",
    "wire_kind",
]


@dataclass(frozen=True, init=False)
class FixedLenFeature:
    """A feature with the same number of values in every Example: an array of this shape and dtype.

    `shape` has no unknown dimension. `dtype` is bytes, or any NumPy dtype of integers, booleans or floats: an Example
    holds int64, float32 and bytes, and a value that the dtype does not hold exactly is an error. `default_value`
    stands in where an Example has no such feature: as many values as the shape has; a float is rounded to float32.
    Without it the feature is required.

    >>> FixedLenFeature([2], "int64", default_value=[7, 8])
    FixedLenFeature(shape=(2,), dtype=int64, default_value=[7, 8])

    Raises InvalidArgumentError.
    """

    shape: tuple[int, ...]
    dtype: DType
    default_value: Any = field(default=None, compare=False)
    default: tuple[Any, ...] | None = field(default=None, compare=False)  #: Its values, flat, as an Example has them.
    written: str = ""  #: They in text, which tells 0.0 from -0.0 and holds nan for equal to nan.

    def __init__(
        self,
        shape: Sequence[int | None] | int,
        dtype: npt.DTypeLike | type[bytes],
        default_value: Any = None,
    ) -> None:
        object.__setattr__(self, "shape", _fixed(shape))
        object.__setattr__(self, "dtype", parsed_dtype(dtype))
        object.__setattr__(self, "default_value", default_value)
        object.__setattr__(self, "default", None if default_value is None else self._flat(default_value))
        object.__setattr__(self, "written", repr(self.default))

    def __repr__(self) -> str:
        default = "" if self.default_value is None else f", default_value={self.default_value!r}"
        return f"FixedLenFeature(shape={self.shape}, dtype={dtype_name(self.dtype)}{default})"

    def _flat(self, value: Any) -> tuple[Any, ...]:
        kind, values = listed("default_value", value)
        wanted = wire_kind(self.dtype)
        if kind == "int64" and wanted == "float":
            kind, values = floats_of("default_value", np.asarray(values))
        if kind != wanted:
            raise InvalidArgumentError(
                f"default_value holds {kind} values, dtype {dtype_name(self.dtype)} has {wanted}"
            )
        if len(values) != math.prod(self.shape):
            raise InvalidArgumentError(
                f"default_value holds {len(values)} values, shape {self.shape} has {math.prod(self.shape)}: "
                f"give one for each (a scalar is not spread)"
            )
        return tuple(values)


@dataclass(frozen=True, init=False)
class VarLenFeature:
    """A feature with any number of values, none where it is absent; parsed to a SparseTensor.

    >>> VarLenFeature(bytes)
    VarLenFeature(dtype=bytes)
    """

    dtype: DType

    def __init__(self, dtype: npt.DTypeLike | type[bytes]) -> None:
        object.__setattr__(self, "dtype", parsed_dtype(dtype))

    def __repr__(self) -> str:
        return f"VarLenFeature(dtype={dtype_name(self.dtype)})"


@dataclass(frozen=True, init=False)
class FixedLenSequenceFeature:
    """Steps of one shape, any number of them: an array [steps, *shape], filled up to the longest of a batch.

    In an Example the values of all steps lie in one list, whose length tells how many there are; there it needs
    `allow_missing=True`, and is of length 0 where it is absent. In `sequence_features` of a SequenceExample each step
    is a Feature of its own, and a list that is absent is an error without `allow_missing`. `default_value`, one
    number or text, fills up (0, or b"").

    >>> FixedLenSequenceFeature([2], "float32", allow_missing=True)
    FixedLenSequenceFeature(shape=(2,), dtype=float32, allow_missing=True)

    Raises InvalidArgumentError.
    """

    shape: tuple[int, ...]
    dtype: DType
    allow_missing: bool = False
    default_value: Any = field(default=None, compare=False)
    default: Any = field(default=None, compare=False)  #: As an array of the dtype is filled with.
    written: str = ""  #: It in text, which tells 0.0 from -0.0.

    def __init__(
        self,
        shape: Sequence[int | None] | int,
        dtype: npt.DTypeLike | type[bytes],
        allow_missing: bool = False,
        default_value: Any = None,
    ) -> None:
        sizes = _fixed(shape, "FixedLenSequenceFeature", "give the lengths of one step, without that of the sequence")
        if 0 in sizes:
            raise InvalidArgumentError(f"a step of shape {sizes} has no values, by which steps are counted: drop it")
        scalar = FixedLenFeature((), dtype, default_value)
        filler = b"" if scalar.dtype is bytes else 0
        object.__setattr__(self, "shape", sizes)
        object.__setattr__(self, "dtype", scalar.dtype)
        object.__setattr__(self, "allow_missing", bool(allow_missing))
        object.__setattr__(self, "default_value", default_value)
        object.__setattr__(self, "default", scalar.default[0] if scalar.default else filler)
        object.__setattr__(self, "written", scalar.written)

    @property
    def size(self) -> int:
        """Values of a step."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        missing = ", allow_missing=True" if self.allow_missing else ""
        default = "" if self.default_value is None else f", default_value={self.default_value!r}"
        return f"FixedLenSequenceFeature(shape={self.shape}, dtype={dtype_name(self.dtype)}{missing}{default})"


@dataclass(frozen=True, init=False)
class SparseFeature:
    """Values and their places, in features of their own; parsed to a SparseTensor of shape `size`.

    `index_key` names the int64 feature with the places, or is a list of such names, one a dimension; `value_key`
    names the values; `size` is the length, or the lengths, of the dense array. Places are sorted, unless
    `already_sorted` says that they are.

    >>> SparseFeature("at", "weight", "float32", size=100)
    SparseFeature(index_key=('at',), value_key='weight', dtype=float32, size=(100,))

    Raises InvalidArgumentError.
    """

    index_key: tuple[str, ...]
    value_key: str
    dtype: DType
    size: tuple[int, ...]
    already_sorted: bool = False

    def __init__(
        self,
        index_key: str | Sequence[str],
        value_key: str,
        dtype: npt.DTypeLike | type[bytes],
        size: int | Sequence[int],
        already_sorted: bool = False,
    ) -> None:
        keys = (index_key,) if isinstance(index_key, str) else tuple(index_key)
        sizes = _fixed(size, "SparseFeature", "give the length of each dimension")
        if not keys or len(keys) != len(sizes) or not all(isinstance(each, str) for each in (*keys, value_key)):
            raise InvalidArgumentError(
                f"SparseFeature(index_key={index_key!r}, value_key={value_key!r}, size={size!r}): keys are names, "
                f"and there are as many of index_key as of size"
            )
        object.__setattr__(self, "index_key", keys)
        object.__setattr__(self, "value_key", value_key)
        object.__setattr__(self, "dtype", parsed_dtype(dtype))
        object.__setattr__(self, "size", sizes)
        object.__setattr__(self, "already_sorted", bool(already_sorted))

    def __repr__(self) -> str:
        ordered = ", already_sorted=True" if self.already_sorted else ""
        keys = f"index_key={self.index_key}, value_key={self.value_key!r}"
        return f"SparseFeature({keys}, dtype={dtype_name(self.dtype)}, size={self.size}{ordered})"


def wire_kind(dtype: DType) -> str:
    """Which list of an Example holds values of a dtype: "bytes", "float" or "int64"."""
    if dtype is bytes:
        return "bytes"
    return "float" if np.dtype(dtype).kind == "f" else "int64"


def parsed_dtype(name: npt.DTypeLike | type[bytes]) -> DType:
    dtype = as_dtype(name)
    if dtype is not bytes and np.dtype(dtype).kind == "c":
        raise InvalidArgumentError(f"an Example holds integers, floats and bytes, no {dtype_name(dtype)}")
    return dtype


def _fixed(
    shape: Sequence[int | None] | int,
    whose: str = "FixedLenFeature",
    instead: str = "use FixedLenSequenceFeature or VarLenFeature",
) -> tuple[int, ...]:
    sizes = [shape] if isinstance(shape, (int, np.integer)) else list(shape)
    if None in sizes or any(int(size) < 0 for size in sizes if size is not None):
        raise InvalidArgumentError(f"{whose}(shape={sizes}) has a length that varies: {instead}")
    return tuple(int(size) for size in sizes if size is not None)
