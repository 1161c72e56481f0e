"""Concatenate: one input behind the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import MalformedMessage
from .protocol import Find, Keep, Operator, Pulled, Signal, State

__all__ = ["ConcatenateOperator"]


@dataclass(slots=True)
class ConcatenateOperator(Operator):
    """Each input is built when its turn comes, so that however many there are, one takes memory."""

    open: Callable[[int], Operator]  #: From the number of the input.
    count: int
    number: int = 0
    source: Operator | None = None

    def pull(self, limit: int) -> Pulled:
        while self.number < self.count:
            if self.source is None:
                self.source = self.open(self.number)
            got = self.source.pull(limit)
            if got is not Signal.END:
                return got
            self.source.close()
            self.source, self.number = None, self.number + 1
        return Signal.END

    def close(self) -> None:
        if self.source is not None:
            self.source.close()

    def snapshot(self, keep: Keep) -> State:
        return {"number": self.number, "source": None if self.source is None else self.source.snapshot(keep)}

    def restore(self, state: State, find: Find) -> None:
        if not 0 <= state["number"] <= self.count:
            raise MalformedMessage(f"input {state['number']} of {self.count}")
        self.number = state["number"]
        if state["source"] is not None:
            self.source = self.open(self.number)
            self.source.restore(state["source"], find)
