"""Feeds: what a segment is fed with, cut into jobs in the order in which they are consumed.

In process a feed's jobs are run at once; in a service each is leased to a worker as a split. Either way
the order is that in which tf.data would read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from .operators.protocol import Failed, Find, Keep, Operator, Signal, State
from .seeds import derive
from .store import Handles, Store
from .work import Payload, Work

__all__ = ["Cut", "Feed", "FileFeed", "HandedFeed", "Job", "RowFeed", "payload_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A unit of work, and the elements that are handed along with it, if any; they are held until it is consumed."""

    work: Work
    inputs: Handles | None = None


#: The boundaries at which a file is cut, from its name; PENDING while they are not known.
Cut: TypeAlias = Callable[[str], "Sequence[int | None] | Signal"]


@dataclass(slots=True)
class RowFeed:
    """Rows of a leaf in memory, `size` at a time."""

    segment: tuple[int, ...]
    origin: int
    count: int
    size: int
    at: int = 0

    def next(self) -> Job | Signal | Failed:
        """The next rows."""
        if self.at >= self.count:
            return Signal.END
        start, self.at = self.at, min(self.count, self.at + self.size)
        return Job(Work(self.segment, self.origin, start, self.at))

    def close(self) -> None:
        """Nothing is held."""

    def snapshot(self, keep: Keep) -> State:
        """Where the rows were left."""
        return {"at": self.at}

    def restore(self, state: State, find: Find) -> None:
        """Go on there."""
        self.at = state["at"]


@dataclass(slots=True)
class FileFeed:
    """Files by name, each cut where `cut` says."""

    segment: tuple[int, ...]
    names: Operator
    store: Store
    leaf: tuple[int, ...]
    passes: tuple[int, ...]
    cut: Cut
    file: tuple[str, int] | None = None  #: Path and origin of the file that is to be cut next.
    pieces: list[Work] = field(default_factory=list)

    def next(self) -> Job | Signal | Failed:
        """The next piece of the file at hand, or of the next file."""
        while not self.pieces:
            if self.file is None:
                got = self.names.pull(1)
                if not isinstance(got, np.ndarray):
                    return got
                self.file = self._open(got)
            path, origin = self.file
            bounds = self.cut(path)
            if isinstance(bounds, Signal):
                return bounds
            ends = zip(bounds[:-1], bounds[1:], strict=True)
            self.pieces = [Work(self.segment, origin, start or 0, stop, path) for start, stop in ends]
            self.file = None
        return Job(self.pieces.pop(0))

    def _open(self, handle: Handles) -> tuple[str, int]:
        name = self.store.gather(handle).element(0)
        outer = self.store.identities(handle)[0].tolist()
        self.store.release(handle)
        path = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
        return path, derive("file", list(self.leaf), list(self.passes), outer)

    def close(self) -> None:
        """Close what names the files."""
        self.pieces, self.file = [], None
        self.names.close()

    def snapshot(self, keep: Keep) -> State:
        """The file at hand, its pieces not yet given out, and where the names were left."""
        return {
            "names": self.names.snapshot(keep),
            "file": None if self.file is None else list(self.file),
            "pieces": [each.to_data() for each in self.pieces],
        }

    def restore(self, state: State, find: Find) -> None:
        """Go on there."""
        self.names.restore(state["names"], find)
        self.file = None if state["file"] is None else (state["file"][0], state["file"][1])
        self.pieces = [Work.from_data(each) for each in state["pieces"]]


@dataclass(slots=True)
class HandedFeed:
    """Elements that a stateful operator put in order, handed along `size` at a time."""

    segment: tuple[int, ...]
    source: Operator
    store: Store
    size: int

    def next(self) -> Job | Signal | Failed:
        """The next few elements."""
        got = self.source.pull(self.size)
        return self.job(got) if isinstance(got, np.ndarray) else got

    def job(self, inputs: Handles) -> Job:
        """Work on these elements."""
        return Job(Work(self.segment, 0, 0, len(inputs)), inputs)

    def close(self) -> None:
        """Close what feeds it."""
        self.source.close()

    def snapshot(self, keep: Keep) -> State:
        """Where the input was left."""
        return {"source": self.source.snapshot(keep)}

    def restore(self, state: State, find: Find) -> None:
        """Go on there."""
        self.source.restore(state["source"], find)


Feed: TypeAlias = RowFeed | FileFeed | HandedFeed


def payload_of(store: Store, inputs: Handles | None) -> Payload | None:
    """The elements that a job hands along, as its worker gets them."""
    if inputs is None:
        return None
    return Payload(store.whole(inputs) or store.gather(inputs), store.identities(inputs))
