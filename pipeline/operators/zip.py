"""Zip: one element of each input together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from ..errors import HeadraceError, MalformedMessage, from_data, to_data
from ..store import Handles, Store
from ..structure import Structure
from ..work import too_large
from .protocol import NOTHING, Failed, Find, Keep, Operator, Pulled, Signal, State

__all__ = ["ZipOperator"]

_Stop: TypeAlias = "Failed | Literal[Signal.END] | None"


@dataclass(slots=True)
class ZipOperator(Operator):
    """As many elements as the shortest input has.

    What waits is what an input gave beyond the others, at most one pull of it. Where an element fails, those
    that stand beside it are left out with it, and of several that fail in one place the first input's is told,
    so that what comes behind still belongs together, as in tf.data.
    """

    sources: Sequence[Operator]
    store: Store
    nest: Structure  #: Its leaves stand for the inputs.
    waiting: list[Handles] = field(init=False)
    stops: list[_Stop] = field(init=False)  #: What comes behind the waiting ones of each input, where that is known.
    ended: bool = False

    def __post_init__(self) -> None:
        self.waiting = [NOTHING] * len(self.sources)
        self.stops = [None] * len(self.sources)

    def pull(self, limit: int) -> Pulled:
        if self.ended:
            return Signal.END
        for i, source in enumerate(self.sources):
            if not len(self.waiting[i]) and self.stops[i] is None:
                self._take(i, source.pull(limit))
        stopped = self._stopped()
        if stopped is None:
            return self._join(limit)
        if stopped is Signal.END:
            self.close()
        elif isinstance(stopped, Failed):
            self._pass()
        return stopped

    def _take(self, i: int, got: Pulled) -> None:
        if isinstance(got, np.ndarray):
            self.waiting[i] = got
        elif got is not Signal.PENDING:
            self.stops[i] = got

    def _stopped(self) -> Signal | Failed | None:
        """Why there is no next element: an earlier input's reason goes before a later one's."""
        failed: Failed | None = None
        for waiting, stop in zip(self.waiting, self.stops, strict=True):
            if len(waiting):
                continue
            if stop is None:
                return Signal.PENDING
            if isinstance(stop, Failed):
                failed = failed or stop
            elif failed is None:
                return Signal.END
            else:
                break
        return failed

    def _pass(self) -> None:
        """Leave out what stands in one place."""
        for i, waiting in enumerate(self.waiting):
            if len(waiting):
                self.store.release(waiting[:1])
                self.waiting[i] = waiting[1:]
            elif isinstance(self.stops[i], Failed):
                self.stops[i] = None

    def _join(self, limit: int) -> Pulled:
        count = min(self.store.together(each[:limit]) for each in self.waiting)
        error = self._too_large(count)
        if error is not None and count > 1:  # perhaps not each of them is
            count = 1
            error = self._too_large(count)
        parts = [each[:count] for each in self.waiting]
        self.waiting = [each[count:] for each in self.waiting]
        if error is None:
            return self.store.join(self.nest, parts)
        for part in parts:
            self.store.release(part)
        return Failed(error, operator="zip")

    def _too_large(self, count: int) -> HeadraceError | None:
        return too_large(sum(self.store.nbytes_of(each[:count]) for each in self.waiting))

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            for i, waiting in enumerate(self.waiting):
                self.store.release(waiting)
                self.waiting[i] = NOTHING
            for source in self.sources:
                source.close()

    def snapshot(self, keep: Keep) -> State:
        if self.ended:
            return {"ended": True}
        return {
            "ended": False,
            "sources": [each.snapshot(keep) for each in self.sources],
            "waiting": [keep(each) for each in self.waiting],
            "stops": [to_data(each.error) if isinstance(each, Failed) else each is not None for each in self.stops],
        }

    def restore(self, state: State, find: Find) -> None:
        if state["ended"]:
            self.close()
            return
        if {len(state[each]) for each in ("sources", "waiting", "stops")} != {len(self.sources)}:
            raise MalformedMessage(f"a zip of {len(self.sources)} inputs whose state is of others")
        for source, each in zip(self.sources, state["sources"], strict=True):
            source.restore(each, find)
        self.waiting = [find(each) for each in state["waiting"]]
        self.stops = [_stop(each) for each in state["stops"]]


def _stop(data: object) -> _Stop:
    if isinstance(data, bool):
        return Signal.END if data else None
    return Failed(from_data(data))  # type: ignore[arg-type]
