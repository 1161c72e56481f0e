"""Batches: elements stacked or padded into one, copied once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import HeadraceError, from_data, to_data
from ..folding import Fold
from ..store import Handles
from .protocol import Failed, Find, Keep, Pulled, Pump, Signal, State, Unary

__all__ = ["BatchOperator"]

#: Small batches are made together, up to about this many bytes at once.
_TOGETHER = 1 << 20


@dataclass(slots=True)
class BatchOperator(Unary):
    """Every `size` elements become one; `fold` says how unequal ones are made equal, if they are.

    An element that fails is raised and left out; the ones before and behind it share a batch.
    """

    size: int
    drop_remainder: bool
    fold: Fold = field(default_factory=Fold)
    waiting: Pump = field(default_factory=Pump)
    ended: bool = False
    failed: Failed | None = None  #: What failed behind full batches that are still to be given.
    together: int = 1  #: How many batches to make at once, learnt from their size.

    @property
    def held(self) -> Handles:
        return self.waiting.peek()

    def pull(self, limit: int) -> Pulled:
        stopped = self._collect(min(limit, self.together) * self.size)
        if stopped is None or self.waiting.count >= self.size:
            return self._make(min(limit, self.together))
        self.failed = None
        return stopped

    def _collect(self, wanted: int) -> Signal | Failed | None:
        """Pull until `wanted` elements wait or the input ends; what came in between, if anything."""
        while self.waiting.count < wanted and not self.ended:
            got = self.failed or self.source.pull(wanted - self.waiting.count)
            if got is Signal.END:
                self.ended = True
            elif isinstance(got, np.ndarray):
                self.waiting.add(got)
            else:
                self.failed = got if isinstance(got, Failed) else None
                return got
        return None

    def _make(self, most: int) -> Pulled:
        batches = min(most, self.waiting.count // self.size)
        if batches:
            return self._stack(self.waiting.take(batches * self.size), self.size)
        if self.drop_remainder:
            self.store.release(self.waiting.take(self.waiting.count))
        if not self.waiting.count:
            return Signal.END
        rest = self.waiting.take(self.waiting.count)
        return self._stack(rest, len(rest))

    def _stack(self, handles: Handles, size: int) -> Pulled:
        if self.fold.alone and len(handles) > size:
            self._put_back(handles[size:])  # each such batch has a length of its own
            handles = handles[:size]
        try:
            made, nbytes = self.fold(self.store, handles, size)
        except HeadraceError as error:
            if len(handles) > size:
                self._put_back(handles)
                self.together = 1
                return self._make(1)
            self.store.release(handles)
            return Failed(error, operator=self.fold.operator)
        if not self.fold.alone:
            self.together = max(1, min(1024, _TOGETHER // max(1, nbytes)))
        return made

    def _put_back(self, handles: Handles) -> None:
        rest = self.waiting.take(self.waiting.count)
        self.waiting.add(handles)
        if len(rest):
            self.waiting.add(rest)

    def own_state(self, keep: Keep) -> State:
        failed = None if self.failed is None else to_data(self.failed.error)
        return {"held": keep(self.held), "ended": self.ended, "failed": failed}

    def set_own_state(self, state: State, find: Find) -> None:
        self.waiting.add(find(state["held"]))
        self.ended = state["ended"]
        self.failed = None if state["failed"] is None else Failed(from_data(state["failed"]))
