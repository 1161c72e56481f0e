"""A spot: where in the data an element stands, said so that it does not depend on how the work was divided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Name", "Spot"]

#: What tells a spot from all others of an epoch: segment, origin, offset, and which within what one gives.
Name: TypeAlias = tuple[tuple[int, ...], int, int, int]


@dataclass(frozen=True, slots=True)
class Spot:
    """An element of a segment's input by its identity, and how much of the input goes with it."""

    segment: tuple[int, ...]  #: The path of the segment's last operator.
    origin: int
    offset: int
    within: int = 0  #: Which of what it gives, where it gives any number of others.
    span: int = 1  #: Input positions; 0 is all that is behind it, as where a file cannot be read on.
    path: str = field(default="", compare=False)  #: The file, where there is one.

    @property
    def name(self) -> Name:
        """What it is told from others by."""
        return self.segment, self.origin, self.offset, self.within
