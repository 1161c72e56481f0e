"""In process: the whole plan run by the caller, with no server. It is the reference for every other way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .arrivals import Arrivals
from .blocks import Block
from .build import BUFFER_BYTES, Settings, buffer_bytes_of, build
from .errors import FailedPreconditionError, OutOfRangeError
from .feeds import Feed, Job, payload_of
from .nodes import Node
from .operators.protocol import NOTHING, Failed, Find, Keep, Operator, Pulled, Signal, State
from .segment import Segment, execute
from .store import Handles, Store
from .structure import Element
from .work import Appetite, Piece

__all__ = ["LocalIterator"]

#: How many elements are computed at once, at most. A loop that just began gets one at a time, so that a function
#: is never called much further ahead than the loop has come.
MOST_AHEAD = 1024
SECONDS_AHEAD = 0.01


@dataclass(slots=True)
class LocalStream(Operator):
    """A segment's elements, computed when they are asked for."""

    segment: Segment
    feed: Feed
    settings: Settings
    arrivals: Arrivals | None = None
    pieces: Iterator[Piece] | None = None
    appetite: Appetite = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.appetite = Appetite(seconds=SECONDS_AHEAD)

    def pull(self, limit: int) -> Pulled:
        self.appetite.elements = limit
        while True:
            if self.arrivals is None:
                job = self.feed.next()
                if not isinstance(job, Job):
                    return job
                self.arrivals = Arrivals(job, self.settings.store)
            got = self.arrivals.pop(limit)
            if got is not None:
                return got
            if self.arrivals.spent:
                self._finish()
            else:
                self._compute(self.arrivals)

    def _compute(self, arrivals: Arrivals) -> None:
        """The next piece. Where Ctrl-C came in between, the next call computes from the last piece on again."""
        to, job = self.settings, arrivals.job
        if self.pieces is None:
            work = job.work.after(arrivals.watermark)
            payload = payload_of(to.store, job.inputs)
            self.pieces = execute(self.segment, work, payload, to.seed, to.epoch, self.appetite)
        pieces, self.pieces = self.pieces, None
        arrivals.add(next(pieces))
        self.pieces = pieces

    def _finish(self) -> None:
        if self.arrivals is not None:
            self.arrivals.close()
        self.arrivals = self.pieces = None

    def close(self) -> None:
        self._finish()
        self.feed.close()

    def snapshot(self, keep: Keep) -> State:
        raise FailedPreconditionError("an iterator in this process cannot be saved yet")

    def restore(self, state: State, find: Find) -> None:
        raise FailedPreconditionError("an iterator in this process cannot be set up again yet")


class LocalIterator(Iterator[Element]):
    """The elements of one pass, computed in this process.

    An element that fails raises; the next call goes on behind it. After the end `next()` raises
    StopIteration and `get_next()` OutOfRangeError, again and again.

    >>> from headrace import Dataset
    >>> iterator = Dataset.range(1).make_one_shot_iterator()
    >>> iterator.get_next()
    np.int64(0)
    """

    def __init__(self, node: Node, seed: int, epoch: int) -> None:
        self._store = Store()
        settings = Settings(
            self._store,
            seed,
            epoch,
            stream=lambda segment, feed: LocalStream(segment, feed, settings),
            cut=lambda leaf, path: (0, None),
            rows_each=lambda rows: max(1, rows),
            buffer_bytes=buffer_bytes_of(node) or BUFFER_BYTES,
            folder=str(Path.cwd()),
        )
        self._operator: Operator = build(node, settings)
        self._ready: Iterator[Element] = iter(())
        self._rest = NOTHING  #: Of what was pulled last: what is of another structure than the elements before.
        self._ahead = 1
        self._ended = False

    def __iter__(self) -> LocalIterator:
        return self

    def __next__(self) -> Element:
        for element in self._ready:
            return element
        if self._ended:
            raise StopIteration
        got = self._rest if len(self._rest) else self._operator.pull(self._ahead)
        if isinstance(got, np.ndarray):
            self._ahead = min(MOST_AHEAD, 2 * self._ahead)
            self._ready = self._deliver(got)
            return next(self._ready)
        if isinstance(got, Failed):
            self._ahead = 1
            raise got.error
        assert got is Signal.END, "in process nothing is waited for"
        self._ended = True
        self._operator.close()
        raise StopIteration

    def _deliver(self, handles: Handles) -> Iterator[Element]:
        count = self._store.alike(handles)
        first, self._rest = handles[:count], handles[count:]
        block = self._store.whole(first) or self._store.gather(first)
        self._store.release(first)
        return delivered(block)

    def get_next(self) -> Element:
        """The next element; OutOfRangeError at the end."""
        try:
            return next(self)
        except StopIteration:
            raise OutOfRangeError("End of sequence") from None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{': at its end' if self._ended else ''}>"


#: An element smaller than this is copied out, so that keeping it does not keep its whole block.
_SMALL = 4 << 10


def delivered(block: Block) -> Iterator[Element]:
    """The elements of a block, as their receiver owns them: writable, and alike whatever block they came in."""
    if all(column.rank == 0 for column in block.columns):
        return iter(block)
    rows = block.rows
    free = ([_free(each, rows) for each in components] for components in block.components())
    return map(block.structure.packer(), free)


def _free(component: Any, rows: int) -> Any:
    if not isinstance(component, np.ndarray) or component.base is None:
        return component
    if (rows > 1 and component.nbytes < _SMALL) or not component.flags.behaved:
        return component.copy()
    return component
