"""Nesting of elements: tuples, named tuples and dicts over components.

An element is a nesting whose leaves, its components, are NumPy arrays, NumPy scalars or `bytes`.
`flatten` takes it apart into components and a `Structure`; `Structure.pack` puts it together again.
A structure is plain data, so that it travels in messages.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from keyword import iskeyword
from typing import Any
from unicodedata import normalize

import numpy as np

from .errors import InvalidArgumentError, MalformedMessage

__all__ = [
    "DATASET",
    "LEAF",
    "Element",
    "Structure",
    "as_component",
    "flat_tuple",
    "flatten",
    "flatten_as_is",
    "restack",
]

Element = Any
#: What is a component as it stands.
_PLAIN = frozenset([bytes, *(np.dtype(code).type for code in "?bhilqBHILQefdgFDG")])
_INT32 = np.iinfo(np.int32)
#: No element nests further than this.
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Structure:
    """How components nest. `kind` is "leaf", "dataset" (a leaf, too: see `nested`), "tuple", "dict" or "named"."""

    kind: str = "leaf"
    keys: tuple[Any, ...] = ()  #: Names of a dict's or named tuple's parts; () otherwise.
    parts: tuple[Structure, ...] = ()
    type: str = ""  #: "module:qualified name" of a named tuple's class.

    @property
    def size(self) -> int:
        """How many components there are."""
        return 1 if self.kind in _LEAVES else sum(part.size for part in self.parts)

    def leaves(self) -> Iterator[Structure]:
        """What stands for each component, in order."""
        if self.kind in _LEAVES:
            yield self
        for part in self.parts:
            yield from part.leaves()

    @property
    def plain(self) -> Structure:
        """The same nesting of other things than elements, none of which is a dataset."""
        return self.over([LEAF] * self.size)

    def pack(self, components: Sequence[Any]) -> Element:
        """The element that has these components, in order."""
        return self._take(iter(components))

    def _take(self, components: Iterator[Any]) -> Element:
        if self.kind == "leaf":
            return next(components)
        if self.kind == "dataset":
            from .nested import opened  # which needs blocks, which need structures

            return opened(next(components))
        values = [part._take(components) for part in self.parts]
        if self.kind == "tuple":
            return tuple(values)
        if self.kind == "dict":
            return dict(zip(self.keys, values, strict=True))
        return _named_class(self.type, self.keys)(*values)

    def over(self, parts: Sequence[Structure]) -> Structure:
        """This nesting with a structure in place of each leaf, in order.

        >>> flatten_as_is((0, {"a": 1}))[1].over([flatten_as_is((0, 1))[1], Structure()]).names()
        ['0.0', '0.1', '1.a']
        """
        return self._over(iter(parts))

    def _over(self, parts: Iterator[Structure]) -> Structure:
        if self.kind in _LEAVES:
            return next(parts)
        return _nested(self.kind, self.keys, tuple([part._over(parts) for part in self.parts]), self.type)

    def packer(self) -> Callable[[Sequence[Any]], Element]:
        """`pack`, for many elements of this structure."""
        if self.kind == "leaf":
            return _first
        if all(part.kind == "leaf" for part in self.parts):
            if self.kind == "tuple":
                return tuple
            if self.kind == "dict":
                return lambda components: dict(zip(self.keys, components, strict=True))
        return self.pack

    def names(self, prefix: str = "") -> list[str]:
        """What to call each component in an error: "0", "image", "1.boxes"."""
        if self.kind in _LEAVES:
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
        """Back from `to_data`; MalformedMessage for what cannot be."""
        try:
            return cls._from_data(data, _DEEPEST)
        except (TypeError, ValueError) as error:
            raise MalformedMessage(f"a structure that is none: {error}") from error

    @classmethod
    def _from_data(cls, data: Sequence[Any], depth: int) -> Structure:
        if depth < 0:
            raise ValueError(f"it nests deeper than {_DEEPEST}")
        kind, keys, parts, type_ = data
        found = cls(kind, tuple(keys), tuple(cls._from_data(part, depth - 1) for part in parts), type_)
        both = (len(parts), len(parts))
        counts = {"leaf": (0, 0), "dataset": (0, 0), "tuple": (0, len(parts)), "dict": both, "named": both}
        if counts.get(kind) != (len(found.keys), len(found.parts)):
            raise ValueError(f"kind {kind!r} with {len(found.keys)} keys and {len(found.parts)} parts")
        if not isinstance(type_, str) or not all(isinstance(key, str | int) for key in found.keys):
            raise TypeError("names that are no text")
        return found


LEAF = Structure()
DATASET = Structure("dataset")
_LEAVES = ("leaf", "dataset")


def _first(components: Sequence[Any]) -> Any:
    return components[0]


@lru_cache(maxsize=256)
def _named_class(name: str, fields: tuple[str, ...]) -> Any:
    """The named tuple's own class where this process has it, else one just like it."""
    module, _, qualified = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        found = getattr(found, "__dict__", {}).get(part)  # not getattr: a name from elsewhere is to run nothing
    if isinstance(found, type) and issubclass(found, tuple) and getattr(found, "_fields", None) == fields:
        return found
    own = _identifier(qualified.rpartition(".")[2])
    known = own if own.isidentifier() and not iskeyword(own) else "Element"
    return namedtuple(known, [_identifier(each) for each in fields], rename=True)


def _identifier(name: object) -> str:
    """As Python reads it: names that look different may be the same."""
    return normalize("NFKC", str(name))


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
    if kind in _PLAIN or not isinstance(value, tuple | dict):
        if convert and kind is not np.ndarray and hasattr(value, "node"):
            from .nested import content_of  # which needs blocks, which need structures

            components.append(content_of(value.node))
            return DATASET
        components.append(as_component(value) if convert else value)
        return LEAF
    if isinstance(value, dict):
        keys = _keys(value)
        return _nested("dict", keys, tuple([_walk(value[key], components, convert) for key in keys]), "")
    parts = tuple([_walk(each, components, convert) for each in value])
    if kind is tuple or not hasattr(value, "_fields"):
        return _nested("tuple", (), parts, "")
    return _nested("named", value._fields, parts, f"{kind.__module__}:{kind.__qualname__}")


def _nested(kind: str, keys: tuple[Any, ...], parts: tuple[Structure, ...], name: str) -> Structure:
    # Most elements nest once; one object for all of them is compared by identity.
    if all(part is LEAF for part in parts):
        return _flat(kind, keys, len(parts), name)
    return Structure(kind, keys, parts, name)


@lru_cache(maxsize=256)
def _flat(kind: str, keys: tuple[Any, ...], size: int, name: str) -> Structure:
    return Structure(kind, keys, (LEAF,) * size, name)


def flat_tuple(size: int) -> Structure:
    """A tuple of so many components.

    >>> flat_tuple(2).pack([1, 2])
    (1, 2)
    """
    return _flat("tuple", (), size, "")


def _keys(value: dict[Any, Any]) -> tuple[Any, ...]:
    """Sorted keys; text or integers, because they travel in messages and name components."""
    for kind in (str, int):
        if all(isinstance(key, kind) for key in value):
            return tuple(sorted(value))
    raise InvalidArgumentError(f"the keys of a dict must be all text or all integers, not {list(value)!r}")


def as_component(value: Any) -> Any:
    """One component in its canonical form: `bytes`, a NumPy scalar, or an array (of objects that are `bytes`)."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is np.ndarray:
        return _numbers(value) if value.dtype.kind in "biufc" else _strings(value)
    if kind is bool:
        return np.bool_(value)
    if kind is int:
        return _integer(value)
    if kind is float:
        return np.float32(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value
    if value is None:
        raise InvalidArgumentError("None is no element: return a value, and use filter to leave elements out")
    return _array(value)


def _numbers(array: np.ndarray[Any, Any]) -> Any:
    """In the machine's byte order, and a scalar where there is one number alone."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array if array.ndim else array[()]


def _integer(value: int) -> Any:
    if _INT32.min <= value <= _INT32.max:
        return np.int32(value)
    try:
        return np.int64(value)
    except OverflowError:
        raise InvalidArgumentError(f"{value} does not fit into 64 bits: use np.uint64, a float or text") from None


def _array(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists of unequal lengths
        raise InvalidArgumentError(f"a {type(value).__name__} that is no array: {error}. Use tuples to nest") from error
    if isinstance(value, list):
        array = _narrow(value, array)
    if array.dtype.kind not in "biufcSUO" or (array.shape == () and array.dtype.kind == "O"):
        raise InvalidArgumentError(
            f"{type(value).__name__} is no component: use numbers, text, arrays or lists of them"
        )
    return _numbers(array) if array.dtype.kind in "biufc" else _strings(array)


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
        item = array.item()
        if not isinstance(item, str | bytes):
            raise InvalidArgumentError(f"an array of {array.dtype} is no component: use numbers or text")
        return as_component(item)
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
