"""Likeness: whether two registered graphs are of one pipeline."""

from __future__ import annotations

from typing import Any

import msgpack

from ..pipeline.errors import MalformedMessage

__all__ = ["alike"]


def alike(one: bytes, other: bytes) -> bool:
    """Whether two encoded graphs are the same but for their functions, which two processes may pickle differently.

    Raises:
        MalformedMessage: what is no graph.
    """
    return one == other or _outline(one) == _outline(other)


def _outline(data: bytes) -> Any:
    try:
        return _without_code(msgpack.unpackb(data))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedMessage(f"not a graph: {type(error).__name__}: {error}") from error


def _without_code(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            key: value[1:] if key == "function" and isinstance(value, list) else _without_code(value)
            for key, value in data.items()
        }
    return [_without_code(each) for each in data] if isinstance(data, list) else data
