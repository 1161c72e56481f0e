"""Ruling: chunks from which what was decided to have failed is taken out, whatever came of it this time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from .errors import PipelineError
from .readers import Chunk, failed, nothing, rows_of
from .work import BEHIND, Work

__all__ = ["failed_before", "ruled"]


def ruled(chunks: Iterable[Chunk], work: Work) -> Iterator[Chunk]:
    """The chunks of a unit of work, with one failure in the place of each of its rulings.

    Why it failed is known to whoever ruled so, and not said here.
    """
    waiting, position = deque(each for each in work.ruled if each[0] >= work.start), work.start
    for chunk in chunks:
        while waiting and waiting[0][0] < chunk.next:
            first, end = waiting.popleft()
            if first > position:
                yield _part(chunk, position, first)
            position = max(position, end)
            yield failed_before(position)
            if position >= BEHIND:
                return
        if position < chunk.next:
            yield _part(chunk, position, chunk.next)
            position = chunk.next
    for _, end in waiting:  # there is less now than there was
        position = max(position, end)
        yield failed_before(position)


def failed_before(position: int) -> Chunk:
    """A failure that covers the input up to a position."""
    return failed(PipelineError("it failed before, and is not computed again"), position)


def _part(chunk: Chunk, first: int, end: int) -> Chunk:
    """What a chunk has from one position to before another."""
    if chunk.error is not None:
        return replace(chunk, next=end)
    low, high = np.searchsorted(chunk.offsets, [first, end]).tolist()
    if low == high:
        return nothing(end)
    if (low, high) == (0, len(chunk.offsets)):
        return replace(chunk, next=end)
    who = None if chunk.identities is None else chunk.identities[low:high]
    names = chunk.names
    shifted = None if names is None else lambda row: names(row + low)
    return Chunk(rows_of(chunk.block, low, high), chunk.offsets[low:high], end, who, shifted)
