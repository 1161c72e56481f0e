"""Arrivals: the pieces of one job, in order, as they come in and are handed on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .counts import Counts
from .feeds import Job, state_of
from .lineage import Hopped, Lineage
from .operators.protocol import Failed, Keep, State
from .store import Handles, Store
from .verdicts import Verdicts
from .work import BEHIND, Piece, Work

__all__ = ["Arrivals"]

_Numbers: TypeAlias = npt.NDArray[np.int64]
#: Elements, their positions, about how many bytes each takes, and how many were left out before each.
_Run: TypeAlias = "tuple[Handles, _Numbers, int, _Numbers | None]"


@dataclass(slots=True)
class Arrivals:
    """What has come of a job: counts input positions itself, and knows what is missing from them alone."""

    job: Job
    store: Store
    verdicts: Verdicts = field(default_factory=Verdicts)  #: What is decided about elements that failed.
    counts: Counts = field(default_factory=Counts)  #: To which what is consumed of it goes.
    watermark: int = field(init=False)  #: All input positions before this one are covered.
    complete: bool = False
    consumed: int = field(init=False)  #: All elements before this position were handed on.
    waiting_bytes: int = 0  #: About how much arrived and was not handed on.
    nbytes: int = 0  #: Of all that arrived,
    pieces: int = 0  #: and in how many pieces.
    _inputs: Lineage | None = None  #: Of what the elements handed along were made.
    _queue: deque[_Run | tuple[Failed | int, int]] = field(default_factory=deque)  #: A number of such left out, too.

    #: States of a sequential function: that before what is not consumed, and behind each piece that came since.
    states: deque[tuple[int, bytes]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.watermark = self.consumed = self.job.work.start
        if self.job.work.since is not None:
            self.states.append((self.job.work.since, self.job.state))
        if self.job.work.origin and self.job.work.origin not in self.store.works:
            self.store.opened(replace(self.job.work, segment=self.job.segment))

    def add(self, piece: Piece) -> None:
        """Take the next piece; it must begin at the watermark."""
        assert piece.first == self.watermark, "pieces come in order"
        if piece.block is not None and piece.identities is not None and piece.positions is not None:
            derived, lineage = self.job.derived, self._lineage(piece)
            handles = self.store.add(piece.block, piece.identities, derived, lineage, piece.tags)
            self._queue.append((handles, piece.positions, piece.nbytes // max(1, len(handles)), piece.gaps))
        elif piece.error is not None:
            self._queue.append((self.verdicts.failed(self.job, self.store, piece), piece.first))
        elif piece.left_out:
            self._queue.append((piece.left_out, piece.first))
        self.waiting_bytes += piece.nbytes
        self.nbytes += piece.nbytes
        self.pieces += 1
        self.watermark = piece.next
        if piece.state is not None:
            self.states.append((piece.next, piece.state))
        stop = BEHIND if self.job.work.stop is None else self.job.work.stop
        self.complete = piece.last or piece.next >= stop
        self._advance()

    def _lineage(self, piece: Piece) -> Lineage | None:
        """From which of the elements handed along those of a piece came; None where that is more than they take."""
        if self.job.inputs is None or piece.block is None or piece.positions is None or piece.identities is None:
            return None
        if self.states or not self.job.derived:
            return None  # of a state, too; or no more than read
        inputs = self._made(self.job.inputs)
        index, within = np.divmod(piece.positions, self.job.grain)
        path, used = self.job.work.segment, index
        if self.job.grain > 1:
            used, index = np.unique(index, return_inverse=True)
        if inputs.nbytes * len(used) > len(inputs) * (64 * len(index) + 4 * piece.block.nbytes):
            return None
        inputs = inputs.rows(used)
        if self.job.grain > 1:
            return Hopped(path, inputs, piece.identities, index.astype(np.int64), within)
        return Hopped(path, inputs, piece.identities)

    def _made(self, inputs: Handles) -> Lineage:
        if self._inputs is None:
            self._inputs = self.store.lineage(inputs)
        return self._inputs

    @property
    def told(self) -> int:
        """How much it takes to tell of what the elements handed along were made, in bytes."""
        return 0 if self.job.inputs is None else self._made(self.job.inputs).nbytes

    def pop(self, limit: int) -> Handles | Failed | None:
        """Up to `limit` elements, or a failed one; None where nothing waits."""
        if not self._queue:
            return None
        first = self._queue.popleft()
        if isinstance(first[0], Failed):
            self._advance()
            return first[0]
        handles, positions, each, gaps = first  # type: ignore[misc]
        if gaps is not None:
            self.counts.filtered += int(gaps[1 : limit + (len(handles) <= limit)].sum())
        if len(handles) > limit:
            self._queue.appendleft((handles[limit:], positions[limit:], each, None if gaps is None else gaps[limit:]))
            handles = handles[:limit]
        self.waiting_bytes = max(0, self.waiting_bytes - each * len(handles)) if self._queue else 0
        self._advance()
        return handles

    def _advance(self) -> None:
        """All before the first that waits is consumed, and what was left out there is counted."""
        self._advance_queue()
        while len(self.states) > 1 and self.states[1][0] <= self.consumed:
            self.states.popleft()

    def _advance_queue(self) -> None:
        counts, queue = self.counts, self._queue
        while queue and isinstance(left_out := queue[0][0], int):
            counts.filtered += left_out
            queue.popleft()
        if not queue:
            self.consumed = self.watermark
        elif len(queue[0]) == 2:
            self.consumed = queue[0][1]
        else:
            handles, positions, each, gaps = queue[0]
            self.consumed = int(positions[0])
            if gaps is not None and gaps[0]:
                counts.filtered += int(gaps[0])
                queue[0] = handles, positions, each, np.concatenate([[0], gaps[1:]])

    @property
    def left(self) -> Work:
        """What is still to be computed."""
        work = self.job.work.after(self.watermark)
        return replace(work, since=self.states[-1][0]) if self.states else work

    @property
    def carried(self) -> bytes:
        """The state with which that begins, where its function is sequential."""
        return self.states[-1][1] if self.states else b""

    def state(self, keep: Keep) -> State:
        """What of it is not consumed yet, as plain data."""
        return state_of(self.job, self.consumed, keep, self.states[0] if self.states else None)

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
            self.job.done(self.nbytes, self.pieces)
