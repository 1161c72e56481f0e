"""Nesting of elements: tuples, named tuples and dicts over components.

An element is a nesting whose leaves, its components, are NumPy arrays, NumPy scalars or `bytes`.
`flatten` takes it apart into components and a `Structure`; `Structure.pack` puts it together again.
A structure is plain data, so that it travels in messages.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .errors import InvalidArgumentError

__all__ = ["Element", "Structure", "as_component", "flatten", "flatten_as_is", "restack"]

Element = Any
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, slots=True)
class Structure:
    """How components nest. `kind` is "leaf", "tuple", "dict" or "named"."""

    kind: str = "leaf"
    keys: tuple[Any, ...] = ()  #: Names of a dict's or named tuple's parts; () otherwise.
    parts: tuple[Structure, ...] = ()
    type: str = ""  #: "module:qualified name" of a named tuple's class.

    @property
    def size(self) -> int:
        """How many components there are."""
        return 1 if self.kind == "leaf" else sum(part.size for part in self.parts)

    def pack(self, components: Sequence[Any]) -> Element:
        """The element that has these components, in order."""
        return self._take(iter(components))

    def _take(self, components: Iterator[Any]) -> Element:
        if self.kind == "leaf":
            return next(components)
        values = [part._take(components) for part in self.parts]
        if self.kind == "tuple":
            return tuple(values)
        if self.kind == "dict":
            return dict(zip(self.keys, values, strict=True))
        return _named_class(self.type, self.keys)(*values)

    def names(self, prefix: str = "") -> list[str]:
        """What to call each component in an error: "0", "image", "1.boxes"."""
        if self.kind == "leaf":
            return [prefix or "0"]
        keys = self.keys or tuple(range(len(self.parts)))
        return [
            name
            for key, part in zip(keys, self.parts, strict=True)
            for name in part.names(f"{prefix}.{key}" if prefix else str(key))
        ]

    def to_data(self) -> list[Any]:
        """As plain lists, for a message."""
        return [self.kind, list(self.keys), [part.to_data() for part in self.parts], self.type]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> Structure:
        """Back from `to_data`."""
        kind, keys, parts, type_ = data
        return cls(kind, tuple(keys), tuple(cls.from_data(part) for part in parts), type_)


LEAF = Structure()


@lru_cache(maxsize=256)
def _named_class(name: str, fields: tuple[str, ...]) -> Any:
    """The named tuple's own class where this process has it, else one just like it."""
    module, _, qualified = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, tuple) and getattr(found, "_fields", None) == fields:
        return found
    return namedtuple(qualified.rpartition(".")[2], fields)  # noqa: PYI024  (its fields are known only now)


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def flatten(value: Element) -> tuple[list[Any], Structure]:
    """Components, as arrays or `bytes`, and how they nest.

    Python integers become int32 (int64 where they do not fit), floats float32, text UTF-8 bytes.
    Dict keys are taken in sorted order. A list is stacked to one array.

    Raises:
        InvalidArgumentError: None, or a value that is no number, text or array.

    >>> flatten({"b": (1, 2.0), "a": "x"})[0]
    [b'x', np.int32(1), np.float32(2.0)]
    """
    components: list[Any] = []
    structure = _walk(value, components, convert=True)
    return components, structure


def flatten_as_is(value: Any) -> tuple[list[Any], Structure]:
    """Like `flatten`, for nestings of other things: specs, shapes, padding values. Leaves are not converted."""
    components: list[Any] = []
    structure = _walk(value, components, convert=False)
    return components, structure


def _walk(value: Any, components: list[Any], convert: bool) -> Structure:
    kind = type(value)
    if kind is tuple or (isinstance(value, tuple) and not _is_named(value)):
        return Structure("tuple", (), tuple(_walk(each, components, convert) for each in value))
    if isinstance(value, dict):
        keys = tuple(sorted(value))
        return Structure("dict", keys, tuple(_walk(value[key], components, convert) for key in keys))
    if _is_named(value):
        parts = tuple(_walk(each, components, convert) for each in value)
        return Structure("named", value._fields, parts, f"{kind.__module__}:{kind.__qualname__}")
    components.append(as_component(value) if convert else value)
    return LEAF


def as_component(value: Any) -> Any:
    """One component in its canonical form: `bytes`, a NumPy scalar, or an array (of objects that are `bytes`)."""
    kind = type(value)
    if kind is np.ndarray:
        return value if value.dtype.kind in "biufc" else _strings(value)
    if kind is bytes:
        return value
    if kind is bool:
        return np.bool_(value)
    if kind is int:
        return np.int32(value) if _INT32.min <= value <= _INT32.max else np.int64(value)
    if kind is float:
        return np.float32(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value
    if value is None:
        raise InvalidArgumentError("None is no element: return a value, and use filter to leave elements out")
    return _array(value)


def _array(value: Any) -> Any:
    if isinstance(value, np.generic | bytes | bytearray | memoryview):
        return bytes(value)
    array = np.asarray(value)
    if isinstance(value, list):
        array = _narrow(value, array)
    if array.dtype.kind not in "biufcSUO":
        raise InvalidArgumentError(f"{type(value).__name__} is no component: use numbers, text, arrays or lists of them")
    return array if array.dtype.kind in "biufc" else _strings(array)


def _narrow(value: list[Any], array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Lists of Python numbers become int32 or float32, as in tf.data; lists that hold NumPy values keep their dtype."""
    leaf: Any = value
    while isinstance(leaf, list | tuple) and len(leaf):
        leaf = leaf[0]
    if isinstance(leaf, np.generic | np.ndarray):
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64 and (not array.size or (array.min() >= _INT32.min and array.max() <= _INT32.max)):
        return array.astype(np.int32)
    return array


def _strings(array: np.ndarray[Any, Any]) -> Any:
    if array.shape == ():
        return as_component(array.item())
    out = np.empty(array.shape, object)
    flat = out.reshape(-1)
    for i, each in enumerate(array.reshape(-1)):
        if isinstance(each, str):
            each = each.encode()
        if not isinstance(each, bytes):
            raise InvalidArgumentError(f"an array of objects may hold only text, not {type(each).__name__}")
        flat[i] = bytes(each)
    return out


def restack(value: Any) -> Any:
    """What a function returned: a list at the top is a tuple of components, as in tf.data."""
    return tuple(value) if type(value) is list else value
