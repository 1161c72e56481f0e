"""Texts as users hand them in, joined for kernels: one, an array or list of them, or a ragged or sparse tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..columns import Column
from ..errors import InvalidArgumentError
from ..ragged import RaggedTensor
from ..serialized import joined
from ..sparse import SparseTensor

__all__ = ["Texts", "each_text", "encoded", "of_column", "one_text", "row_by_row", "strings"]

Words: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = npt.NDArray[Any]


class Texts(NamedTuple):
    """Texts one behind the other, number i between splits[i] and splits[i + 1]; `data` is read-only."""

    data: npt.NDArray[np.uint8]
    splits: Words


def encoded(what: str, text: Any) -> bytes:
    """A text as bytes, `str` as UTF-8."""
    if isinstance(text, str):
        return text.encode()
    if isinstance(text, bytes):
        return text
    raise InvalidArgumentError(f"{what} takes bytes, str, or arrays of them, not {type(text).__name__}")


def of_column(column: Column) -> Texts | None:
    """The strings of a column, if it is of strings."""
    if column.splits is None:
        return None
    data = column.values.view()
    data.flags.writeable = False  # kernels are compiled once, for bytes as `bytes` has them,
    return Texts(data, np.require(column.splits, requirements=["C", "A"]))  # and frames begin at any address


def each_text(what: str, value: Any, function: Callable[[Texts], Array]) -> Any:
    """A result for each text, nested as the texts are; `what` is the function's name in errors."""
    if isinstance(value, RaggedTensor):
        return RaggedTensor(each_text(what, value.values, function), value.row_splits)
    if isinstance(value, SparseTensor):
        return SparseTensor(value.indices, each_text(what, value.values, function), value.dense_shape)
    if isinstance(value, bytes | str):
        return function(one_text(encoded(what, value)))[0]
    array = _array(what, value)
    return function(Texts(*joined(_rows(what, array)))).reshape(array.shape)


def row_by_row(what: str, value: Any, function: Callable[[list[bytes]], tuple[Array, Words]]) -> Any:
    """A row of results for each text: an array of one text, a RaggedTensor of several."""
    if isinstance(value, RaggedTensor):
        return RaggedTensor(row_by_row(what, value.values, function), value.row_splits)
    if isinstance(value, bytes | str):
        return function([encoded(what, value)])[0]
    array = _array(what, value)
    if array.ndim != 1:
        raise InvalidArgumentError(f"{what} takes one text or a row of them, not an array of shape {array.shape}")
    return RaggedTensor(*function(_rows(what, array)))


def strings(data: npt.NDArray[np.uint8], places: Words) -> Array:
    """An object array of what lies between the places, two of them for each."""
    whole = data.tobytes()
    found = np.empty(len(places) // 2, object)
    found[:] = [whole[low:high] for low, high in places.reshape(-1, 2).tolist()]
    return found


def one_text(text: bytes) -> Texts:
    """One alone."""
    return Texts(np.frombuffer(text, np.uint8), np.array([0, len(text)]))


def _array(what: str, value: Any) -> Array:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | tuple):
        found = np.empty(len(value), object)
        found[:] = value
        return found
    raise InvalidArgumentError(f"{what} takes bytes, str, or arrays of them, not {type(value).__name__}")


def _rows(what: str, array: Array) -> list[bytes]:
    rows: list[Any] = array.ravel().tolist()
    return rows if set(map(type, rows)) <= {bytes} else [encoded(what, each) for each in rows]
