"""Take, skip, shard and repeat: operators that only count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import MalformedMessage
from .protocol import Find, Keep, Operator, Pulled, Signal, State, Unary

__all__ = ["RepeatOperator", "ShardOperator", "SkipOperator", "TakeOperator"]


@dataclass(slots=True)
class TakeOperator(Unary):
    """The first `left` elements; failed ones do not count."""

    left: int

    def pull(self, limit: int) -> Pulled:
        if self.left == 0:
            return Signal.END
        got = self.source.pull(min(limit, self.left))
        if isinstance(got, np.ndarray):
            self.left -= len(got)
            if self.left == 0:
                self.finish()
        return got

    def own_state(self, keep: Keep) -> State:
        return {"left": self.left}

    def set_own_state(self, state: State, find: Find) -> None:
        if state["left"] > self.left:
            raise MalformedMessage(f"{state['left']} elements left of {self.left}")
        self.left = state["left"]


@dataclass(slots=True)
class SkipOperator(Unary):
    """All but the first `left` elements; failed ones among them are raised, as tf.data does, and do not count."""

    left: int

    def pull(self, limit: int) -> Pulled:
        while self.left:
            got = self.source.pull(self.left)
            if not isinstance(got, np.ndarray):
                return got
            self.left -= len(got)
            self.store.release(got)
        return self.source.pull(limit)

    def own_state(self, keep: Keep) -> State:
        return {"left": self.left}

    def set_own_state(self, state: State, find: Find) -> None:
        if state["left"] > self.left:
            raise MalformedMessage(f"{state['left']} elements left of {self.left}")
        self.left = state["left"]


@dataclass(slots=True)
class ShardOperator(Unary):
    """Of every `count` elements the one at `index`; failed ones are raised and do not count, as with `SkipOperator`."""

    count: int
    index: int
    at: int = 0  #: How many elements came since one of number 0.

    def pull(self, limit: int) -> Pulled:
        while True:
            got = self.source.pull((limit - 1) * self.count + self._ahead + 1)
            if not isinstance(got, np.ndarray):
                return got
            ours = np.zeros(len(got), np.bool_)
            ours[self._ahead :: self.count] = True
            self.at = (self.at + len(got)) % self.count
            self.store.release(got[~ours])
            if ours.any():
                return got[ours]

    @property
    def _ahead(self) -> int:
        """How many elements come before the next of ours."""
        return (self.index - self.at) % self.count

    def own_state(self, keep: Keep) -> State:
        return {"at": self.at}

    def set_own_state(self, state: State, find: Find) -> None:
        self.at = state["at"]


@dataclass(slots=True)
class RepeatOperator(Operator):
    """Its input built anew for each pass; what goes on for ever ends with a pass that gives nothing at all."""

    open: Callable[[int], Operator]  #: From the number of the pass.
    passes: int  #: -1 for ever.
    number: int = 0
    seen: bool = False  #: Whether this pass gave anything yet.
    source: Operator | None = None

    def pull(self, limit: int) -> Pulled:
        while self.passes < 0 or self.number < self.passes:
            if self.source is None:
                self.source = self.open(self.number)
            got = self.source.pull(limit)
            if got is not Signal.END:
                self.seen = self.seen or got is not Signal.PENDING
                return got
            if self.passes < 0 and not self.seen:
                break
            self.source.close()
            self.source, self.seen, self.number = None, False, self.number + 1
        self.passes = self.number
        return Signal.END

    def close(self) -> None:
        if self.source is not None:
            self.source.close()

    def snapshot(self, keep: Keep) -> State:
        inner = None if self.source is None else self.source.snapshot(keep)
        return {"number": self.number, "seen": self.seen, "passes": self.passes, "source": inner}

    def restore(self, state: State, find: Find) -> None:
        if state["number"] < 0 or state["passes"] not in (self.passes, state["number"]):
            raise MalformedMessage(f"pass {state['number']} of {state['passes']}, where there are {self.passes}")
        self.number, self.seen, self.passes = state["number"], state["seen"], state["passes"]
        if state["source"] is not None:
            self.source = self.open(self.number)
            self.source.restore(state["source"], find)
