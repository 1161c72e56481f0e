"""Snapshot: what its input gives in its first pass, computed and kept, or read from where it was kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..element_records import encoded_rows
from ..errors import HeadraceError, MalformedMessage
from ..manifest import Manifest
from ..shelves import Answer, Keeper, Shelves
from ..store import Handles, Store
from .protocol import Failed, Find, Keep, Operator, Pulled, Signal, State

__all__ = ["SnapshotOperator"]


@dataclass(slots=True)
class SnapshotOperator(Operator):
    """Elements as they are computed, which are kept by the way, or as they are read. Each is known by its number.

    What fails makes the epoch one that is not kept, and so does one that is not read to its end, or goes on from a
    checkpoint: then the next is.
    """

    open: Callable[[bool], Operator]  #: What is read from where it was kept, or computed, at its start.
    store: Store
    origin: int  #: Of what comes out in this pass.
    folder: str
    compression: str
    sharded: bool  #: Whether tags say to which file elements go.
    expected: int  #: How many there are, where that is certain; else below 0.
    shelves: Shelves | None  #: None where nothing is kept, nor read.
    answer: Callable[[], Answer] | None = None
    reading: bool = False
    source: Operator | None = None  #: Once it is known whether to read.
    keeper: Keeper | None = None
    given: int = field(default=0)  #: What came out, failed ones too.

    def pull(self, limit: int) -> Pulled:
        if self.source is None:
            waiting = self._begin()
            if waiting is not None:
                return waiting
        assert self.source is not None, "it has begun"
        got = self.source.pull(limit)
        if got is Signal.END:
            self._finish()
        elif isinstance(got, Failed):
            self._abort()
            self.given += 1
        elif isinstance(got, np.ndarray):
            self._keep(got)
            first, self.given = self.given, self.given + len(got)
            got = self.store.renumbered(got, self.origin, np.arange(first, self.given))
            if self.given == self.expected:
                self._finish()
        return got

    def _begin(self) -> Pulled | None:
        """Find out whether to read."""
        if self.shelves is None:
            self.source = self.open(False)
            return None
        if self.answer is None:
            self.answer = self.shelves.ask(self.folder)
        found = self.answer()
        if isinstance(found, Signal):
            return found
        self.reading = isinstance(found, Manifest)
        self.source = self.open(self.reading)
        if isinstance(found, HeadraceError):
            return Failed(found)
        if not self.reading:
            self.keeper = self.shelves.keep(self.folder, self.compression)
        return None

    def _keep(self, got: Handles) -> None:
        while self.keeper is not None and len(got):
            some = got[: self.store.alike(got)]
            block = self.store.whole(some) or self.store.gather(some)
            shards = self.store.tags(some)[:, 0].tolist() if self.sharded else [0] * len(some)
            self.keeper.add(encoded_rows(block), shards)
            got = got[len(some) :]

    def _finish(self) -> None:
        keeper, self.keeper = self.keeper, None
        if keeper is not None:
            keeper.finish()

    def _abort(self) -> None:
        keeper, self.keeper = self.keeper, None
        if keeper is not None:
            keeper.abort()

    def close(self) -> None:
        self._abort()
        if self.source is not None:
            self.source.close()

    def snapshot(self, keep: Keep) -> State:
        if self.source is None:
            return {"given": 0, "reading": False, "source": None}
        return {"given": self.given, "reading": self.reading, "source": self.source.snapshot(keep)}

    def restore(self, state: State, find: Find) -> None:
        """Go on as it was begun, whatever is kept by now."""
        if type(state["given"]) is not int or type(state["reading"]) is not bool or state["given"] < 0:
            raise MalformedMessage("a snapshot that stands nowhere")
        if state["source"] is None:
            return
        self.given, self.reading = state["given"], state["reading"]
        self.source = self.open(self.reading)
        self.source.restore(state["source"], find)
