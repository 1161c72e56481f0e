"""Some elements of a dataset as a dataset of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..columns import Array
from ..structure import Structure
from .node import Node

__all__ = ["Elements", "Window", "WindowByKey"]


@dataclass(frozen=True, slots=True, eq=False)
class Elements(Node):
    """The elements of a block (see `blocks`), of which `columns` are the layouts, and `buffer` holds the content."""

    structure: Structure
    rows: int
    columns: tuple[Any, ...]
    buffer: Array


@dataclass(frozen=True, slots=True, eq=False)
class Window(Node):
    """Datasets of the components of `size` elements, `stride` apart; each begins `shift` behind the one before."""

    source: Node
    size: int
    shift: int
    stride: int
    drop_remainder: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class WindowByKey(Node):
    """Pairs of a key, the tag, and a dataset of `size` elements that have it; without `size`, that is a second tag."""

    source: Node
    size: int | None = None
