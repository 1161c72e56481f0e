"""Assert cardinality: the same elements, counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import FailedPreconditionError, MalformedMessage
from .protocol import Failed, Find, Keep, Pulled, Signal, State, Unary

__all__ = ["AssertOperator"]


@dataclass(slots=True)
class AssertOperator(Unary):
    """Fails once, at the end or at the first element too many, and ends; elements that fail do not count."""

    expected: int  #: -1 is no end.
    given: int = 0
    ended: bool = False

    def pull(self, limit: int) -> Pulled:
        if self.ended:
            return Signal.END
        most = limit if self.expected < 0 else self.expected - self.given
        got = self.source.pull(max(1, min(limit, most)))
        if isinstance(got, np.ndarray):
            if most == 0:
                self.store.release(got)
                return self._fail(f"at least {self.given + 1}")
            self.given += len(got)
        elif got is Signal.END:
            if self.given != self.expected:
                return self._fail(f"only {self.given}")
            self.ended = True
        return got

    def _fail(self, told: str) -> Failed:
        self.ended = True
        self.finish()
        expected = "no end of" if self.expected < 0 else self.expected
        error = FailedPreconditionError(f"assert_cardinality: {expected} elements were expected, and there are {told}")
        return Failed(error, operator="assert_cardinality")

    def own_state(self, keep: Keep) -> State:
        return {"given": self.given, "ended": self.ended}

    def set_own_state(self, state: State, find: Find) -> None:
        self.given, self.ended = state["given"], state["ended"]
        if 0 <= self.expected < self.given:
            raise MalformedMessage(f"{self.given} elements of {self.expected} were given")
