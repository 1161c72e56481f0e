"""A trial: a pipeline iterated for nothing but to see how it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .digest import Digest, size_of
from .pipeline.nodes import Batch, Node, PaddedBatch
from .pipeline.summary import Summary

__all__ = ["Trial", "makes_batches"]


@dataclass(slots=True)
class Trial:
    """What was iterated so far, over all epochs."""

    batched: bool
    digest: Digest | None = None  #: Of all elements, where it is wanted.
    most: int | None = None  #: Elements an epoch that are enough.
    epochs: list[Summary] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  #: Bytes delivered, by epoch.
    told_at: float = 0.0  #: When somebody was last told how it goes.

    def go_through(self, elements: Iterator[Any], tell: Callable[[Trial], None]) -> None:
        """One epoch; `tell` is called after each element, and has to be quick."""
        summary = Summary(self.batched)
        self.epochs.append(summary)
        self.sizes.append(0)
        while self.most is None or summary.delivered < self.most:
            summary.loop_came()
            try:
                element = next(elements)
            except StopIteration:
                return
            finally:
                summary.loop_left()
            summary.count(element)
            self.sizes[-1] += size_of(element)
            if self.digest is not None:
                self.digest.add(element)
            tell(self)

    @property
    def seconds(self) -> float:
        """From the first request on, without what lay between epochs."""
        return sum(each.seconds for each in self.epochs)

    @property
    def waited_s(self) -> float:
        """For the next element."""
        return sum(each.waited_s for each in self.epochs)

    @property
    def size(self) -> int:
        """Bytes delivered."""
        return sum(self.sizes)

    @property
    def delivered(self) -> int:
        """Batches, or elements where there are none."""
        return sum(each.delivered for each in self.epochs)

    def show(self, epoch: int | None = None) -> str:
        """How much, how fast, on one line: of an epoch, or of all."""
        epochs = self.epochs if epoch is None else [self.epochs[epoch]]
        seconds = max(sum(each.seconds for each in epochs), 1e-9)
        elements, delivered = sum(each.elements for each in epochs), sum(each.delivered for each in epochs)
        many = f"{elements:,} elements" + (f" in {delivered:,} batches" if self.batched else "")
        size = self.size if epoch is None else self.sizes[epoch]
        fast = f"{elements / seconds:,.0f} elements/s, {size / seconds / 1e6:,.1f} MB/s"
        return f"{many}, {seconds:.1f} s, {fast}, waited {100 * sum(each.waited_s for each in epochs) / seconds:.0f} %"


def makes_batches(node: Node) -> bool:
    """Whether batches come out of a pipeline.

    >>> from headrace import Dataset
    >>> makes_batches(Dataset.range(4).batch(2).prefetch(1).node), makes_batches(Dataset.range(4).node)
    (True, False)
    """
    return isinstance(node, Batch | PaddedBatch) or any(map(makes_batches, node.inputs))
