"""What is told of each element beside it by a function, and the operators that look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..functions import UserFunction
from ..structure import Structure
from .node import Node

__all__ = ["Bucket", "Resample", "Tagged", "TakeWhile"]


@dataclass(frozen=True, slots=True, eq=False)
class Tagged(Node):
    """The same elements, each with one more number beside it, which a function gives (see `tags` for the kinds)."""

    source: Node
    function: UserFunction
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class TakeWhile(Node):
    """The elements before the first whose tag, a predicate's, is false."""

    source: Node


@dataclass(frozen=True, slots=True, eq=False)
class Bucket(Node):
    """Batches of elements of about one length, which is their tag; bucket k holds lengths below `boundaries[k]`.

    `shapes` and `values` are those of a PaddedBatch. With `to_boundary`, what is padded to the longest otherwise is
    padded to the longest length that the bucket can hold.
    """

    source: Node
    boundaries: tuple[int, ...]
    sizes: tuple[int, ...]
    shapes: tuple[tuple[int | None, ...], ...] | None = None
    values: tuple[Any, ...] | None = None
    shapes_nest: Structure | None = None
    values_nest: Structure | None = None
    to_boundary: bool = False
    stacked: bool = False  #: Whether nothing is padded.
    drop_remainder: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Resample(Node):
    """Pairs of an element's class, its tag, and the element; so many are left out that classes come as `target` says.

    `initial` says how they come, in float64, one entry a class, as `target` is; None where that is to be estimated.
    """

    source: Node
    target: tuple[Any, ...]
    initial: tuple[Any, ...] | None = None
    seed: int | None = None
