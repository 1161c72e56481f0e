"""Deferred calls: what a pipeline with placeholders is made of, until their values are known.

A method of Dataset, or the class of a source, that is given a placeholder is not called. A node of its own keeps the
call; binding makes it with the values, so that every argument of every method may be a placeholder, and is checked
as ever. No other part of headrace knows of placeholders, and none travels: a graph that has some cannot be resolved.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from .errors import FailedPreconditionError, InvalidArgumentError
from .language.chapter import Chapter
from .nodes.node import Node
from .placeholder import Placeholder

__all__ = ["Deferred", "bound", "check_bound", "deferring", "has_placeholder", "placeholders_of", "values_of"]

C = TypeVar("C", bound=type[Chapter])


@dataclass(frozen=True, slots=True, eq=False)
class Deferred(Node):
    """A call that gives a dataset. The dataset that a method is called on is the first of its arguments."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    given: dict[str, Any]  #: By keyword.

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes of the datasets among its arguments."""
        return tuple(_nodes((self.args, self.given)))


def _nodes(value: Any) -> Iterator[Node]:
    match value:
        case Chapter():
            yield value.node
        case dict():
            yield from _nodes(tuple(value.values()))
        case tuple() | list():
            for each in value:
                yield from _nodes(each)


def deferring(kind: C) -> C:
    """A class of datasets, whose methods that give a dataset take placeholders, but for the one that binds them."""
    for name, found in inspect.getmembers_static(kind):
        function = found.__func__ if isinstance(found, classmethod) else found
        gives = getattr(function, "__annotations__", {}).get("return")
        if gives == "Dataset" and not name.startswith("_") and name != "bind":
            able = _deferring(function)
            setattr(kind, name, classmethod(able) if isinstance(found, classmethod) else able)
    return kind


def _deferring(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def able(on: Any, *args: Any, **given: Any) -> Any:
        """`on` is a dataset, or the class."""
        if has_placeholder(args) or has_placeholder(given):
            return on._made(Deferred(method, (on, *args), given))
        return method(on, *args, **given)

    return able


def has_placeholder(value: Any) -> bool:
    """Whether a value is a placeholder, or a nesting that holds one."""
    if isinstance(value, tuple | list):
        kinds = set(map(type, value))  # of a long list the quick way
        return any(issubclass(kind, _NESTS) for kind in kinds) and any(map(has_placeholder, value))
    if isinstance(value, dict):
        return any(map(has_placeholder, value.values()))
    return isinstance(value, Placeholder)


_NESTS = (Placeholder, tuple, list, dict)


def placeholders_of(node: Node) -> dict[str, Placeholder]:
    """The placeholders of a graph, by name, from its leaves to its end.

    Raises:
        InvalidArgumentError: two of one name.
    """
    found: dict[str, Placeholder] = {}
    for each in _placeholders(node):
        if found.setdefault(each.name, each) is not each:
            raise InvalidArgumentError(f"two placeholders of one pipeline are called {each.name!r}: rename one")
    return found


def _placeholders(value: Any) -> Iterator[Placeholder]:
    match value:
        case Placeholder():
            yield value
        case Chapter():
            yield from _placeholders(value.node)
        case Deferred():
            yield from _placeholders((value.args, value.given))
        case Node():
            yield from _placeholders(value.inputs)
        case dict():
            yield from _placeholders(tuple(value.values()))
        case tuple() | list():
            for each in value:
                yield from _placeholders(each)


def check_bound(node: Node) -> None:
    """Refuse a graph that cannot be run yet.

    Raises:
        FailedPreconditionError: it has placeholders, and which.
    """
    if waiting := placeholders_of(node):
        raise FailedPreconditionError(
            f"the dataset has placeholders without a value: {', '.join(each.told for each in waiting.values())}. "
            "Use make_initializable_iterator() and its initialize(), or bind()"
        )


def values_of(node: Node, by_name: Mapping[Any, Any]) -> dict[Placeholder, Any]:
    """The value of each placeholder of a graph, from values by its name or by the placeholder itself.

    Raises:
        InvalidArgumentError: one has no value, or a value has no placeholder.
        MismatchError: a value of another dtype or shape.
    """
    known = placeholders_of(node)
    named = {key.name if isinstance(key, Placeholder) else key: value for key, value in by_name.items()}
    told = ", ".join(each.told for each in known.values()) or "none"
    for name in named:
        if name not in known:
            raise InvalidArgumentError(f"the dataset has no placeholder {name!r}; its placeholders are: {told}")
    if missing := [each.told for name, each in known.items() if name not in named]:
        raise InvalidArgumentError(f"placeholders without a value: {', '.join(missing)}")
    return {each: each.taken(named[name]) for name, each in known.items()}


def bound(node: Node, values: Mapping[Placeholder, Any]) -> Node:
    """The graph with its calls made, with these values.

    Raises:
        InvalidArgumentError: as the methods raise it for such an argument.
    """
    if not isinstance(node, Deferred):
        return node.with_inputs(lambda each: bound(each, values))
    made: Chapter = node.call(*_filled(node.args, values), **_filled(node.given, values))
    return made.node


def _filled(value: Any, values: Mapping[Placeholder, Any]) -> Any:
    match value:
        case Placeholder():
            return values[value]
        case Chapter():
            return value._made(bound(value.node, values))
        case dict():
            return {key: _filled(each, values) for key, each in value.items()}
        case tuple() if hasattr(value, "_fields"):
            return type(value)(*(_filled(each, values) for each in value))
        case tuple() | list():
            return type(value)(_filled(each, values) for each in value)
    return value
