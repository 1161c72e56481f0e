"""Enumerate: each element behind its number."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..blocks import Block
from ..store import Handles
from ..structure import Structure
from .protocol import NOTHING, Failed, Find, Keep, Pulled, State, Unary

__all__ = ["EnumerateOperator"]

_PAIR = Structure("tuple", (), (Structure(), Structure()))


@dataclass(slots=True)
class EnumerateOperator(Unary):
    """A failed element takes its number along, so that the others' numbers do not depend on who fails."""

    number: int
    rest: Handles = field(default_factory=lambda: NOTHING)  #: What came with the last ones and is of another structure.

    @property
    def held(self) -> Handles:
        return self.rest

    def pull(self, limit: int) -> Pulled:
        got = self.rest if len(self.rest) else self.source.pull(limit)
        if isinstance(got, Failed):
            self.number += 1
        if not isinstance(got, np.ndarray):
            return got
        count = self.store.together(got[:limit])
        got, self.rest = got[:count], got[count:]
        return self._numbered(got)

    def _numbered(self, got: Handles) -> Handles:
        numbers = self.number + np.arange(len(got), dtype=np.int64)
        self.number += len(got)
        return self.store.join(_PAIR, [Block.of_numbers(numbers), got])

    def own_state(self, keep: Keep) -> State:
        return {"number": self.number, "rest": keep(self.rest)}

    def set_own_state(self, state: State, find: Find) -> None:
        self.number, self.rest = state["number"], find(state["rest"])
