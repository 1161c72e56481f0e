"""Lineage: of what a joined element was made, so that it can be made again from its parts.

`zip` and `enumerate` put elements side by side. What such elements held in buffers are made of is kept flat, however
often they were joined: a nesting whose leaves stand for parts, and for each part an array with one row an element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .kernels.identity import fold_identities
from .structure import Structure

__all__ = ["Identities", "Lineage"]

#: One row an element: origin (a hash of leaf, passes and outer elements) and offset.
Identities = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Lineage:
    """Parts are identities of elements, uint64 [n, 2], or numbers, int64 [n]."""

    nest: Structure
    parts: tuple[npt.NDArray[np.uint64 | np.int64], ...]
    known: bool = True  #: Whether identities are enough to make the parts again.

    @classmethod
    def of(cls, identities: Identities, known: bool) -> Lineage:
        """Of elements that are not joined."""
        return cls(Structure(), (identities,), known)

    @classmethod
    def beside(cls, nest: Structure, sides: Sequence[Lineage]) -> Lineage:
        """Of elements that are joined, as `nest` says."""
        parts = tuple(part for side in sides for part in side.parts)
        return cls(nest.over([side.nest for side in sides]), parts, all(side.known for side in sides))

    def rows(self, rows: npt.NDArray[np.int64]) -> Lineage:
        """Of some of the elements."""
        return Lineage(self.nest, tuple(part[rows] for part in self.parts), self.known)

    def fits(self, other: Lineage) -> bool:
        """Whether elements of both can be told in one."""
        dimensions = [part.ndim for part in self.parts] == [part.ndim for part in other.parts]
        return dimensions and self.nest == other.nest

    @property
    def identities(self) -> Identities:
        """Who the joined elements are: that of the one element in each, or what all in it and their order make."""
        who = [part for part in self.parts if part.ndim == 2]
        if len(who) == 1:
            return who[0].astype(np.uint64, copy=False)
        beside = np.stack(who, axis=1).reshape(-1, 2).astype(np.uint64, copy=False)
        out = np.empty((len(self.parts[0]), 2), np.uint64)
        fold_identities(beside, len(who), out)
        return out
