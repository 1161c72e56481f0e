"""Values as a list of an Example holds them: which kind of list, and the values in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError

__all__ = ["floats_of", "listed"]


def listed(what: str, value: Any) -> tuple[str, list[Any]]:
    """The kind of list that holds a value, and the values in it."""
    if isinstance(value, (bytes, bytearray, memoryview, str)):
        return "bytes", [_encoded(what, value)]
    array = value if isinstance(value, (np.ndarray, np.generic)) else _arrayed(what, value)
    kind = np.asarray(array).dtype.kind
    if kind in "SUO":
        return "bytes", [_encoded(what, each) for each in np.asarray(array).ravel().tolist()]
    if kind == "f":
        return floats_of(what, np.asarray(array))
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


def floats_of(what: str, array: npt.NDArray[Any]) -> tuple[str, list[Any]]:
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    if (np.isinf(narrow) & np.isfinite(array)).any():
        raise InvalidArgumentError(f"{what} holds a number that float32 does not: {np.abs(array).max()}")
    return "float", narrow.ravel().tolist()


def _int64s(what: str, array: npt.NDArray[Any]) -> tuple[str, list[Any]]:
    if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise InvalidArgumentError(f"{what} holds a number that int64 does not: {array.max()}")
    return "int64", [int(each) for each in array.ravel().tolist()]
