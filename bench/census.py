"""A census of processes over time: memory and descriptors of each, and whether they grow."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

__all__ = ["Census", "Life", "Slope", "Trend", "children"]


def children(pid: int) -> list[int]:
    """The living processes that it has started."""
    found: list[int] = []
    with suppress(OSError):  # it may just have ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def proportional_bytes(pid: int) -> int:
    """A process's memory, with what it shares divided by those who do (PSS)."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) * 1024


@dataclass(slots=True)
class Life:
    """One process, as often as it was looked at: seconds since the start, bytes, descriptors."""

    role: str
    pid: int
    samples: list[tuple[float, int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trend:
    """How a role's processes fared, all of them together."""

    role: str
    processes: int  #: Lives there were.
    mean_mb: float
    most_mb: float
    mb_per_hour: Slope  #: Least squares over the sums of each moment, after the warm-up.
    most_descriptors: int
    descriptors_per_hour: Slope
    longest_s: float  #: The longest life,
    longest_mb_per_hour: Slope  #: and its own slope, after its first fifth.


@dataclass(frozen=True, slots=True)
class Slope:
    """How much a line through values over time rises in an hour, and how far that is from certain."""

    rise: float
    error: float  #: Standard error.

    def __str__(self) -> str:
        return f"{self.rise:.1f} ± {self.error:.1f}"

    @classmethod
    def of(cls, times: Iterable[float], values: Iterable[float]) -> Slope:
        """Least squares over the means of minutes: moments that follow one another tell the same twice."""
        x, y = np.fromiter(times, float), np.fromiter(values, float)
        minutes = [x // 60 == each for each in np.unique(x // 60)]
        if len(minutes) < 4:  # too little to say
            return cls(0.0, 0.0)
        means = [x[each].mean() / 3600 for each in minutes], [y[each].mean() for each in minutes]
        (rise, _), covariance = np.polyfit(*means, 1, cov=True)
        return cls(round(float(rise), 1), round(float(covariance[0, 0]) ** 0.5, 1))


class Census:
    """Looks at processes by role, again and again."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.lives: dict[tuple[str, int], Life] = {}

    def look(self, roles: Mapping[str, Iterable[int]]) -> None:
        """At these pids now; those that end meanwhile are left out."""
        now = time.monotonic() - self.began
        for role, pids in roles.items():
            for pid in pids:
                try:
                    sample = now, proportional_bytes(pid), len(os.listdir(f"/proc/{pid}/fd"))
                except (OSError, StopIteration):
                    continue
                self.lives.setdefault((role, pid), Life(role, pid)).samples.append(sample)

    def trends(self, after_s: float) -> list[Trend]:
        """Of each role, from so many seconds after the start."""
        return [self._trend(role, after_s) for role in dict.fromkeys(role for role, _ in self.lives)]

    def _trend(self, role: str, after_s: float) -> Trend:
        lives = [life for life in self.lives.values() if life.role == role]
        moments: dict[float, list[int]] = defaultdict(lambda: [0, 0])
        for life in lives:
            for at, nbytes, descriptors in life.samples:
                if at >= after_s:
                    moments[at][0] += nbytes
                    moments[at][1] += descriptors
        times, megabytes = list(moments), [each[0] / 1e6 for each in moments.values()]
        counts = [each[1] for each in moments.values()]
        longest = max(lives, key=lambda life: life.samples[-1][0] - life.samples[0][0])
        settled = longest.samples[len(longest.samples) // 5 :]
        return Trend(
            role=role,
            processes=len(lives),
            mean_mb=round(float(np.mean(megabytes or [0.0])), 1),
            most_mb=round(max(megabytes, default=0.0), 1),
            mb_per_hour=Slope.of(times, megabytes),
            most_descriptors=max(counts, default=0),
            descriptors_per_hour=Slope.of(times, counts),
            longest_s=round(longest.samples[-1][0] - longest.samples[0][0], 1),
            longest_mb_per_hour=Slope.of((at for at, *_ in settled), (size / 1e6 for _, size, _ in settled)),
        )
