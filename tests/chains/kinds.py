"""Kinds of elements: as much as must be known of them to put operators behind a chain that fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["NUMBER", "TEXT", "Kind", "Leaf", "Nest", "leaves", "over"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One component; None in a shape is a length that varies, and the dtype "dataset" one that is a dataset."""

    dtype: str
    shape: tuple[int | None, ...] = ()

    @property
    def fixed(self) -> bool:
        """Whether all elements have one shape."""
        return None not in self.shape and self.dtype != "dataset"


@dataclass(frozen=True, slots=True)
class Nest:
    """Parts that nest: a "tuple", a "dict", or a named tuple."""

    form: str
    parts: tuple[Any, ...]
    keys: tuple[str, ...] = ()


Kind = Leaf | Nest

NUMBER = Leaf("int64")
TEXT = Leaf("bytes")


def leaves(kind: Kind) -> Iterator[Leaf]:
    """The components, in order."""
    if isinstance(kind, Leaf):
        yield kind
    else:
        for part in kind.parts:
            yield from leaves(part)


def over(kind: Kind, change: Callable[[Leaf], Kind]) -> Kind:
    """The same nesting of changed components."""
    if isinstance(kind, Leaf):
        return change(kind)
    return Nest(kind.form, tuple(over(part, change) for part in kind.parts), kind.keys)
