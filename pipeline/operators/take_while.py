"""Take while: elements up to the first for which a predicate is false."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .protocol import Find, Keep, Pulled, Signal, State, Unary

__all__ = ["TakeWhileOperator"]


@dataclass(slots=True)
class TakeWhileOperator(Unary):
    """Looks at tags alone. An element whose predicate failed is raised in its place, and those behind it come."""

    ended: bool = False

    def pull(self, limit: int) -> Pulled:
        if self.ended:
            return Signal.END
        got = self.source.pull(limit)
        if not isinstance(got, np.ndarray):
            return got
        false = np.flatnonzero(self.store.tags(got)[:, 0] == 0)
        if not len(false):
            return got
        kept, rest = got[: false[0]], got[false[0] :]
        self.store.release(rest)
        self.ended = True
        self.finish()
        return kept if len(kept) else Signal.END

    def own_state(self, keep: Keep) -> State:
        return {"ended": self.ended}

    def set_own_state(self, state: State, find: Find) -> None:
        self.ended = bool(state["ended"])
