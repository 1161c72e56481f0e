"""The graph as a message: nodes as plain data, functions and arrays as blobs.

A server decodes the outline alone: it never unpickles a function nor reads an array.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgpack
import numpy as np

from . import nodes, spec
from .blobs import Blobs, Kept, outline
from .columns import dtype_named
from .errors import FailedPreconditionError, FunctionError, HeadraceError, InvalidArgumentError, MalformedMessage
from .functions import UserFunction, load_function, load_named, ship_function
from .mapped import MappedArray
from .nodes import Node
from .spec import as_dtype, dtype_name
from .structure import Structure
from .validity import fault, misplaced

__all__ = ["blobs_in", "decode_outline", "decode_whole", "encode"]

_KINDS: dict[str, type[Node]] = {
    name: kind
    for name, kind in vars(nodes).items()
    if isinstance(kind, type) and issubclass(kind, Node) and kind is not Node
}
#: Begins what stands in the place of a function's digest where it is named as MODULE:FUNCTION, and no code travels.
_NAMED = ":"
#: How many operators may lie on one another; each takes three levels of MessagePack, which writes 511 of them.
HEIGHT = 128
#: The types of each node's fields.
_HINTS = {name: get_type_hints(kind, vars(spec) | vars(sys.modules[kind.__module__])) for name, kind in _KINDS.items()}


def encode(node: Node, blobs: Kept) -> bytes:
    """A resolved graph as bytes; its functions and arrays are put among the blobs.

    Raises:
        InvalidArgumentError: a function that cannot be pickled, or more operators on one another than can travel.
        ResourceExhaustedError: an array over the budget.
    """
    if node.height > HEIGHT:
        raise InvalidArgumentError(
            f"{node.height} operators on one another, {HEIGHT} are the most: do more in each function"
        )
    return bytes(msgpack.packb(_node_data(node, blobs)))


def _node_data(node: Node, blobs: Kept) -> list[Any]:
    return [type(node).__name__, {f.name: _value_data(getattr(node, f.name), blobs) for f in fields(node)}]


def _value_data(value: Any, blobs: Kept) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case Node():
            return {"node": _node_data(value, blobs)}
        case UserFunction():
            digest = _NAMED + value.named if value.named else blobs.put(ship_function(value.call))
            return {"function": [digest, value.name, value.wants_rng]}
        case Structure():
            return {"structure": value.to_data()}
        case MappedArray():
            return {"mapped": value.to_data()}
        case np.ndarray():
            return {"array": blobs.put_array(value)}
        case np.generic():
            return {"scalar": [value.dtype.str, value.tobytes()]}
        case bytes():
            return {"bytes": value}
        case (Node(), *_):  # a list, because that nests no deeper than a node alone
            return [_node_data(each, blobs) for each in value]
        case tuple():
            return {"tuple": [_value_data(each, blobs) for each in value]}
    return {"dtype": "bytes" if value is bytes else dtype_name(value)}


def decode_whole(data: bytes, blobs: Blobs) -> Node:
    """The graph with its functions and arrays, for a worker. A function that cannot be loaded fails when called."""
    return _decode(data, lambda found: _load(found, blobs), blobs.get_array)


def decode_outline(data: bytes) -> Node:
    """The graph without what its functions do and its arrays hold, for planning.

    Raises:
        MalformedMessage: what is no graph.
    """
    return _decode(data, _stub, outline)


def blobs_in(data: bytes) -> list[str]:
    """The names of all functions and arrays of an encoded graph.

    Raises:
        MalformedMessage: what is no graph.
    """
    found: dict[str, None] = {}

    def seen(named: Any) -> str:
        digest = named[0]
        if isinstance(digest, str) and digest.startswith(_NAMED):
            return digest
        if not Blobs.is_name(digest):
            raise MalformedMessage(f"a blob cannot be named {digest!r}")
        found[digest] = None
        return str(digest)

    def function(named: Any) -> UserFunction:
        seen(named)
        return _stub(named)

    def array(named: Any) -> Any:
        seen(named)
        return outline(named)

    _decode(data, function, array)
    return list(found)


def _decode(data: bytes, function: Callable[[Any], UserFunction], array: Callable[[Any], Any]) -> Node:
    try:
        node = _node(msgpack.unpackb(data), function, array)
        if node.height > HEIGHT:
            raise MalformedMessage(f"a graph of {node.height} operators on one another: {HEIGHT} are the most")
    except HeadraceError:
        raise
    except Exception as error:
        raise MalformedMessage(f"not a graph: {type(error).__name__}: {error}") from error
    return node


def _node(data: Any, function: Callable[[Any], UserFunction], array: Callable[[Any], Any]) -> Node:
    name, values = data
    given = {key: _value(value, function, array) for key, value in values.items()}
    for key, value in given.items():
        if not _fits(value, _HINTS[name][key]):
            raise MalformedMessage(f"a {name} whose {key} is {type(value).__name__}")
    node = _KINDS[name](**given)
    if (why := fault(node) or misplaced(node)) is not None:
        raise MalformedMessage(f"a {name} with {why}")
    return node


def _fits(value: Any, hint: Any) -> bool:
    """Whether a field may have this value."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or origin in (types.UnionType, Union):
        return hint is Any or any(_fits(value, each) for each in inner)
    if origin is tuple:
        some = inner[0] is not Node or value != ()  # no operator is a junction of nothing
        return isinstance(value, tuple) and some and all(_fits(each, inner[0]) for each in value)
    if hint is int:
        return type(value) is int  # and no bool
    return value is bytes if origin is type else isinstance(value, origin or hint)


def _value(data: Any, function: Callable[[Any], UserFunction], array: Callable[[Any], Any]) -> Any:
    if isinstance(data, list):
        return tuple(_node(each, function, array) for each in data)
    if not isinstance(data, dict):
        return data
    ((kind, value),) = data.items()
    match kind:
        case "node":
            return _node(value, function, array)
        case "function":
            digest, name, wants_rng = value
            if not isinstance(digest, str) or not isinstance(name, str) or not isinstance(wants_rng, bool):
                raise MalformedMessage("a function that is none")
            return function(value)
        case "structure":
            return Structure.from_data(value)
        case "array":
            return array(value)
        case "mapped":
            return MappedArray.from_data(value)
        case "scalar":
            return _scalar(*value)
        case "bytes":
            return value
        case "tuple":
            return tuple(_value(each, function, array) for each in value)
        case "dtype" if isinstance(value, str) and len(value) < 20:  # NumPy reads whole programs
            return as_dtype(value)
    raise MalformedMessage(f"a graph with a {kind!r}")


def _scalar(name: str, data: bytes) -> Any:
    dtype = dtype_named(name)
    if dtype is bytes or len(data) != np.dtype(dtype).itemsize:
        raise MalformedMessage(f"a number of {name!r} in {len(data)} bytes")
    return np.frombuffer(data, dtype)[0]


def _load(found: Any, blobs: Blobs) -> UserFunction:
    digest, name, wants_rng = found
    try:
        if digest.startswith(_NAMED):
            named = digest.removeprefix(_NAMED)
            return UserFunction(load_named(named), name, wants_rng, named)
        return UserFunction(load_function(bytes(blobs.get(digest))), name, wants_rng)
    except Exception as error:
        reason = f"it cannot be loaded here: {type(error).__name__}: {error}"
        return UserFunction(_failing(FunctionError(name, reason)), name, False)


def _stub(found: Any) -> UserFunction:
    error = FailedPreconditionError("a server runs no function: this is a mistake in headrace")
    digest, name, wants_rng = found
    named = digest.removeprefix(_NAMED) if digest.startswith(_NAMED) else ""
    return UserFunction(_failing(error), name, wants_rng, named)


def _failing(error: HeadraceError) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise error

    return fail
