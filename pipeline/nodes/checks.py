"""What is remembered of all elements that came."""

from __future__ import annotations

from dataclasses import dataclass

from .node import Node

__all__ = ["AssertCardinality", "Unique"]


@dataclass(frozen=True, slots=True, eq=False)
class Unique(Node):
    """Each value once, where it comes first."""

    source: Node


@dataclass(frozen=True, slots=True, eq=False)
class AssertCardinality(Node):
    """The same elements, of which there must be so many; -1 is no end."""

    source: Node
    count: int
