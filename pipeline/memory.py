"""The memory of a cache: what came out of its input in the first pass, to be given again in those that follow."""

from __future__ import annotations

from bisect import bisect_right
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from .lineage import Itself, Leaf, Lineage, together
from .operators.protocol import Failed
from .place import Path
from .store import Handles, Store
from .work import Work

__all__ = ["Content", "Draft", "Key", "Memory"]

#: Elements that came a few at a time are put together, up to about so much.
PORTION_BYTES = 1 << 20
PORTION_ELEMENTS = 4096

#: A seed, and the path of a cache.
Key: TypeAlias = tuple[int, Path]
#: How much was filtered and ignored below the cache.
_Counts: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """Some elements and of what they were made, or one that failed."""

    first: int  #: How many came before, failed ones too.
    elements: Itself | Failed
    lineage: Lineage | None
    counts: _Counts  #: Up to its end.

    def __len__(self) -> int:
        return 1 if isinstance(self.elements, Failed) else len(self.elements)

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        own = 0 if isinstance(self.elements, Failed) else self.elements.nbytes
        return own + (0 if self.lineage is None else self.lineage.nbytes)

    def give(self, store: Store, low: int, limit: int) -> Handles | Failed:
        """Copies of its elements from row `low` on; or how it failed."""
        if isinstance(self.elements, Failed):
            return _again(self.elements)
        assert self.lineage is not None, "elements were made of something"
        rows = np.arange(low, min(low + limit, len(self)))
        found, lineage = self.elements.rows(rows), self.lineage.rows(rows)
        leaf = isinstance(lineage, Leaf)
        return store.add(found.block, found.identities, not leaf, None if leaf else lineage)


def _again(failed: Failed) -> Failed:
    """The same failure, whose error can be raised once more."""
    error = copy(failed.error).with_traceback(None)
    error.__cause__ = failed.error.__cause__
    return replace(failed, error=error)


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """All that a cache's input gave."""

    portions: list[Portion]
    works: dict[int, Work]  #: Where elements come from, for what is told of them in checkpoints.
    paths: dict[int, str]
    counts: _Counts

    def at(self, number: int) -> Portion | None:
        """The portion of a number; None behind the last."""
        place = bisect_right(self.portions, number, key=lambda each: each.first) - 1
        found = self.portions[place] if place >= 0 else None
        return found if found is not None and number < found.first + len(found) else None


@dataclass(slots=True)
class Draft:
    """A content that is being collected."""

    budget: int  #: Bytes that it may take.
    nbytes: int = 0
    count: int = 0  #: What came, failed ones too.
    portions: list[Portion] = field(default_factory=list)
    open: list[tuple[Itself, Lineage]] = field(default_factory=list)  #: What comes into the next portion.
    open_bytes: int = 0
    open_count: int = 0
    counts: _Counts = (0, 0)

    @property
    def full(self) -> bool:
        """Whether it has become too large."""
        return self.nbytes + self.open_bytes > self.budget

    def add(self, store: Store, got: Handles | Failed, counts: _Counts) -> None:
        """What came next, and how much was left out up to its end; elements are copied."""
        if isinstance(got, Failed):
            self._close()
            self._append(got, None, counts)
            return
        while len(got):
            some = got[: store.alike(got)]
            elements = Itself(store.identities(some), store.gather(some))
            if self.open and self.open[0][0].kind() != elements.kind():
                self._close()
            lineage = store.lineage(some)
            self.open.append((elements, lineage))
            self.open_bytes += elements.nbytes + lineage.nbytes
            self.open_count += len(some)
            self.counts = counts
            if self.open_bytes >= PORTION_BYTES or self.open_count >= PORTION_ELEMENTS:
                self._close()
            got = got[len(some) :]

    def _close(self) -> None:
        """What waits becomes a portion."""
        if not self.open:
            return
        first, *rest = (elements for elements, _ in self.open)
        joined = first.join(rest) if rest else first
        lineage = together([each for _, each in self.open])
        self.open, self.open_bytes, self.open_count = [], 0, 0
        self._append(joined, lineage, self.counts)

    def _append(self, elements: Itself | Failed, lineage: Lineage | None, counts: _Counts) -> None:
        self.portions.append(Portion(self.count, elements, lineage, counts))
        self.count += len(self.portions[-1])
        self.nbytes += self.portions[-1].nbytes

    def finish(self, store: Store, counts: _Counts) -> Content:
        """All of it came."""
        self._close()
        return Content(self.portions, dict(store.works), dict(store.paths), counts)


@dataclass(slots=True, eq=False)
class Memory:
    """What the caches of one pipeline hold, by its seed and the path of each; and which hold nothing."""

    contents: dict[Key, Content] = field(default_factory=dict)
    too_large: set[Key] = field(default_factory=set)

    def clear(self) -> None:
        """Forget all."""
        self.contents.clear()
