"""Whereabouts: which jobs each worker is at, or was a moment ago. What it prints is theirs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["LATELY_S", "Whereabouts"]

#: What a worker prints is of a job, too, whose lease it held so many seconds ago: its last word comes by another way.
LATELY_S = 2.0


@dataclass(slots=True)
class Whereabouts:
    """When each worker last held a lease of each job.

    >>> seen = Whereabouts()
    >>> seen.note("w", [7], 0.0)
    >>> seen.jobs("w", LATELY_S), seen.jobs("w", LATELY_S + 1), seen.jobs("other", 0.0)
    ({7}, set(), set())
    """

    seen: dict[str, dict[int, float]] = field(default_factory=dict)

    def note(self, worker: str, jobs: Iterable[int], now: float) -> None:
        """It holds leases of these."""
        if found := dict.fromkeys(jobs, now):
            self.seen.setdefault(worker, {}).update(found)

    def jobs(self, worker: str, now: float) -> set[int]:
        """Those that it is at."""
        return {job for job, at in self.seen.get(worker, {}).items() if now - at <= LATELY_S}

    def forget(self, now: float) -> None:
        """What is long ago."""
        for worker in list(self.seen):
            self.seen[worker] = {job: self.seen[worker][job] for job in self.jobs(worker, now)}
            if not self.seen[worker]:
                del self.seen[worker]
