"""What keeps the elements of its input."""

from __future__ import annotations

from dataclasses import dataclass

from .node import Node

__all__ = ["Cache"]


@dataclass(frozen=True, slots=True, eq=False)
class Cache(Node):
    """The elements that its input gives in its first pass, in every pass and epoch: kept in a file, or in memory."""

    source: Node
    filename: str = ""  #: "" is memory.
