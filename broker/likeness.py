"""Likeness: whether two registered graphs are of one pipeline, told from their outlines, and where they differ."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgpack

from ..pipeline.errors import MalformedMessage

__all__ = ["difference"]

#: An operator and what it was given, but for its inputs and the code of its function.
_Operator: TypeAlias = "tuple[str, dict[str, Any]]"
#: Arguments that change no element, or that are compared by themselves: where a client runs, buffers, the seed.
_SILENT = frozenset({"folder", "buffer_bytes", "error_budget", "log_warning", "seed of Configured", "size of Prefetch"})


def difference(one: bytes, other: bytes) -> str | None:
    """The first operator in which two encoded graphs differ, from the last one down; None where they are alike.

    Functions are known by their names alone: two processes may pickle the same one differently.

    Raises:
        MalformedMessage: what is no graph.
    """
    if one == other:
        return None
    first, second = _operators(one), _operators(other)
    for (kind, given), (other_kind, other_given) in zip(first, second, strict=False):
        if (kind, given) != (other_kind, other_given):
            return f"{_words(kind, given, other_given)} in one, {_words(other_kind, other_given, given)} in the other"
    return None if len(first) == len(second) else f"{len(first)} operators in one, {len(second)} in the other"


def _operators(data: bytes) -> list[_Operator]:
    """From the end of a graph to its leaves."""
    found: list[_Operator] = []
    try:
        _walk(msgpack.unpackb(data), found)
    except (ValueError, TypeError, AttributeError, msgpack.UnpackException) as error:
        raise MalformedMessage(f"not a graph: {type(error).__name__}: {error}") from error
    return [(kind, given) for kind, given in found if kind != "Prefetch" and (kind != "Configured" or given)]


def _walk(node: Any, found: list[_Operator]) -> None:
    kind, fields = node
    given: dict[str, Any] = {}
    found.append((kind, given))
    for name, value in fields.items():
        if isinstance(value, dict) and "node" in value:
            _walk(value["node"], found)
        elif isinstance(value, list):  # of nodes, for an operator with several inputs
            for each in value:
                _walk(each, found)
            given[name] = len(value)
        elif name not in _SILENT and f"{name} of {kind}" not in _SILENT and value is not None:
            given[name] = _without_code(value)


def _without_code(value: Any) -> Any:
    if isinstance(value, dict) and "function" in value:
        return {"function": value["function"][1:]}
    return value


def _words(kind: str, given: dict[str, Any], other: dict[str, Any]) -> str:
    """An operator, and of its arguments those that are not as the other's."""
    differing = {name: value for name, value in given.items() if other.get(name) != value}
    shown = (f"{name}={_shown(value)}" for name, value in differing.items())
    return f"{kind}({', '.join(shown)})"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        kind, held = next(iter(value.items()))
        return str(held[0]) if kind == "function" else f"another {kind}"
    return repr(value)[:80]
