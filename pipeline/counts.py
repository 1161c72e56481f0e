"""Counts: how much of what an epoch's operators consumed did not come out of it.

They form a tree, as the pipeline does where elements are handed along: what is upstream of such a place is counted in a
branch of its own, which is saved together with the operators there. A checkpoint may have these stand further back
than what is behind them (see the broker's marks); what they consume again is then counted from there again, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Counts"]


@dataclass(slots=True, eq=False)
class Counts:
    """Of one part of a pipeline.

    >>> counts = Counts(filtered=2)
    >>> upstream = counts.branch()
    >>> upstream.filtered += 3
    >>> counts.all_filtered, counts.filtered
    (5, 2)
    >>> upstream.fold()
    >>> counts.all_filtered, counts.filtered
    (5, 5)
    """

    filtered: int = 0
    ignored: int = 0  #: Failed below an `ignore_errors`.
    skipped: int = 0  #: Failed and left out at the end of the pipeline.
    failed: int = 0  #: Failed and raised.
    _above: Counts | None = field(default=None, repr=False)
    _below: list[Counts] = field(default_factory=list, repr=False)

    def branch(self) -> Counts:
        """For what is upstream of here."""
        found = Counts(_above=self)
        self._below.append(found)
        return found

    def fold(self) -> None:
        """What is upstream is done with: its counts become those of what is behind it. A second call does nothing."""
        if self._above is not None:
            self._above.filtered += self.all_filtered
            self._above.ignored += self.all_ignored
            self._above._below = [each for each in self._above._below if each is not self]
            self._above = None

    @property
    def all_filtered(self) -> int:
        """Upstream, too."""
        return self.filtered + sum(each.all_filtered for each in self._below)

    @property
    def all_ignored(self) -> int:
        """Upstream, too."""
        return self.ignored + sum(each.all_ignored for each in self._below)

    def to_data(self) -> dict[str, int]:
        """As plain data, without what is upstream."""
        return {each: getattr(self, each) for each in ("filtered", "ignored", "skipped", "failed")}

    def ledger(self, count: int, checksum: int) -> dict[str, Any]:
        """What is a property of the stream, however often any of it was computed, in the words of the ledger."""
        skipped = self.skipped + self.all_ignored
        left = {"filtered": self.all_filtered, "skipped": skipped, "failed": self.failed}
        return {**left, "count": count, "checksum": checksum}
