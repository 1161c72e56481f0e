"""Windows: stretches of the stream, each as a dataset, which may overlap or leave elements out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import HeadraceError, MalformedMessage, from_data, to_data
from ..folding import Fold
from ..store import Handles
from .protocol import Failed, Find, Keep, Pulled, Pump, Signal, State, Unary

__all__ = ["WindowOperator"]

#: Small windows are made together, up to about this many bytes at once.
_TOGETHER = 1 << 20


@dataclass(slots=True)
class WindowOperator(Unary):
    """A window begins every `shift` elements and has `size` of them, `stride` apart; at the end there may be fewer.

    An element that fails is raised at once, and is no place in any window.
    """

    size: int
    shift: int
    stride: int
    drop_remainder: bool
    fold: Fold
    waiting: Pump = field(default_factory=Pump)  #: From the first element of the next window on.
    skip: int = 0  #: How many elements come before that.
    ended: bool = False
    failed: Failed | None = None  #: What failed behind full windows that are still to be given.
    together: int = 1  #: How many windows to make at once, learnt from their size.

    @property
    def held(self) -> Handles:
        return self.waiting.peek()

    @property
    def _reach(self) -> int:
        """How many elements a full window spans."""
        return (self.size - 1) * self.stride + 1

    def pull(self, limit: int) -> Pulled:
        most = min(limit, self.together)
        stopped = self._collect(self._reach + (most - 1) * self.shift)
        full = (self.waiting.count - self._reach) // self.shift + 1 if self.waiting.count >= self._reach else 0
        if full:
            return self._make(min(most, full), self.size)
        if stopped is not None:
            self.failed = None
            return stopped
        if self.drop_remainder:
            self.store.release(self.waiting.take(self.waiting.count))
        if not self.waiting.count:
            return Signal.END
        return self._make(1, 1 + (self.waiting.count - 1) // self.stride)

    def _collect(self, wanted: int) -> Signal | Failed | None:
        """Pull until `wanted` elements wait or the input ends; what came in between, if anything."""
        while self.waiting.count < wanted and not self.ended:
            got = self.failed or self.source.pull(self.skip + wanted - self.waiting.count)
            if got is Signal.END:
                self.ended = True
            elif isinstance(got, np.ndarray):
                over, got = got[: self.skip], got[self.skip :]
                self.store.release(over)
                self.skip -= len(over)
                self.waiting.add(got)
            else:
                self.failed = got if isinstance(got, Failed) else None
                return got
        return None

    def _make(self, count: int, size: int) -> Pulled:
        """So many windows of so many elements each."""
        starts = np.arange(count)[:, None] * self.shift
        which = (starts + np.arange(size) * self.stride).reshape(-1)
        try:
            made, nbytes = self.fold.made(self.store, self.waiting.peek()[which], size)
        except HeadraceError as error:
            if count > 1:  # perhaps not each of them is at fault
                self.together = 1
                return self._make(1, size)
            self._go_on(1)
            return Failed(error, operator="window")
        self.together = max(1, min(1024, _TOGETHER // max(1, nbytes)))
        self._go_on(count)
        return made

    def _go_on(self, windows: int) -> None:
        """To the first element of the window behind these."""
        behind = windows * self.shift
        over = self.waiting.take(behind)
        self.store.release(over)
        self.skip = behind - len(over)

    def own_state(self, keep: Keep) -> State:
        failed = None if self.failed is None else to_data(self.failed.error)
        return {"held": keep(self.held), "left": self.skip, "ended": self.ended, "failed": failed}

    def set_own_state(self, state: State, find: Find) -> None:
        self.waiting.add(find(state["held"]))
        self.skip, self.ended = state["left"], state["ended"]
        if self.skip and (self.waiting.count or self.skip >= self.shift):
            raise MalformedMessage(f"a window that begins {self.skip} elements behind {self.waiting.count} it holds")
        self.failed = None if state["failed"] is None else Failed(from_data(state["failed"]))
