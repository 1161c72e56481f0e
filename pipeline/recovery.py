"""Recovery: what a checkpoint's operators held is computed again before they go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .feeds import Job
from .held import NotKept
from .operators.protocol import Failed, Operator, Signal, State
from .store import Store
from .work import Work

__all__ = ["Recovered", "RecoveryFeed"]


class Recovered(Operator):
    """Stands for the operators while what they held is computed again."""

    def __init__(self, stream: Operator, store: Store, wanted: int) -> None:
        self.stream, self.store, self.wanted = stream, store, wanted
        self.handles: dict[tuple[int, int], int] = {}

    @property
    def complete(self) -> bool:
        """Whether all elements came again; they do not where a file changed or a function is not deterministic."""
        return len(self.handles) == self.wanted

    def pull(self, limit: int) -> Any:
        """Collect; END when all is there that came."""
        while not isinstance(got := self.stream.pull(limit), Signal):
            if isinstance(got, Failed):
                continue
            for (origin, offset), handle in zip(self.store.identities(got).tolist(), got.tolist(), strict=True):
                self.handles[origin, offset] = handle
        return got

    def close(self) -> None:
        self.stream.close()

    def snapshot(self, keep: Any) -> State:
        raise NotKept

    def restore(self, state: State, find: Any) -> None:
        raise NotKept


@dataclass(slots=True)
class RecoveryFeed:
    """Work that fills buffers again."""

    works: list[Work]

    def next(self) -> Job | Signal:
        """The next of it."""
        return Job(self.works.pop(0)) if self.works else Signal.END

    def abandon(self, origin: int) -> None:
        """What was held could be read before."""

    def close(self) -> None:
        """Nothing is held."""
