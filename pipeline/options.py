"""Options: settings of a whole pipeline."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of a pipeline; what is None keeps what was set before."""

    #: What everything random is drawn from that has no seed of its own. Without it each Dataset draws one.
    seed: int | None = None
    #: Bytes that the window of each shuffle may take; one that would need more, by its first elements, is an error.
    buffer_bytes: int | None = None
