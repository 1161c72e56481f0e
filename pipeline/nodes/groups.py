"""What makes one element of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..spec import DType
from ..structure import Structure
from .node import Node

__all__ = ["Batch", "PaddedBatch", "RaggedBatch", "Rebatch", "SparseBatch"]


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


@dataclass(frozen=True, slots=True, eq=False)
class RaggedBatch(Node):
    """`size` elements of unequal shapes as the rows of RaggedTensors.

    `ranks` are one entry a component, how many of its dimensions vary; None is all.
    """

    source: Node
    size: int
    drop_remainder: bool
    ranks: tuple[int | None, ...] | None
    splits_dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class SparseBatch(Node):
    """`size` arrays of unequal shapes as the rows, of one shape, of a SparseTensor."""

    source: Node
    size: int
    row_shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Rebatch(Node):
    """Rows of batches in batches of these sizes, in turn."""

    source: Node
    sizes: tuple[int, ...]
    drop_remainder: bool = False
