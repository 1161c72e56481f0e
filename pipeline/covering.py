"""Covering: the specs of all elements that came, as narrow as they can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import InvalidArgumentError
from .probe import specs_of
from .spec import TensorSpec, unify
from .structure import DATASET, Structure

__all__ = ["Covering"]

#: So many kinds of elements are remembered, so that others like them need not be looked at.
MOST_KINDS = 1024


@dataclass(slots=True)
class Covering:
    """The specs that cover all elements so far; None once they have nothing in common.

    >>> covering = Covering()
    >>> for length in (3, 5):
    ...     covering.add([np.zeros((length, 2))], Structure())
    >>> covering.spec
    TensorSpec(shape=(None, 2), dtype=float64)
    """

    specs: list[TensorSpec] | None = None
    structure: Structure | None = None  #: None before the first element.
    seen: set[Any] = field(default_factory=set)

    def add(self, components: Sequence[Any], structure: Structure) -> None:
        """One more element."""
        kind = tuple([(each.dtype, each.shape) if isinstance(each, np.ndarray) else type(each) for each in components])
        if structure is self.structure and kind in self.seen:
            return
        if len(self.seen) < MOST_KINDS and DATASET not in structure.leaves():
            self.seen.add(kind)
        specs = specs_of(components, structure)
        if self.structure is None:
            self.specs, self.structure = specs, structure
        elif self.specs is not None:
            self.specs = _unified(self.specs, specs) if structure == self.structure else None

    @property
    def spec(self) -> Any:
        """Nested like the elements."""
        return None if self.specs is None or self.structure is None else self.structure.plain.pack(self.specs)


def _unified(specs: list[TensorSpec], others: list[TensorSpec]) -> list[TensorSpec] | None:
    try:
        return [unify(a, b) for a, b in zip(specs, others, strict=True)]
    except InvalidArgumentError:
        return None
