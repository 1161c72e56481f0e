"""What makes one element of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..structure import Structure
from .node import Node

__all__ = ["Batch", "PaddedBatch"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch(Node):
    """`size` elements stacked to one."""

    source: Node
    size: int
    drop_remainder: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PaddedBatch(Node):
    """`size` elements of unequal shapes padded and stacked to one.

    `shapes` and `values` are one entry a component; None for `shapes` pads every dimension to the longest.
    """

    source: Node
    size: int
    drop_remainder: bool = False
    shapes: tuple[tuple[int | None, ...], ...] | None = None
    values: tuple[Any, ...] | None = None
    shapes_nest: Structure | None = None  #: How `shapes` nest, and `values`.
    values_nest: Structure | None = None
