"""Options: settings of a whole pipeline."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of a pipeline; what is None keeps what was set before."""

    #: What everything random is drawn from that has no seed of its own. Without it each Dataset draws one.
    seed: int | None = None
    #: Bytes that the window of each shuffle may take; one that would need more, by its first elements, is an error.
    buffer_bytes: int | None = None
    #: What becomes of an element that fails: "raise" (unless said otherwise), "skip" leaves it out, and so does the
    #: path of a file, to which each one that was left out is appended as a line of JSON (docs/errors.md).
    on_error: str | os.PathLike[str] | None = None
    #: How many elements of an epoch may be skipped, 1000 unless said otherwise; what fails beyond that raises.
    error_budget: int | None = None
