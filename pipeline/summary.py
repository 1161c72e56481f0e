"""A summary of an epoch: how much, how fast, and who waited for whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from .blocks import Block
from .nodes import Batch, Node, PaddedBatch
from .structure import flatten_as_is

__all__ = ["Summary", "Tally", "batches"]


def batches(node: Node) -> bool:
    """Whether batches come out of a pipeline."""
    return isinstance(node, Batch | PaddedBatch) or any(map(batches, node.inputs))


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
    ledger: dict[str, Any] = field(default_factory=dict)  #: What became of all elements (docs/errors.md);
    #: from a service once the epoch has ended.
    local: bool = False  #: Whether elements are computed in this process.
    _came: float = 0.0
    _left: float | None = None

    def loop_came(self) -> float:
        """The loop asks for an element; when, on the monotonic clock."""
        self._came = monotonic()
        if self._left is not None:
            self.trained_s += self._came - self._left
        return self._came

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
            parts.append(f"{self.computed:,} computed {'here' if self.local else 'by workers'}")
        parts += [f"{self.ledger[kind]:,} {kind}" for kind in _TOLD if self.ledger.get(kind)]
        parts.append(f"waited {self.waited_s:.2f} s for data, trained {self.trained_s:.2f} s: {who} ({share:.0f} %)")
        return "; ".join(parts)


@dataclass(slots=True)
class Tally:
    """Counts and times of an iteration in this process, from which a summary is made when it is asked for."""

    batched: bool
    first: int = 0  #: What was taken before, by another iterator.
    failed: int = 0
    waited_s: float = 0.0
    _begun: float | None = None
    _last: float = 0.0
    _before: int = 0  #: Elements in what was taken before the block at hand.
    _block: list[int] = field(default_factory=list)  #: Elements in each row of that block.
    _at: int = 0  #: What was taken before that block.

    @contextmanager
    def waiting(self, taken: int) -> Iterator[None]:
        """The loop waits, having taken so many."""
        self._before, self._block, self._at = self._elements(taken), [], taken
        came = monotonic()
        self._begun = came if self._begun is None else self._begun
        try:
            yield
        finally:
            self._last = monotonic()
            self.waited_s += self._last - came

    def begins(self, block: Block) -> None:
        """The loop is given the rows of a block, one by one."""
        self._block = lengths_of(block, self.batched)

    def _elements(self, taken: int) -> int:
        return self._before + sum(self._block[: taken - self._at])

    def summary(self, taken: int, ledger: dict[str, Any]) -> Summary:
        """Up to the element taken last."""
        since = 0.0 if self._begun is None else self._last - self._begun
        delivered = taken - self.first - self.failed
        found = Summary(self.batched, delivered, self._elements(taken), self.waited_s, since - self.waited_s)
        found.ledger, found.local = ledger, True
        return found


#: What of the ledger is told where it is not 0.
_TOLD = ("filtered", "skipped", "failed", "dropped", "padded", "repeated")


def lengths_of(block: Block, batched: bool) -> list[int]:
    """How many elements each row of a block holds: of batches, the first dimension of the first component."""
    column = block.columns[0] if batched and block.columns else None
    if column is None or column.rank == 0:
        return [1] * block.rows
    lengths: list[int] = column.shapes[:, 0].tolist() if column.shapes is not None else []
    return lengths or [column.values.shape[1]] * block.rows


def _length(delivered: Any) -> int:
    """How many elements a batch holds: the first dimension of its first component; 1 where it has none."""
    components, _ = flatten_as_is(delivered)
    shape = np.shape(components[0]) if components else ()
    return shape[0] if shape else 1
