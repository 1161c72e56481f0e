"""Interleave: datasets made of elements, read in turn, a block of each at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..errors import MalformedMessage, from_data, to_data
from ..store import Handles
from .protocol import NOTHING, Failed, Find, Keep, Operator, Pulled, Signal, State, Unary

__all__ = ["InterleaveOperator"]

#: What is computed for one pull may take about so much, however many elements are wanted.
PULLED_BYTES = 4 << 20


@dataclass(slots=True)
class InterleaveOperator(Unary):
    """Takes `block` elements of each slot in turn; one that has ended is filled again when it is its turn next.

    A failed element takes no part in a block: its slot goes on. Where others compute, streams are opened before
    their turn, so that all slots are at work.
    """

    open: Callable[[Handles], Operator]  #: From an element to the stream of the dataset that is made of it.
    cycle: int
    block: int
    eager: int = 0  #: How many streams may be open before their turn.
    slots: dict[int, Operator] = field(default_factory=dict)
    ahead: deque[Operator | Failed] = field(default_factory=deque)
    turn: int = 0  #: Whose turn it is.
    given: int = 0  #: How much of its block.
    exhausted: bool = False  #: Whether the input has ended.
    failed: Failed | None = None  #: What failed behind elements that were given.

    def pull(self, limit: int) -> Pulled:
        parts: list[Handles] = []
        most = self.store.nbytes + PULLED_BYTES
        while limit > 0 and self.failed is None and self.store.nbytes < most:
            self._look_ahead()
            got = self._next(limit)
            if isinstance(got, np.ndarray):
                parts.append(got)
                limit -= len(got)
            elif isinstance(got, Failed):
                self.failed = got
            elif parts:
                break
            else:
                return got
        if parts:
            return np.concatenate(parts)
        failed, self.failed = self.failed, None
        assert failed is not None, "nothing came and nothing failed"
        return failed

    def _next(self, limit: int) -> Pulled:
        """What comes next, of one slot."""
        while True:
            slot = self.slots.get(self.turn)
            if slot is None:
                opened = self.ahead.popleft() if self.ahead else self._opened()
                if isinstance(opened, Operator):
                    self.slots[self.turn] = opened
                elif opened is not Signal.END or not self.slots:
                    return opened
                else:
                    self._close_up()
                continue
            got = slot.pull(min(limit, self.block - self.given))
            if got is Signal.END:
                self.slots.pop(self.turn).close()
                self._pass()
                continue
            if isinstance(got, np.ndarray):
                self.given += len(got)
                if self.given == self.block:
                    self._pass()
            return got

    def _pass(self) -> None:
        self.given, self.turn = 0, (self.turn + 1) % self.cycle

    def _close_up(self) -> None:
        """Nothing fills the empty slot whose turn it is: the others move up, so that it is looked at once."""
        order = sorted(self.slots, key=lambda slot: (slot - self.turn) % self.cycle)
        self.slots = {place: self.slots[slot] for place, slot in enumerate(order)}
        self.turn = 0

    def _opened(self) -> Operator | Failed | Signal:
        """The stream of the next element."""
        got = Signal.END if self.exhausted else self.source.pull(1)
        if isinstance(got, np.ndarray):
            return self.open(got)
        self.exhausted = got is Signal.END
        return got

    def _look_ahead(self) -> None:
        """Have the streams of the slots to be filled next at work, and one to take the place of the first that ends."""
        wanted = max(1, min(self.cycle, self.eager) - len(self.slots)) if self.eager else 0
        while len(self.ahead) < wanted and not self.exhausted:
            opened = self._opened()
            if isinstance(opened, Signal):
                break
            self.ahead.append(opened)

    def close(self) -> None:
        for each in (*self.slots.values(), *self.ahead):
            if isinstance(each, Operator):
                each.close()
        self.slots.clear()
        self.ahead.clear()
        Unary.close(self)  # `super()` does not work in a dataclass with slots

    def own_state(self, keep: Keep) -> State:
        return {
            "slots": [[turn, each.snapshot(keep)] for turn, each in self.slots.items()],
            "ahead": [_state_of(each, keep) for each in self.ahead],
            "turn": self.turn,
            "given": self.given,
            "exhausted": self.exhausted,
            "failed": None if self.failed is None else to_data(self.failed.error),
        }

    def set_own_state(self, state: State, find: Find) -> None:
        self.turn, self.given, self.exhausted = state["turn"], state["given"], state["exhausted"]
        if self.turn >= self.cycle or self.given >= self.block or any(turn >= self.cycle for turn, _ in state["slots"]):
            raise MalformedMessage(f"an interleave of {self.cycle} whose turn is {self.turn}, {self.given} into it")
        self.failed = None if state["failed"] is None else Failed(from_data(state["failed"]))
        self.slots = {turn: self._restored(each, find) for turn, each in state["slots"]}
        self.ahead.extend(
            Failed(from_data(each["error"])) if "error" in each else self._restored(each["stream"], find)
            for each in state["ahead"]
        )

    def _restored(self, state: State, find: Find) -> Operator:
        stream = self.open(NOTHING)
        stream.restore(state, find)
        return stream


def _state_of(each: Operator | Failed, keep: Keep) -> State:
    if isinstance(each, Failed):
        return {"error": to_data(each.error)}
    return {"stream": each.snapshot(keep)}
