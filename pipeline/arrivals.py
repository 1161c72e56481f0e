"""Arrivals: the pieces of one job, in order, as they come in and are handed on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .feeds import Job
from .operators.protocol import Failed
from .store import Handles, Store
from .work import BEHIND, Piece

__all__ = ["Arrivals"]

#: Elements, their positions, and about how many bytes each takes.
_Run: TypeAlias = "tuple[Handles, npt.NDArray[np.int64], int]"


@dataclass(slots=True)
class Arrivals:
    """What has come of a job: counts input positions itself, and knows what is missing from them alone."""

    job: Job
    store: Store
    watermark: int = field(init=False)  #: All input positions before this one are covered.
    complete: bool = False
    consumed: int = field(init=False)  #: All elements before this position were handed on.
    waiting_bytes: int = 0  #: About how much arrived and was not handed on.
    nbytes: int = 0  #: Of all that arrived.
    _queue: deque[_Run | tuple[Failed, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.watermark = self.consumed = self.job.work.start

    def add(self, piece: Piece) -> None:
        """Take the next piece; it must begin at the watermark."""
        assert piece.first == self.watermark, "pieces come in order"
        if piece.block is not None and piece.identities is not None and piece.positions is not None:
            handles = self.store.add(piece.block, piece.identities, self.job.inputs is not None)
            self._queue.append((handles, piece.positions, piece.nbytes // max(1, len(handles))))
        elif piece.error is not None:
            self._queue.append((Failed(piece.error), piece.first))
        self.waiting_bytes += piece.nbytes
        self.nbytes += piece.nbytes
        self.watermark = piece.next
        stop = BEHIND if self.job.work.stop is None else self.job.work.stop
        self.complete = piece.last or piece.next >= stop
        self._advance()

    def pop(self, limit: int) -> Handles | Failed | None:
        """Up to `limit` elements, or a failed one; None where nothing waits."""
        if not self._queue:
            return None
        first = self._queue.popleft()
        if isinstance(first[0], Failed):
            self._advance()
            return first[0]
        handles, positions, each = first
        if len(handles) > limit:
            self._queue.appendleft((handles[limit:], positions[limit:], each))
            handles = handles[:limit]
        self.waiting_bytes = max(0, self.waiting_bytes - each * len(handles)) if self._queue else 0
        self._advance()
        return handles

    def _advance(self) -> None:
        if not self._queue:
            self.consumed = self.watermark
            return
        where = self._queue[0][1]
        self.consumed = where if isinstance(where, int) else int(where[0])

    @property
    def spent(self) -> bool:
        """Whether everything came and was handed on."""
        return self.complete and not self._queue

    @property
    def abandoned(self) -> bool:
        """Whether the rest of the file cannot be read, and that was handed on."""
        return self.consumed >= BEHIND

    @property
    def waiting(self) -> bool:
        """Whether something came and was not yet handed on."""
        return bool(self._queue)

    def close(self) -> None:
        """Give back what was not handed on, and the elements that were handed along."""
        for first, *_ in self._queue:
            if isinstance(first, np.ndarray):
                self.store.release(first)
        self._queue.clear()
        if self.job.inputs is not None:
            self.store.release(self.job.inputs)
        if self.complete and self.job.done is not None:
            self.job.done(self.nbytes)
