"""Resampling: so many elements are left out that their classes come as often as they should."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..blocks import Block
from ..dice import fractions
from ..errors import InvalidArgumentError, MalformedMessage, from_data, to_data
from ..store import Handles
from ..structure import Structure
from .protocol import NOTHING, Failed, Find, Keep, Pulled, State, Unary

__all__ = ["SEEN_BEFORE", "ResampleOperator"]

_Shares: TypeAlias = npt.NDArray[np.float64]
_PAIR = Structure("tuple", (), (Structure(), Structure()))
#: How many of each class are taken to have been seen before the first element, where shares are estimated: tf.data's.
SEEN_BEFORE = 10
#: Estimates that are made at once, one for each element and class.
_ESTIMATES = 1 << 16


@dataclass(slots=True)
class ResampleOperator(Unary):
    """Keeps an element of class i with the probability a_i = r_i / max(r), where r is `target` over how classes come.

    Rejection sampling (von Neumann, "Various techniques used in connection with random digits", 1951). The draw for
    an element depends on the key and its number alone. Where it is not said how classes come, it is estimated from
    those that came, this one too.
    """

    target: _Shares
    initial: _Shares | None
    key: int
    seen: npt.NDArray[np.int64] = field(init=False)  #: Of each class.
    number: int = 0  #: Of elements that came, failed ones too.
    ready: deque[Handles | Failed] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.seen = np.full(len(self.target), SEEN_BEFORE, np.int64)

    @property
    def held(self) -> Handles:
        return np.concatenate([NOTHING, *(each for each in self.ready if not isinstance(each, Failed))])

    def pull(self, limit: int) -> Pulled:
        while not self.ready:
            got = self.source.pull(limit)
            if isinstance(got, np.ndarray):
                self._take(got)
                continue
            self.number += isinstance(got, Failed)
            return got
        first = self.ready.popleft()
        if not isinstance(first, Failed) and len(first) > limit:
            self.ready.appendleft(first[limit:])
            return first[:limit]
        return first

    def _take(self, got: Handles) -> None:
        """Pairs of those that are kept, and failures where a class is none."""
        classes = self.store.tags(got)[:, 0]
        numbers = self.number + np.arange(len(got))
        self.number += len(got)
        start = 0
        for row in np.flatnonzero((classes < 0) | (classes >= len(self.target))).tolist():
            self._keep(got[start:row], classes[start:row], numbers[start:row])
            self.ready.append(self._no_class(int(classes[row])))
            self.store.release(got[row : row + 1])
            start = row + 1
        self._keep(got[start:], classes[start:], numbers[start:])

    def _no_class(self, number: int) -> Failed:
        count = len(self.target)
        error = InvalidArgumentError(
            f"an element of class {number}: target_dist has {count} classes, from 0 to {count - 1}"
        )
        return Failed(error, operator="rejection_resample")

    def _keep(self, got: Handles, classes: Handles, numbers: Handles) -> None:
        kept = fractions(self.key, numbers) < self._chances(classes)
        self.store.release(got[~kept])
        got, classes = got[kept], classes[kept]
        while len(got):
            count = self.store.together(got)
            self.ready.append(self.store.join(_PAIR, [Block.of_numbers(classes[:count]), got[:count]]))
            got, classes = got[count:], classes[count:]

    def _chances(self, classes: Handles) -> _Shares:
        """With which probability each element is kept."""
        if self.initial is not None:
            ratios = np.divide(self.target, self.initial, out=np.zeros_like(self.target), where=self.initial > 0)
            known: _Shares = (ratios / ratios.max())[classes]
            return known
        step = max(1, _ESTIMATES // len(self.target))
        parts = [self._estimated(classes[low : low + step]) for low in range(0, len(classes), step)]
        return np.concatenate([np.empty(0), *parts])

    def _estimated(self, classes: Handles) -> _Shares:
        rows = np.arange(len(classes))
        came = np.zeros((len(classes), len(self.target)), np.int64)
        came[rows, classes] = 1
        seen = self.seen + np.cumsum(came, axis=0)
        self.seen = seen[-1]
        ratios = self.target / seen
        found: _Shares = ratios[rows, classes] / ratios.max(axis=1)
        return found

    def own_state(self, keep: Keep) -> State:
        ready = [{"error": to_data(each.error)} if isinstance(each, Failed) else [0, len(each)] for each in self.ready]
        return {"number": self.number, "classes": self.seen.tolist(), "held": keep(self.held), "ready": ready}

    def set_own_state(self, state: State, find: Find) -> None:
        seen, held = state["classes"], find(state["held"])
        if len(seen) != len(self.target) or min(seen, default=1) < 1 or state["number"] < 0:
            raise MalformedMessage(f"a resampling of {len(self.target)} classes that saw those of {len(seen)}")
        self.number, self.seen = state["number"], np.array(seen, np.int64)
        for each in state["ready"]:
            if isinstance(each, dict):
                self.ready.append(Failed(from_data(each["error"])))
                continue
            if not 0 < each[1] <= len(held):
                raise MalformedMessage("a resampling that holds less than it says")
            self.ready.append(held[: each[1]])
            held = held[each[1] :]
        if len(held):
            raise MalformedMessage("a resampling that holds more than it says")
