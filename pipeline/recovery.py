"""Recovery: what a checkpoint's operators held is computed again before they go on.

In waves: what leaves gave first, then what segments made of that, and so on; what was stacked or put side by side in
between is made of it here. Just the elements that are needed are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from .errors import HeadraceError, MalformedMessage
from .feeds import RecoveryFeed
from .held import Held
from .nodes import Node
from .operators.protocol import NOTHING, Failed, Operator, Signal, State
from .place import Path
from .replanning import Plan
from .store import Handles, Store

__all__ = ["Recovered"]

#: From a segment's path and a feed of it to the stream of what comes of that, wherever it is computed.
Streams: TypeAlias = "Callable[[Path, RecoveryFeed], Operator]"


@dataclass(slots=True)
class _Part:
    """What one segment computes in a wave, and the places of what comes of it, in order, among all of the wave."""

    stream: Operator
    places: Handles
    came: list[Handles] = field(default_factory=list)
    ended: bool = False

    def pull(self, limit: int) -> None:
        """Take what came."""
        while not isinstance(got := self.stream.pull(limit), Signal):
            if not isinstance(got, Failed):
                self.came.append(got)
        self.ended = got is Signal.END


class Recovered(Operator):
    """Stands for the operators while what they held is computed again; then `find` hands it to them.

    Raises:
        MalformedMessage: what is told to be held cannot be, in this graph.
    """

    def __init__(self, data: Any, graph: Node, store: Store, streams: Streams) -> None:
        self.store, self.streams, self.plan = store, streams, Plan(graph, store)
        self.complete = True  #: Not where a file changed or a function is not deterministic: not all came again then.
        held = Held.of(data)
        for work in held.works:
            store.opened(work)
        self.runs = held.runs
        self.waves = self.plan.waves(self.runs)
        self.parts: list[_Part] = []
        self.sites: list[Any] = []  #: What is computed in this wave.
        self.found: list[Handles | None] = []
        self._begin()

    def pull(self, limit: int) -> Any:
        """Collect; END when all is there that came."""
        while self.parts:
            for part in self.parts:
                if not part.ended:
                    part.pull(limit)
            if not all(part.ended for part in self.parts):
                return Signal.PENDING
            self._end()
        return Signal.END

    def _begin(self) -> None:
        """The next wave, or all that was held, made of what came."""
        try:
            if self.complete and self.waves:
                self.sites = self.waves.pop(0)
                jobs = self.plan.jobs(self.sites)
                self.parts = [_Part(self.streams(path, RecoveryFeed(them)), places) for path, them, places in jobs]
            elif self.complete:
                self.found = [self.plan.make(run) for run in self.runs]
        except HeadraceError:  # what could be made before cannot be made of what came now
            self.complete = False

    def _end(self) -> None:
        """All of a wave came: what came belongs to what was asked for, in order."""
        result = np.full(sum(map(len, self.sites)), -1, np.int64)
        for part in self.parts:
            part.stream.close()
            came = np.concatenate([NOTHING, *part.came])
            if len(came) == len(part.places):
                result[part.places] = came
            else:
                self.complete = False
        self.parts = []
        if self.complete:
            self.plan.give(self.sites, result)
        self.sites = []
        self._begin()

    def find(self, number: Any) -> Handles:
        """The elements of a number that `Keeper.keep` gave; each once."""
        if type(number) is not int or not 0 <= number < len(self.found) or (found := self.found[number]) is None:
            raise MalformedMessage(f"held elements number {number!r:.30} of {len(self.found)}, or these twice")
        self.found[number] = None
        return found

    def close(self) -> None:
        for part in self.parts:
            part.stream.close()
        self.parts = []

    def snapshot(self, keep: Any) -> State:
        raise TypeError("there is nothing to save before all is recovered")

    def restore(self, state: State, find: Any) -> None:
        raise TypeError("nothing of it was saved")
