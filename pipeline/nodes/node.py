"""A node of the operator graph: frozen data, no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

__all__ = ["Node"]


#: The fields of each kind of node: asked often, of few kinds.
_NAMES: dict[Any, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator and, in its fields, its inputs and arguments."""

    def _links(self) -> Iterator[tuple[str, Node | tuple[Node, ...]]]:
        """The fields that hold its inputs: a node, or a tuple of nodes."""
        kind = type(self)
        names = _NAMES.get(kind) or _NAMES.setdefault(kind, tuple(each.name for each in fields(kind)))
        for name in names:
            value = getattr(self, name)
            if isinstance(value, Node) or (isinstance(value, tuple) and value and isinstance(value[0], Node)):
                yield name, value

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes that it reads from."""
        return tuple(each for _, value in self._links() for each in (value if isinstance(value, tuple) else (value,)))

    @property
    def junction(self) -> bool:
        """Whether branches meet here: its inputs stand in a tuple, however many there are."""
        return any(isinstance(value, tuple) for _, value in self._links())

    def with_inputs(self, change: Callable[[Node], Node]) -> Self:
        """This node over changed inputs; itself when none changed."""
        changed: dict[str, Any] = {}
        for name, old in self._links():
            if isinstance(old, Node):
                new: Any = change(old)
                same = new is old
            else:
                new = tuple(map(change, old))
                same = all(a is b for a, b in zip(old, new, strict=True))
            if not same:
                changed[name] = new
        return replace(self, **changed) if changed else self

    @property
    def height(self) -> int:
        """How many operators lie below it."""
        return max((1 + each.height for each in self.inputs), default=0)
