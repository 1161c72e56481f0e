"""The outbox: what was produced and is not yet acknowledged, kept so that it can be sent again, identically."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..pipeline.blocks import Block
from ..pipeline.errors import HeadraceError

__all__ = ["Outbox", "Parcel"]

#: A parcel takes about so many bytes beside its block.
PARCEL_BYTES = 512


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """Elements `first` and on of one consumer, or one failed element."""

    first: int
    count: int
    block: Block | None
    error: HeadraceError | None
    checksum: int
    mask: bool = True  #: False where it fills up a round.

    @property
    def next(self) -> int:
        """The number of the element behind it."""
        return self.first + self.count

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return PARCEL_BYTES + (self.block.nbytes if self.block is not None else 0)


@dataclass(slots=True)
class Outbox:
    """Parcels of one consumer in order, from the first that is not wholly acknowledged."""

    produced: int = 0  #: Elements put in so far, counted from the epoch's first.
    sent: int = 0  #: Elements sent so far in this session.
    acknowledged: int = 0
    skip: int = 0  #: Elements before this number need not be delivered: they were.
    left: bool = False  #: Whether the consumer wants nothing more: all counts as acknowledged.
    away: bool = False  #: Whether it is gone for so long that nothing is kept for it.
    nbytes: int = 0  #: Of all parcels in it.
    parcels: deque[Parcel] = field(default_factory=deque)

    def put(self, parcel: Parcel) -> None:
        """One more parcel, directly behind the last."""
        assert parcel.first == self.produced, "parcels follow one another"
        self.produced = parcel.next
        self.parcels.append(parcel)
        self.nbytes += parcel.nbytes
        if self.away:
            self.depart()
        elif not self.wants(parcel.next):
            self.sent = self.produced
            self.acknowledge(parcel.next)

    def wants(self, end: int) -> bool:
        """Whether anything of the elements before `end` is still to be delivered."""
        return end > self.skip and not (self.left or self.away)

    def acknowledge(self, cursor: int) -> bool:
        """All before `cursor` is done with; whether that is news."""
        if cursor <= self.acknowledged:
            return False
        self.acknowledged = cursor
        while self.parcels and self.parcels[0].next <= cursor:
            self.nbytes -= self.parcels.popleft().nbytes
        return True

    def leave(self) -> None:
        """The consumer wants nothing more, for now."""
        self.left = True
        self.sent = self.produced
        self.acknowledge(self.produced)

    def depart(self) -> None:
        """Nobody is there: nothing is kept, and what was not acknowledged is computed again for whoever comes."""
        self.away, self.sent, self.nbytes = True, self.produced, 0
        self.parcels.clear()

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
