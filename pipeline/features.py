"""Features of a tf.train.Example: how one is parsed, and how an Example is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .schema.example_pb2 import BytesList, Feature, FloatList, Int64List
from .spec import DType, as_dtype, dtype_name

__all__ = ["FixedLenFeature", "VarLenFeature", "make_example"]


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
        object.__setattr__(self, "dtype", _parsed_dtype(dtype))
        object.__setattr__(self, "default_value", default_value)
        object.__setattr__(self, "default", None if default_value is None else self._flat(default_value))
        object.__setattr__(self, "written", repr(self.default))

    def __repr__(self) -> str:
        default = "" if self.default_value is None else f", default_value={self.default_value!r}"
        return f"FixedLenFeature(shape={self.shape}, dtype={dtype_name(self.dtype)}{default})"

    def _flat(self, value: Any) -> tuple[Any, ...]:
        kind, values = _listed("default_value", value)
        wanted = wire_kind(self.dtype)
        if kind == "int64" and wanted == "float":
            kind, values = _floats("default_value", np.asarray(values))
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
        object.__setattr__(self, "dtype", _parsed_dtype(dtype))

    def __repr__(self) -> str:
        return f"VarLenFeature(dtype={dtype_name(self.dtype)})"


def wire_kind(dtype: DType) -> str:
    """Which list of an Example holds values of a dtype: "bytes", "float" or "int64"."""
    if dtype is bytes:
        return "bytes"
    return "float" if np.dtype(dtype).kind == "f" else "int64"


def _parsed_dtype(name: npt.DTypeLike | type[bytes]) -> DType:
    dtype = as_dtype(name)
    if dtype is not bytes and np.dtype(dtype).kind == "c":
        raise InvalidArgumentError(f"an Example holds integers, floats and bytes, no {dtype_name(dtype)}")
    return dtype


def _fixed(shape: Sequence[int | None] | int) -> tuple[int, ...]:
    sizes = [shape] if isinstance(shape, (int, np.integer)) else list(shape)
    if None in sizes or any(int(size) < 0 for size in sizes if size is not None):
        raise InvalidArgumentError(
            f"FixedLenFeature(shape={sizes}) has a length that varies: use FixedLenSequenceFeature or VarLenFeature"
        )
    return tuple(int(size) for size in sizes if size is not None)


def make_example(features: Mapping[str, Any]) -> bytes:
    """A serialized tf.train.Example of these features, its keys in sorted order.

    Integers and booleans go to an int64_list, floats to a float_list (as float32), bytes and str (as UTF-8) to a
    bytes_list. A value is one of these, or a sequence or array of them, which is flattened.

    >>> make_example({"label": 3})
    b'\\n\\x10\\n\\x0e\\n\\x05label\\x12\\x05\\x1a\\x03\\n\\x01\\x03'

    Raises InvalidArgumentError naming the feature: an empty list without a dtype, values of several kinds, numbers
    that int64 or float32 do not hold, or anything else.
    """
    entries = [_entry(name, features[name]) for name in sorted(_checked(features), key=str.encode)]
    return _part(1, b"".join(entries)) if entries else b""


def _entry(name: str, value: Any) -> bytes:
    return _part(1, _part(1, name.encode()) + _part(2, _feature(name, value).SerializeToString()))


def _checked(names: Iterable[Any]) -> list[str]:
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"a feature's name must be str, {name!r} is not")
    return list(names)


def _part(field: int, content: bytes) -> bytes:
    """A message in a message, as protobuf writes it. Its own way of sorting a map differs between its versions."""
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([field << 3 | 2, *length, size]) + content


def _feature(name: str, value: Any) -> Feature:
    kind, values = _listed(f"feature {name!r}", value)
    if kind == "bytes":
        return Feature(bytes_list=BytesList(value=values))
    if kind == "float":
        return Feature(float_list=FloatList(value=values))
    return Feature(int64_list=Int64List(value=values))


def _listed(what: str, value: Any) -> tuple[str, list[Any]]:
    """The kind of list that holds a value, and the values in it."""
    if isinstance(value, (bytes, bytearray, memoryview, str)):
        return "bytes", [_encoded(what, value)]
    array = value if isinstance(value, (np.ndarray, np.generic)) else _arrayed(what, value)
    kind = np.asarray(array).dtype.kind
    if kind in "SUO":
        return "bytes", [_encoded(what, each) for each in np.asarray(array).ravel().tolist()]
    if kind == "f":
        return _floats(what, np.asarray(array))
    if kind in "biu":
        return _int64s(what, np.asarray(array))
    raise InvalidArgumentError(f"{what} is {np.asarray(array).dtype}: an Example holds integers, floats and bytes")


def _arrayed(what: str, value: Any) -> npt.NDArray[Any]:
    """A Python number or nested list as an array; anything with a string in it as an array of objects."""
    try:
        array = np.asarray(value)
        if array.dtype.kind in "SU":
            # NumPy writes numbers beside strings as text and cuts trailing zero bytes: look at each value instead.
            array = np.asarray(value, object)
    except (ValueError, OverflowError) as error:
        raise InvalidArgumentError(f"{what} cannot be flattened: {error}") from error
    if not array.size and not isinstance(value, np.ndarray):
        raise InvalidArgumentError(f"{what} is empty, so its kind is unknown: use np.array([], dtype)")
    return array


def _encoded(what: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise InvalidArgumentError(
        f"{what} holds {value!r} of type {type(value).__name__}: use only bytes and str, only integers, or only floats"
    )


def _floats(what: str, array: npt.NDArray[Any]) -> tuple[str, list[Any]]:
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    if (np.isinf(narrow) & np.isfinite(array)).any():
        raise InvalidArgumentError(f"{what} holds a number that float32 does not: {np.abs(array).max()}")
    return "float", narrow.ravel().tolist()


def _int64s(what: str, array: npt.NDArray[Any]) -> tuple[str, list[Any]]:
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise InvalidArgumentError(f"{what} holds a number that int64 does not: {array.max()}")
    return "int64", [int(each) for each in array.ravel().tolist()]
