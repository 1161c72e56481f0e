"""A summary of an epoch: how much, how fast, and who waited for whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from ..pipeline.structure import flatten_as_is

__all__ = ["Summary"]


@dataclass(slots=True)
class Summary:
    """What an epoch was, up to now.

    The loop waits for data, or the data for the loop: `waited_s` is the first, `trained_s` the second, in
    seconds; together they are the epoch.
    """

    batched: bool  #: Whether what is delivered are batches.
    delivered: int = 0  #: Batches, or elements where there are none.
    elements: int = 0  #: In them.
    waited_s: float = 0.0  #: The training loop, for the next element.
    trained_s: float = 0.0  #: Between elements: the loop's own work.
    ledger: dict[str, Any] = field(default_factory=dict)  #: The server's counts, once the epoch has ended.
    _came: float = 0.0
    _left: float | None = None

    def loop_came(self) -> None:
        """The loop asks for an element."""
        self._came = monotonic()
        if self._left is not None:
            self.trained_s += self._came - self._left

    def loop_left(self) -> None:
        """The loop goes with what it got."""
        self._left = monotonic()
        self.waited_s += self._left - self._came

    def count(self, delivered: Any) -> None:
        """One more element was handed over."""
        self.delivered += 1
        self.elements += _length(delivered) if self.batched else 1

    def finish(self, ledger: dict[str, Any]) -> None:
        """The epoch has ended."""
        self.ledger = ledger

    @property
    def seconds(self) -> float:
        """From the first request on."""
        return self.waited_s + self.trained_s

    @property
    def batches(self) -> int:
        """How many were delivered, where the pipeline makes batches."""
        return self.delivered if self.batched else 0

    @property
    def computed(self) -> int | None:
        """Elements that workers computed; None until the epoch has ended."""
        return self.ledger.get("computed")

    def __str__(self) -> str:
        share = 100 * self.waited_s / self.seconds if self.seconds else 0.0
        who = "the trainer waited for data" if share > 10 else "the workers kept ahead of the trainer"
        many = f"{self.elements:,} elements"
        many += f" in {self.delivered:,} batches" if self.batched else ""
        parts = [f"{many}, {self.seconds:.2f} s"]
        if self.computed is not None:
            parts.append(f"{self.computed:,} computed by workers")
        parts.append(f"waited {self.waited_s:.2f} s for data, trained {self.trained_s:.2f} s: {who} ({share:.0f} %)")
        return "; ".join(parts)


def _length(delivered: Any) -> int:
    """How many elements a batch holds: the first dimension of its first component; 1 where it has none."""
    components, _ = flatten_as_is(delivered)
    shape = np.shape(components[0]) if components else ()
    return shape[0] if shape else 1
