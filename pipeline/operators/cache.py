"""Cache: what its input gives in its first pass, in every pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..counts import Counts
from ..errors import MalformedMessage
from ..memory import Content, Draft, Key, Memory
from ..store import Handles, Store
from .protocol import Failed, Find, Keep, Operator, Pulled, Signal, State

__all__ = ["CacheOperator"]


@dataclass(slots=True)
class CacheOperator(Operator):
    """Elements from memory where all are there, else from its input, which is always built as for the first pass.

    So both give the same, and memory is only speed. An element is known by its number among all that come out,
    failed ones too.
    """

    open: Callable[[], Operator]  #: Its input, at its start.
    store: Store
    key: Key
    origin: int  #: Of what comes out in this pass.
    expected: int  #: How many elements its input has, where that is certain; else below 0.
    budget: int  #: Bytes that memory may take.
    warn: Callable[[str], None]
    counts: Counts  #: Of what did not come out of the input.
    memory: Memory | None = None  #: None where nothing is kept.
    given: int = 0  #: What came out, failed ones too.
    elements: int = 0  #: Those that did not fail, of what was collected.
    skip: int = 0  #: So many are not to come out again.
    source: Operator | None = None
    content: Content | None = None
    draft: Draft | None = None
    ended: bool = field(default=False)

    def pull(self, limit: int) -> Pulled:
        while self.skip:
            got = self._next(self.skip)
            if isinstance(got, Signal):
                return got
            self.skip -= 1 if isinstance(got, Failed) else len(got)
            if isinstance(got, np.ndarray):
                self.store.release(got)
        return self._next(limit)

    def _next(self, limit: int) -> Pulled:
        if self.ended:
            return Signal.END
        if self.source is None and self.content is None:
            self._begin()
        got = self._remembered(limit) if self.source is None else self._computed(self.source, limit)
        if got is Signal.END:
            self.ended = True
        elif not isinstance(got, Signal):
            self.given += 1 if isinstance(got, Failed) else len(got)
        return got

    def _begin(self) -> None:
        """Read what is in memory, or else fill it, unless it was too much before."""
        memory = self.memory
        self.content = None if memory is None else memory.contents.get(self.key)
        if self.content is not None:
            self.store.works |= self.content.works
            self.store.paths |= self.content.paths
            return
        self.source = self.open()
        if memory is not None and self.key not in memory.too_large:
            self.draft = Draft(self.budget)

    def _remembered(self, limit: int) -> Pulled:
        assert self.content is not None, "it is in memory"
        portion = self.content.at(self.given)
        self._set_counts(self.content.counts if portion is None else portion.counts)
        return Signal.END if portion is None else portion.give(self.store, self.origin, self.given, limit)

    def _computed(self, source: Operator, limit: int) -> Pulled:
        got = source.pull(limit)
        if got is Signal.END:
            source.close()
            self._keep()
        if isinstance(got, Signal):
            return got
        self._collect(got)
        if isinstance(got, Failed):
            return got
        return self.store.renumbered(got, self.origin, np.arange(self.given, self.given + len(got)))

    def _collect(self, got: Handles | Failed) -> None:
        """Copy what came, as long as there is room; behind the last that there can be, all is there."""
        if self.draft is None or self.memory is None:
            return
        self.draft.add(self.store, got, self._all_counts())
        self.elements += 0 if isinstance(got, Failed) else len(got)
        if self.draft.full:
            self.draft = None
            self.memory.too_large.add(self.key)
            self.warn(
                f"cache() would hold more than {self.budget:,} bytes: its elements are computed again in every pass. "
                "Cache before elements grow (before decoding), raise Options(buffer_bytes=...), or name a file: "
                "cache(filename)"
            )
        elif self.elements == self.expected:
            self._keep()

    def _keep(self) -> None:
        """All of the input came: others may read it."""
        if self.draft is not None and self.memory is not None:
            self.memory.contents.setdefault(self.key, self.draft.finish(self.store, self._all_counts()))
        self.draft = None

    def _all_counts(self) -> tuple[int, int]:
        return self.counts.all_filtered, self.counts.all_ignored

    def _set_counts(self, counts: tuple[int, int]) -> None:
        self.counts.filtered, self.counts.ignored = counts

    def close(self) -> None:
        self.draft = None
        if self.source is not None:
            self.source.close()
        self.counts.fold()

    def snapshot(self, keep: Keep) -> State:
        own = {"given": self.given + self.skip, "ended": self.ended, "branch": [0, 0], "source": None}
        if self.source is None or self.skip or self.ended:
            return own
        return {**own, "branch": [self.counts.filtered, self.counts.ignored], "source": self.source.snapshot(keep)}

    def restore(self, state: State, find: Find) -> None:
        """Go on with the input where that is known; else pass over what came out, as where it came from memory."""
        self.ended = state["ended"]
        if state["source"] is None:
            self.skip = 0 if self.ended else state["given"]
            return
        if self.ended:
            raise MalformedMessage("a cache whose input goes on behind its end")
        self.source, self.given = self.open(), state["given"]
        self.counts.filtered, self.counts.ignored = state["branch"]
        self.source.restore(state["source"], find)
