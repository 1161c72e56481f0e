"""The ledger: what became of all elements of an epoch, in numbers; and the sums of all epochs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["EFFORT", "STREAM", "Effort", "Totals"]

#: What is a property of the stream: the same however often any of it was computed, and whoever died.
STREAM = ("delivered", "filtered", "skipped", "failed", "dropped", "padded")
#: What was done for it, by this server since its start.
EFFORT = ("computed", "repeated", "duplicates", "fenced", "checkpoints")
#: Epochs of which it is remembered how much of them was counted.
REMEMBERED = 1024


@dataclass(slots=True)
class Effort:
    """What was done for an epoch."""

    computed: int = 0  #: Elements that came from workers.
    repeated: int = 0  #: Leases that ended before their split was complete, so that it was leased again.
    duplicates: int = 0  #: Pieces that came again, or out of turn, and were left out.
    fenced: int = 0  #: Pieces of leases that were over.
    checkpoints: int = 0

    def to_data(self) -> dict[str, int]:
        """As plain data."""
        return asdict(self)


@dataclass(slots=True)
class Totals:
    """Sums over all epochs since the server's start. None of them ever falls.

    A run that goes on from a checkpoint counts what is behind that once more; of the stream each element counts once.
    """

    _sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*STREAM, *EFFORT), 0))
    _reached: dict[tuple[int, int], dict[str, int]] = field(default_factory=dict)  #: By job and epoch.

    def note(self, job: int, epoch: int, ledger: dict[str, Any], over: bool = False) -> None:
        """The ledger of a run; with `over`, its last word."""
        reached = self._reached.setdefault((job, epoch), dict.fromkeys((*STREAM, *EFFORT), 0))
        for kind in (*STREAM, *EFFORT):
            if ledger[kind] > reached[kind]:
                self._sums[kind] += ledger[kind] - reached[kind]
                reached[kind] = ledger[kind]
        if over:  # the next run of it begins its work at nothing
            reached.update(dict.fromkeys(EFFORT, 0))
            self._forget()

    def _forget(self) -> None:
        while len(self._reached) > REMEMBERED:
            del self._reached[next(iter(self._reached))]

    def sums(self, running: Iterable[tuple[int, int, dict[str, Any]]] = ()) -> dict[str, int]:
        """Of what was noted, and of these runs: job, epoch and ledger."""
        for job, epoch, ledger in running:
            self.note(job, epoch, ledger)
        return dict(self._sums)
