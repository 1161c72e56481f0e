"""Rebatch: rows in batches of several sizes, in turn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..blocks import Block
from ..columns import Column
from ..errors import HeadraceError, MalformedMessage
from ..folding import Fold
from ..store import Handles
from ..work import identities
from .protocol import NOTHING, Failed, Find, Keep, Pulled, Pump, Signal, State, Unary

__all__ = ["RebatchOperator"]


@dataclass(slots=True)
class RebatchOperator(Unary):
    """A size of 0 is a batch of no rows, also behind the last row: it is there whenever it is its turn."""

    sizes: tuple[int, ...]
    drop_remainder: bool
    origin: int  #: Of batches of no rows.
    number: int = 0  #: Of batches that came.
    waiting: Pump = field(default_factory=Pump)
    empty: Handles = field(default_factory=lambda: NOTHING)  #: A batch of no rows, once there was a row to see.
    ended: bool = False

    @property
    def held(self) -> Handles:
        return np.concatenate([self.waiting.peek(), self.empty])

    def pull(self, limit: int) -> Pulled:
        size = self.sizes[self.number % len(self.sizes)]
        got = self._collect(size if len(self.empty) else max(1, size))
        if got is not None:
            return got
        if not len(self.empty) and self.waiting.count:
            self.empty = self._added(_without_rows(self.store.gather(self.waiting.peek()[:1])))
        short = self.waiting.count < size
        if not len(self.empty) or (short and (self.drop_remainder or not self.waiting.count)):
            self.store.release(self.waiting.take(self.waiting.count))
            return Signal.END
        self.number += 1
        return self._batch(size)

    def _collect(self, wanted: int) -> Pulled | None:
        """Pull until so many rows wait or the input ends; what came in between, if anything."""
        while self.waiting.count < wanted and not self.ended:
            got = self.source.pull(wanted - self.waiting.count)
            if isinstance(got, np.ndarray):
                self.waiting.add(got)
            elif got is Signal.END:
                self.ended = True
            else:
                return got
        return None

    def _batch(self, size: int) -> Pulled:
        if not size:
            return self._added(self.store.gather(self.empty))
        rows = self.waiting.take(size)
        try:
            return Fold()(self.store, rows, len(rows))[0]
        except HeadraceError as error:
            self.store.release(rows)
            return Failed(error, operator="rebatch")

    def _added(self, block: Block) -> Handles:
        return self.store.add(block, identities(self.origin, [self.number]), derived=True)

    def own_state(self, keep: Keep) -> State:
        held = {"held": keep(self.waiting.peek()), "rest": keep(self.empty)}
        return {**held, "drawn": self.number, "ended": self.ended}

    def set_own_state(self, state: State, find: Find) -> None:
        self.waiting.add(find(state["held"]))
        self.empty, self.number, self.ended = find(state["rest"]), state["drawn"], state["ended"]
        if len(self.empty) > 1:
            raise MalformedMessage(f"{len(self.empty)} batches of no rows where one is kept")


def _without_rows(row: Block) -> Block:
    """A batch of none of such a row."""
    return Block.of_elements([row.structure.pack([_nothing(each) for each in row.columns])])


def _nothing(column: Column) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return np.empty((0, *column.shape_of(0)), object if column.dtype is bytes else column.dtype)
