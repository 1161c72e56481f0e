"""The outbox: what was produced and is not yet acknowledged, kept so that it can be sent again, identically."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..pipeline.blocks import Block
from ..pipeline.errors import HeadraceError

__all__ = ["Outbox", "Parcel"]


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """Elements `first` and on, or one failed element."""

    first: int
    count: int
    block: Block | None
    error: HeadraceError | None
    checksum: int

    @property
    def next(self) -> int:
        """The number of the element behind it."""
        return self.first + self.count


@dataclass(slots=True)
class Outbox:
    """Parcels in order, from the first that is not wholly acknowledged."""

    produced: int = 0  #: Elements put in so far, counted from the epoch's first.
    sent: int = 0  #: Elements sent so far in this session.
    acknowledged: int = 0
    parcels: deque[Parcel] = field(default_factory=deque)

    def put(self, parcel: Parcel) -> None:
        """One more parcel, directly behind the last."""
        assert parcel.first == self.produced, "parcels follow one another"
        self.produced = parcel.next
        self.parcels.append(parcel)

    def acknowledge(self, cursor: int) -> bool:
        """All before `cursor` is done with; whether that is news."""
        if cursor <= self.acknowledged:
            return False
        self.acknowledged = cursor
        while self.parcels and self.parcels[0].next <= cursor:
            self.parcels.popleft()
        return True

    def unsent(self, until: int) -> Iterator[Parcel]:
        """Parcels that begin before `until` and were not sent yet; they count as sent."""
        for parcel in self.parcels:
            if parcel.first >= self.sent and parcel.first < until:
                self.sent = parcel.next
                yield parcel

    def rewind(self, cursor: int) -> None:
        """What lies at `cursor` and behind it goes out again."""
        starts = [each.first for each in self.parcels if each.next > cursor]
        self.sent = starts[0] if starts else self.produced

    def bytes_from(self, cursor: int) -> int:
        """Of what was sent, from element `cursor` on."""
        sent = (each for each in self.parcels if each.next > cursor and each.first < self.sent)
        return sum(each.block.nbytes for each in sent if each.block is not None)

    def reaches(self, cursor: int) -> bool:
        """Whether elements from `cursor` on can still be given."""
        first = self.parcels[0].first if self.parcels else self.produced
        return first <= cursor

    def touched(self, cursor: int) -> bool:
        """Whether a training loop may have written into any of the elements from `cursor` on, which it shares."""
        return any(
            each.block is not None and each.block.lent and each.next > cursor and each.first < self.sent
            for each in self.parcels
        )
