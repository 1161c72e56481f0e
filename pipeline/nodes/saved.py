"""Elements that were written to files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..structure import Structure
from .node import Node

__all__ = ["Decoded"]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded(Node):
    """The elements that records hold (see `element_records`).

    `structure`, `shapes` and `dtypes` say what they are, one entry a component, where it is known without looking.
    """

    source: Node
    structure: Structure | None = None
    shapes: tuple[Any, ...] | None = None
    dtypes: tuple[Any, ...] | None = None
    count: int = -2  #: How many there are, as `cardinality` says it, where the records themselves do not tell.
