"""Marks: where the input of a stream stood before what is under way was taken from it.

What is leased out ahead may be much: whole batches, drawn at random. Told one by one it would be most of a checkpoint.
Where the input stood a while ago, and how much came since that is done with, says the same: what was under way comes
again when the input goes on from there. This is how snapshots of streaming systems work (Carbone et al., "Lightweight
asynchronous snapshots for distributed dataflows", 2015), with a mark in place of a barrier.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ..pipeline.draws import Draws
from ..pipeline.feeds import HandedFeed
from ..pipeline.held import Kept
from ..pipeline.operators.protocol import Keep, State
from ..pipeline.store import Handles

__all__ = ["Marks"]

#: Where what is under way takes less to tell, in bytes of lineage, it is told.
LITTLE = 128 << 10
#: A mark so many times as far back as what is under way would cost too much to come back from.
FAR = 8


@dataclass(slots=True)
class Marks:
    """Of one feed, the newest last."""

    feed: HandedFeed
    taken: deque[tuple[int, State]] = field(default_factory=deque)
    serials: deque[int] = field(default_factory=deque)  #: Of the verdict made last before each.
    due: bool = True

    def take(self, told: int, serial: int = 0) -> None:
        """Where it is time for one, note where the input stands; `told` is how much is under way.

        `serial` is the number of the verdict made last: who goes on from the mark has to know those behind it.
        """
        if not self.due or (self.taken and told < LITTLE // 8):
            return
        self.due = False
        self.taken.append((self.feed.given, self.feed.snapshot(self._keep)))
        self.serials.append(serial)

    def _keep(self, handles: Any, draws: Draws | None = None, numbers: Handles | None = None) -> Kept:
        if isinstance(handles, Kept):
            return handles  # an earlier mark of a stream before
        return Kept(self.feed.store.lineage(handles), draws, numbers)

    def state(self, number: int, within: int, told: int, keep: Keep) -> State | None:
        """The feed's, so that it goes on with input `number`; None where what is under way is to be told instead."""
        self.due = True
        while len(self.taken) > 1 and self.taken[1][0] <= number:
            self.taken.popleft()
            self.serials.popleft()
        if told < LITTLE or not self.taken:
            return None
        first, state = self.taken[0]
        if not first <= number <= first + FAR * (self.feed.given - number):
            return None
        return {**_told(state, keep), "skip": number - first, "within": within}


def _told(state: Any, keep: Keep) -> Any:
    """Plain data, in which what was held then stands as what `keep` makes of it."""
    if isinstance(state, Kept):
        return keep(state)
    if isinstance(state, dict):
        return {key: _told(each, keep) for key, each in state.items()}
    return [_told(each, keep) for each in state] if isinstance(state, list | tuple) else state
