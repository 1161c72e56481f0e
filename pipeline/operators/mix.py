"""Mix: each element from the one of several inputs that is picked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..blocks import Block
from ..dice import fractions
from ..errors import InvalidArgumentError, MalformedMessage, from_data, to_data
from ..store import Handles, Store
from .protocol import NOTHING, Failed, Find, Keep, Operator, Pulled, Signal, State

__all__ = ["Choices", "Draws", "MixOperator", "Picker", "Weights"]

_Stop: TypeAlias = "Failed | Literal[Signal.END] | None"
_Flags: TypeAlias = npt.NDArray[np.bool_]


#: What is pulled at once may take about so much more than one element, however many are picked.
PULLED_BYTES = 4 << 20


class Picker(Operator):
    """Says of which input each element is. It is an operator whose elements are numbers of inputs."""

    @abstractmethod
    def look(self, most: int, alive: _Flags) -> Pulled:
        """The next picks, at least one, for as long as these inputs have elements; they stay until they are used."""

    @abstractmethod
    def use(self, count: int) -> None:
        """So many picks are done with."""

    def pull(self, limit: int) -> Pulled:
        raise TypeError("picks are looked at")


@dataclass(slots=True)
class Draws(Picker):
    """Draw number n depends on a key, n, and on which inputs still have elements."""

    weights: npt.NDArray[np.float64]
    key: int
    number: int = 0

    def look(self, most: int, alive: _Flags) -> Pulled:
        drawn = fractions(self.key, self.number + np.arange(most))
        return _drawn(np.where(alive, self.weights, 0)[None], drawn)

    def use(self, count: int) -> None:
        self.number += count

    def close(self) -> None:
        """Nothing is held."""

    def snapshot(self, keep: Keep) -> State:
        return {"drawn": self.number}

    def restore(self, state: State, find: Find) -> None:
        self.number = state["drawn"]


@dataclass(slots=True)
class Choices(Picker):
    """The elements of an input are the numbers."""

    source: Operator
    store: Store
    count: int  #: Of inputs.
    operator: str = "choose_from_datasets"
    waiting: Handles = field(default_factory=lambda: NOTHING)

    def look(self, most: int, alive: _Flags) -> Pulled:
        if not len(self.waiting):
            got = self.source.pull(most)
            if not isinstance(got, np.ndarray):
                return got
            self.waiting = got
        alike = self.waiting[: self.store.alike(self.waiting)][:most]
        picks = self._read(self.store.gather(alike), alive)
        wrong = np.flatnonzero(picks < 0)
        if not len(wrong):
            return picks
        if wrong[0]:
            return picks[: wrong[0]]
        told = self._told(self.store.gather(alike[:1]))
        self.use(1)
        return Failed(InvalidArgumentError(told), operator=self.operator)

    def _read(self, block: Block, alive: _Flags) -> Handles:
        """What each element picks; -1 where it is no number of an input."""
        if len(block.columns) != 1 or not _is_integers(block):
            return np.full(block.rows, -1)
        numbers = block.columns[0].values
        return np.where((numbers >= 0) & (numbers < self.count), numbers, -1).astype(np.int64)

    def _told(self, block: Block) -> str:
        return f"the choice {block.element(0)!r:.80} is none of 0 to {self.count - 1}: give integers, one an element"

    def use(self, count: int) -> None:
        self.store.release(self.waiting[:count])
        self.waiting = self.waiting[count:]

    def close(self) -> None:
        self.use(len(self.waiting))
        self.source.close()

    def snapshot(self, keep: Keep) -> State:
        return {"source": self.source.snapshot(keep), "held": keep(self.waiting)}

    def restore(self, state: State, find: Find) -> None:
        self.source.restore(state["source"], find)
        self.waiting = find(state["held"])


def _is_integers(block: Block) -> bool:
    column = block.columns[0]
    return column.rank == 0 and column.dtype is not bytes and np.dtype(column.dtype).kind in "iu"


@dataclass(slots=True)
class Weights(Choices):
    """The elements of an input are the weights of draws; one that leaves nothing to draw from picks what has ended."""

    operator: str = "sample_from_datasets"
    key: int = 0
    number: int = 0

    def _read(self, block: Block, alive: _Flags) -> Handles:
        column = block.columns[0] if len(block.columns) == 1 else None
        if column is None or not column.dense or column.values.shape[1:] != (self.count,):
            return np.full(block.rows, -1)
        weights = column.values.astype(np.float64, casting="unsafe")
        good = (np.isfinite(weights) & (weights >= 0)).all(axis=1) & (weights.sum(axis=1) > 0)
        drawn = fractions(self.key, self.number + np.arange(block.rows))
        left = np.where(alive, np.where(good[:, None], weights, 1), 0)
        picks = np.where(left.sum(axis=1) > 0, _drawn(left, drawn), int(np.argmin(alive)))
        return np.where(good, picks, -1)

    def _told(self, block: Block) -> str:
        return (
            f"the weights {block.element(0)!r:.80} are no {self.count} numbers from 0 that add up to more: give a "
            "vector of one an input"
        )

    def use(self, count: int) -> None:
        Choices.use(self, count)  # `super()` does not work in a dataclass with slots
        self.number += count

    def snapshot(self, keep: Keep) -> State:
        return {**Choices.snapshot(self, keep), "drawn": self.number}

    def restore(self, state: State, find: Find) -> None:
        Choices.restore(self, state, find)
        self.number = state["drawn"]


def _drawn(weights: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64]) -> Handles:
    """Of each row of weights, or the one, the place that a fraction of their sum falls to."""
    sums = np.cumsum(weights, axis=1)
    places = (sums <= (drawn * sums[:, -1])[:, None]).sum(axis=1)
    last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)
    found: Handles = np.minimum(places, last)  # a fraction just below 1 may be rounded up to all of the sum
    return found


@dataclass(slots=True)
class MixOperator(Operator):
    """A pick of an input that has ended is passed over, or ends all.

    An input is known to have ended once it was picked and had nothing, never earlier, so that draws do not depend on
    how much was asked for at once. What waits is what was pulled of inputs for picks that others hold up. A failed
    element takes its pick along.
    """

    picker: Picker
    sources: Sequence[Operator]
    store: Store
    stop_on_empty: bool
    waiting: list[Handles] = field(init=False)
    stops: list[_Stop] = field(init=False)  #: What comes behind the waiting ones of each input, where that is known.
    alive: _Flags = field(init=False)
    ended: bool = False

    def __post_init__(self) -> None:
        self.waiting = [NOTHING] * len(self.sources)
        self.stops = [None] * len(self.sources)
        self.alive = np.ones(len(self.sources), np.bool_)

    def pull(self, limit: int) -> Pulled:
        while not self.ended:
            picks = self.picker.look(limit, self.alive)
            if not isinstance(picks, np.ndarray):
                if picks is Signal.END:
                    self.close()
                return picks
            places = np.flatnonzero(self.alive[picks])
            if len(places) and (got := self._mix(picks[places], places)) is not None:
                return got
            if not len(places):
                self.picker.use(len(picks))
        return Signal.END

    def _mix(self, picks: Handles, places: Handles) -> Pulled | None:
        """What is picked, as far as it is there; `places` are those of the picks among all. None where one ended."""
        out, ready = np.empty(len(picks), np.int64), np.zeros(len(picks), np.bool_)
        parts: dict[int, Handles] = {}
        most = self.store.nbytes + PULLED_BYTES
        for i in np.unique(picks).tolist():
            parts[i] = np.flatnonzero(picks == i)
            self._take(i, len(parts[i]), most)
            mine = parts[i][: len(self.waiting[i])]
            out[mine], ready[mine] = self.waiting[i][: len(mine)], True
        count = len(picks) if ready.all() else int(np.argmin(ready))
        if not count:
            return self._stopped(int(picks[0]), int(places[0]))
        for i, mine in parts.items():
            self.waiting[i] = self.waiting[i][int(np.searchsorted(mine, count)) :]
        self.picker.use(int(places[count - 1]) + 1)
        return out[:count]

    def _take(self, i: int, count: int, most: int) -> None:
        """Have so many of an input wait, as far as they are there; at least one, however many bytes the store holds."""
        waiting, missing = [self.waiting[i]], count - len(self.waiting[i])
        while missing > 0 and self.stops[i] is None and (missing == count or self.store.nbytes < most):
            got = self.sources[i].pull(missing)
            if isinstance(got, np.ndarray):
                waiting.append(got)
                missing -= len(got)
            elif got is Signal.PENDING:
                break
            else:
                self.stops[i] = got
        self.waiting[i] = np.concatenate(waiting) if len(waiting) > 1 else waiting[0]

    def _stopped(self, i: int, place: int) -> Pulled | None:
        """Why the input that is picked first has nothing; None where it has ended and others go on."""
        stop = self.stops[i]
        if stop is None:
            return Signal.PENDING
        self.picker.use(place + 1)
        if isinstance(stop, Failed):
            self.stops[i] = None
            return stop
        self.alive[i] = False
        if self.stop_on_empty or not self.alive.any():
            self.close()
        return None

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            for i, waiting in enumerate(self.waiting):
                self.store.release(waiting)
                self.waiting[i] = NOTHING
            for each in (self.picker, *self.sources):
                each.close()

    def snapshot(self, keep: Keep) -> State:
        if self.ended:
            return {"ended": True}
        return {
            "ended": False,
            "picker": self.picker.snapshot(keep),
            "sources": [each.snapshot(keep) for each in self.sources],
            "waiting": [keep(each) for each in self.waiting],
            "stops": [to_data(each.error) if isinstance(each, Failed) else each is not None for each in self.stops],
            "alive": self.alive.tolist(),
        }

    def restore(self, state: State, find: Find) -> None:
        if state["ended"]:
            self.close()
            return
        if {len(state[each]) for each in ("sources", "waiting", "stops", "alive")} != {len(self.sources)}:
            raise MalformedMessage(f"a mix of {len(self.sources)} inputs whose state is of others")
        self.picker.restore(state["picker"], find)
        for source, each in zip(self.sources, state["sources"], strict=True):
            source.restore(each, find)
        self.waiting = [find(each) for each in state["waiting"]]
        self.stops = [_stop(each) for each in state["stops"]]
        self.alive = np.array(state["alive"], np.bool_)
        if not self.alive.any():
            raise MalformedMessage("a mix that goes on with no input left")


def _stop(data: object) -> _Stop:
    if isinstance(data, bool):
        return Signal.END if data else None
    return Failed(from_data(data))  # type: ignore[arg-type]
