"""Judge: the end of a pipeline, where it is decided what becomes of each element that failed."""

from __future__ import annotations

from dataclasses import dataclass

from ..verdicts import Verdicts
from .protocol import Failed, Find, Keep, Operator, Pulled, State

__all__ = ["Judge"]


@dataclass(slots=True)
class Judge(Operator):
    """What comes out of a pipeline: the same with `on_error="skip"` as without it, but for the failures."""

    source: Operator
    verdicts: Verdicts

    def pull(self, limit: int) -> Pulled:
        while isinstance(got := self.source.pull(limit), Failed):
            if (error := self.verdicts.judge(got)) is not None:
                return Failed(error)
        return got

    def close(self) -> None:
        self.source.close()

    def snapshot(self, keep: Keep) -> State:
        return {"source": self.source.snapshot(keep), "verdicts": self.verdicts.state()}

    def restore(self, state: State, find: Find) -> None:
        self.verdicts.set_state(state["verdicts"])
        self.source.restore(state["source"], find)
