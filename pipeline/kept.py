"""Kept parsers: each specification is compiled once, however often a function is called with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

__all__ = ["kept_parser"]

#: The dicts that make up one specification.
Specification: TypeAlias = tuple[Mapping[str, Any], ...]

#: Parsers by the identity of the dicts that they were made from, which are kept so that their ids stay their own, with
#: their content then, since a dict can change.
_PARSERS: dict[tuple[int, ...], tuple[Specification, tuple[Any, ...], Any]] = {}

#: The most parsers that are kept.
PARSERS_KEPT = 128


def kept_parser(specification: Specification, make: Callable[[], Any]) -> Any:
    """The parser for a specification: the one that was made before, or what `make` makes now."""
    key = tuple(map(id, specification))
    kept = _PARSERS.get(key)
    if kept is not None and kept[1] == _content(specification):
        return kept[2]
    fresh = make()  # first, since it says what is wrong with the dicts
    content = _content(specification)
    # A function that writes its dict anew in every call finds the parser by content.
    parser = next((each for _, known, each in list(_PARSERS.values()) if known == content), fresh)
    if len(_PARSERS) >= PARSERS_KEPT:
        _PARSERS.clear()
    _PARSERS[key] = specification, content, parser
    return parser


def _content(specification: Specification) -> tuple[Any, ...]:
    return tuple(tuple(each.items()) for each in specification)
