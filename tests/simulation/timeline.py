"""Virtual time: what is to happen, and when."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

__all__ = ["Timeline"]


@dataclass(slots=True)
class Timeline:
    """Nobody waits: the next thing that is to happen makes it so late."""

    now: float = 0.0
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Let this happen so many seconds from now."""
        heapq.heappush(self.events, (self.now + delay, next(self.numbers), action))

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Let this happen again and again."""

        def again() -> None:
            action()
            self.at(seconds, again)

        self.at(seconds, again)

    def step(self) -> None:
        """The next thing happens."""
        self.now, _, action = heapq.heappop(self.events)
        action()

    def wait(self, seconds: float) -> None:
        """All that is to happen within so long."""
        until = self.now + seconds
        while self.now < until:
            self.step()
