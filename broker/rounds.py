"""Rounds: a stream of elements dealt out to the consumers of a job, one to each, round by round.

Of n consumers number i gets elements i, n + i, 2 n + i, ... behind the epoch's base, each consumer through an outbox
of its own. Nothing of a round goes into any outbox before all of it is there, or the end is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..pipeline.columns import Array
from ..pipeline.errors import HeadraceError
from ..pipeline.kernels.identity import chain
from ..pipeline.store import Handles, Store
from .outbox import Outbox, Parcel

__all__ = ["EVEN", "Room", "Rounds"]

#: What becomes of the elements of a last round that is not full: nobody gets them, or its first one fills it up.
EVEN = ("drop", "pad")
#: Memory for a block of so many bytes that a consumer shares; None where it shares none, or has no more.
Room: TypeAlias = Callable[[int, int], "Array | None"]
#: An element of a round that is not full: its handle, how it failed, or None for one that was delivered before.
_Waiting: TypeAlias = "int | HeadraceError | None"


@dataclass(slots=True, eq=False)
class Rounds:
    """What is dealt out, to whom, and how far that has come."""

    consumers: int = 1
    base: int = 0  #: Elements of the epoch before this one are for nobody: what is played to get to a token.
    even: str = "drop"
    room: Room | None = None
    store: Store = field(default_factory=Store)
    produced: int = 0  #: Elements of the epoch that came, from its first, whoever is to have them.
    dropped: int = 0  #: Of a last round that was not full.
    padded: int = 0  #: Elements that filled it up.
    each_bytes: float = 0.0  #: Of an element delivered, learnt.
    outboxes: list[Outbox] = field(init=False)
    checksums: list[int] = field(init=False)  #: Of each consumer's elements up to now.
    _all: int = 0  #: The checksum of all elements; with one consumer it is that one's.
    _waiting: list[_Waiting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outboxes = [Outbox() for _ in range(self.consumers)]
        self.checksums = [0] * self.consumers

    @property
    def checksum(self) -> int:
        """Of all elements of the epoch that came."""
        return self._all if self.consumers > 1 else self.checksums[0]

    @property
    def made(self) -> int:
        """Rounds that are complete; below 0 before the base is reached."""
        return (self.produced - self.base) // self.consumers

    @property
    def acknowledged(self) -> int:
        """Rounds that all consumers that are there are done with."""
        there = (each.acknowledged for each in self.outboxes if not (each.left or each.away))
        return min(there, default=max(0, self.made))

    @property
    def settled(self) -> int:
        """Elements of the epoch, from its first, that nobody will need again."""
        needed = (each.acknowledged for each in self.outboxes if not each.left)
        return self.base + self.consumers * min(needed, default=max(0, self.made))

    @property
    def nbytes(self) -> int:
        """Of all that is not acknowledged."""
        return sum(each.nbytes for each in self.outboxes)

    @property
    def filled_up(self) -> int:
        """By fewer elements than this the end of an epoch can lie behind its last one, as consumers count."""
        return self.consumers if self.even == "pad" else 1

    @property
    def lacking(self) -> int:
        """Elements that the round at hand still lacks."""
        return self.consumers - len(self._waiting)

    def again(self, store: Store) -> Rounds:
        """The same from the start of the epoch, for consumers that have what they have."""
        other = Rounds(self.consumers, self.base, self.even, self.room, store)
        for new, old in zip(other.outboxes, self.outboxes, strict=True):
            new.skip, new.left, new.away = old.skip, old.left, old.away
        return other

    def to_data(self) -> dict[str, Any]:
        """How far it has come, for a checkpoint."""
        data: dict[str, Any] = {"cursor": self.produced, "checksum": self.checksum}
        if self.consumers > 1:
            waiting = [self._chained(consumer, each) for consumer, each in enumerate(self._waiting)]
            data["checksums"] = [*waiting, *self.checksums[len(waiting) :]]
        return data

    def _chained(self, consumer: int, each: _Waiting) -> int:
        """A consumer's checksum once it has this, too."""
        return (
            self._next_checksum(consumer, np.array([each], np.int64))
            if isinstance(each, int)
            else self.checksums[consumer]
        )

    def _next_checksum(self, consumer: int, handles: Handles) -> int:
        return int(chain(np.uint64(self.checksums[consumer]), self.store.identities(handles)))

    def begin(self, data: dict[str, Any]) -> None:
        """Begin where `to_data` says."""
        self.produced, self._all = data["cursor"], data["checksum"]
        behind = self.produced - self.base
        if self.consumers == 1:
            self.checksums = [data["checksum"]]
        elif behind > 0:  # else it was taken before anything was dealt out to these consumers
            self.checksums = list(data["checksums"])
        self._waiting = [None] * (behind % self.consumers if behind > 0 else 0)
        for consumer, outbox in enumerate(self.outboxes):
            had = max(0, (behind - consumer + self.consumers - 1) // self.consumers)
            outbox.produced = outbox.sent = outbox.acknowledged = had

    # What is dealt out.

    def deal(self, handles: Handles) -> None:
        """The next elements, in order."""
        if self.consumers > 1:
            self._all = int(chain(np.uint64(self._all), self.store.identities(handles)))
        behind = min(len(handles), max(0, self.base - self.produced))
        self.produced += len(handles)
        if behind:
            handles = self._pass_over(handles, behind)
        if self.consumers == 1:
            self._give(0, handles)
        else:
            self._share_out(handles)

    def _pass_over(self, handles: Handles, count: int) -> Handles:
        """Leave out what lies before the base; the rest."""
        if self.consumers == 1:
            self.checksums[0] = self._next_checksum(0, handles[:count])
        self.store.release(handles[:count])
        return handles[count:]

    def _share_out(self, handles: Handles) -> None:
        """To each its own of all whole rounds; the rest waits."""
        if self._waiting and all(isinstance(each, int) for each in self._waiting):
            handles = np.concatenate([np.array(self._waiting, np.int64), handles])
            self._waiting = []
        elif self._waiting:
            handles = self._fill_up(handles)
        whole = len(handles) // self.consumers * self.consumers
        for consumer in range(self.consumers):
            self._give(consumer, handles[consumer : whole : self.consumers])
        self._waiting += handles[whole:].tolist()

    def _fill_up(self, handles: Handles) -> Handles:
        """Complete a round of which something failed or was delivered before; the rest."""
        lacking = self.lacking
        self._waiting += handles[:lacking].tolist()
        self._complete()
        return handles[lacking:]

    def _complete(self) -> None:
        """Give a round that is full, one by one."""
        if len(self._waiting) < self.consumers:
            return
        for consumer, each in enumerate(self._waiting):
            if each is not None:
                self._hand(consumer, each)
        self._waiting = []

    def fail(self, error: HeadraceError) -> None:
        """The next element is one that failed."""
        self.produced += 1
        if self.produced <= self.base:
            return
        self._waiting.append(error)
        self._complete()

    def finish(self) -> None:
        """No element comes any more: what becomes of a round that is not full."""
        if not self._waiting:
            return
        rest, self._waiting = self._waiting, []
        if self.even == "pad":
            first = rest[0]
            for consumer in range(len(rest), self.consumers):
                self._pad(consumer, first)
            self.padded = self.consumers - len(rest)
            for consumer, each in enumerate(rest):
                if each is not None:
                    self._hand(consumer, each)
        else:
            self.dropped = len(rest)
            self.store.release(np.array([each for each in rest if isinstance(each, int)], np.int64))

    def _pad(self, consumer: int, first: _Waiting) -> None:
        """The first element of the last round once more, for a consumer for whom there is none."""
        if isinstance(first, int):
            self._put(consumer, np.array([first], np.int64), mask=False)
        else:
            self._hand(consumer, first, mask=False)

    def _hand(self, consumer: int, each: _Waiting, mask: bool = True) -> None:
        if isinstance(each, int):
            self._give(consumer, np.array([each], np.int64))
        else:
            first = self.outboxes[consumer].produced
            self.outboxes[consumer].put(Parcel(first, 1, None, each, self.checksums[consumer], mask))

    def _give(self, consumer: int, handles: Handles) -> None:
        """Elements to one consumer. Those of unlike structure travel apart."""
        while len(handles):
            count = self.store.together(handles)
            self._put(consumer, handles[:count])
            self.store.release(handles[:count])
            handles = handles[count:]

    def _put(self, consumer: int, handles: Handles, mask: bool = True) -> None:
        outbox = self.outboxes[consumer]
        checksum = self.checksums[consumer] = self._next_checksum(consumer, handles)
        block = self.store.whole(handles)
        if outbox.wants(outbox.produced + len(handles)):
            room = partial(self.room, consumer) if self.room is not None else None
            block = block or self.store.gather(handles, allocate=room)
            self.each_bytes = block.nbytes / block.rows
        outbox.put(Parcel(outbox.produced, len(handles), block, None, checksum, mask))
