"""Cache: what its input gives in its first pass, in every pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..caching import Keeping
from ..counts import Counts
from ..errors import HeadraceError, MalformedMessage
from ..store import Store
from .protocol import Failed, Find, Keep, Operator, Pulled, Signal, State

__all__ = ["CacheOperator"]


@dataclass(slots=True)
class CacheOperator(Operator):
    """Elements from where they are kept, if all are there, else from its input, built as for the first pass.

    So both give the same, and keeping is only speed. An element is known by its number among all that come out,
    failed ones too.
    """

    open: Callable[[], Operator]  #: Its input, at its start.
    store: Store
    origin: int  #: Of what comes out in this pass.
    expected: int  #: How many elements its input has, where that is certain; else below 0.
    counts: Counts  #: Of what did not come out of the input.
    keeping: Keeping
    given: int = 0  #: What came out, failed ones too.
    elements: int = 0  #: Those that did not fail, since it began.
    skip: int = 0  #: So many are not to come out again.
    source: Operator | None = None  #: The input, or what reads what is kept.
    reads: bool = False  #: Which of them.
    later: tuple[State, Find] | None = None  #: Where the reader is to go on, once it is known that there is one.
    ended: bool = False

    def pull(self, limit: int) -> Pulled:
        while not self.ended:
            got = self._next(self.skip or limit)
            if not self.skip or isinstance(got, Signal):
                return got
            self.skip -= 1 if isinstance(got, Failed) else len(got)
            if isinstance(got, np.ndarray):
                self.store.release(got)
        return Signal.END

    def _next(self, limit: int) -> Pulled:
        source = self.source or self._begin()
        if not isinstance(source, Operator):
            return source
        got = source.pull(limit)
        if got is Signal.END:
            self._finish()
            source.close()
            self.ended = True
        if isinstance(got, Signal):
            return got
        first = self.given
        self.given += 1 if isinstance(got, Failed) else len(got)
        if not self.reads:
            self.keeping.collect(self.store, got, self.counts)
            self.elements += 0 if isinstance(got, Failed) else len(got)
            if self.elements == self.expected:
                self._finish()  # whoever takes just so many never asks for the end
        return got if isinstance(got, Failed) else self.store.renumbered(got, self.origin, np.arange(first, self.given))

    def _begin(self) -> Operator | Signal | Failed:
        """What to read; or why that is not known yet, or cannot be."""
        found = self.keeping.begin(self.counts)
        if isinstance(found, Signal):
            return found
        if isinstance(found, HeadraceError):
            self.ended = True
            return Failed(found, operator="cache")
        self.source, self.reads = found or self.open(), found is not None
        later, self.later = self.later, None
        if later is not None and self.reads:
            self.source.restore(*later)
        elif later is not None:
            self.skip, self.given = self.given, 0
        return self.source

    def _finish(self) -> None:
        if not self.reads:
            self.keeping.finish(self.store, self.counts)

    def close(self) -> None:
        self.keeping.undo()
        if self.source is not None:
            self.source.close()
        self.counts.fold()

    def snapshot(self, keep: Keep) -> State:
        own: State = {"given": self.given, "ended": self.ended, "reads": False, "branch": [0, 0], "source": None}
        if self.ended:
            return own
        if self.later is not None:
            return {**own, "reads": True, "source": self.later[0]}
        if self.skip or self.source is None:
            return {**own, "given": self.given + self.skip}
        branch = [self.counts.filtered, self.counts.ignored]
        return {**own, "reads": self.reads, "branch": branch, "source": self.source.snapshot(keep)}

    def restore(self, state: State, find: Find) -> None:
        """Go on where it stood. What was read is passed over where it has to be computed here."""
        self.ended, self.given = state["ended"], state["given"]
        if self.ended or state["source"] is None:
            self.skip, self.given = (0, self.given) if self.ended else (self.given, 0)
            if state["source"] is not None or state["reads"]:
                raise MalformedMessage("a cache that goes on behind its end")
        elif state["reads"]:
            self.later = state["source"], find
        else:
            self.keeping, self.source = Keeping(), self.open()
            self.counts.filtered, self.counts.ignored = state["branch"]
            self.source.restore(state["source"], find)
