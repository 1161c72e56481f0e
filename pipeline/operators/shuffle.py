"""Seeded shuffle: draws from a window of handles."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..draws import Draws
from ..errors import MalformedMessage, ResourceExhaustedError
from ..kernels.shuffle import draw
from ..store import Handles
from .protocol import NOTHING, Failed, Find, Keep, Pulled, Signal, State, Unary

__all__ = ["ShuffleOperator"]

#: How many elements tell how large the others are.
SAMPLE = 64


@dataclass(slots=True)
class ShuffleOperator(Unary):
    """Keeps a window of `size` elements and draws from it.

    Which slot is drawn depends on the key and the number of draws alone. So a snapshot needs the
    elements that are held, in the order in which they came, and two counts: restoring plays the same
    draws again over plain integers to see which element lies in which slot.
    """

    size: int
    key: int
    budget: int  #: Bytes that the full window may take.
    expected: int  #: How many elements the input has at most, where that is known; else the window's size.
    window: Handles = field(default_factory=lambda: NOTHING)
    arrivals: Handles = field(default_factory=lambda: NOTHING)  #: Which input, by its number, lies in each slot.
    filled: int = 0
    drawn: int = 0
    taken: int = 0
    ended: bool = False
    checked: bool = False

    @property
    def held(self) -> Handles:
        return self.window[: self.filled]

    def pull(self, limit: int) -> Pulled:
        if not self.checked and (stopped := self._look()) is not None:
            return stopped
        incoming = NOTHING
        while not len(drawn := self._draw(incoming, limit)):
            if self.ended:
                return Signal.END
            # One draw frees one slot: this is all that `limit` draws can make room for.
            got = self.source.pull(self.size - self.filled + limit - 1)
            incoming = NOTHING
            if got is Signal.END:
                self.ended = True
            elif isinstance(got, np.ndarray):
                incoming = got
            else:
                return got
        return drawn

    def _look(self) -> Signal | Failed | None:
        """Take the first few elements, to tell from them whether a full window fits; why that must wait, if it must."""
        sample = min(self.size, SAMPLE)
        while self.filled < sample and not self.ended:
            got = self.source.pull(sample - self.filled)
            if got is Signal.END:
                self.ended = True
            elif isinstance(got, np.ndarray):
                self._draw(got, 0)
            else:
                return got
        self.checked = True
        return self._too_large()

    def _draw(self, incoming: Handles, limit: int) -> Handles:
        self._make_room(len(incoming))
        out = np.empty(min(limit, self.filled + len(incoming)), np.int64)
        self.filled, taken, count = draw(
            self.window,
            self.arrivals,
            self.filled,
            self.size,
            incoming,
            self.taken,
            self.ended,
            np.uint64(self.key),
            self.drawn,
            out,
        )
        assert taken == len(incoming), "pulled more than the window could take"
        self.taken += taken
        self.drawn += count
        return out[:count]

    def _make_room(self, incoming: int) -> None:
        """The window grows with its content, so that a large size over little data costs nothing."""
        needed = min(self.size, self.filled + incoming)
        if needed > len(self.window):
            room = min(self.size, max(needed, 2 * len(self.window), 1024))
            self.window = np.resize(self.window, room) if len(self.window) else np.empty(room, np.int64)
            self.arrivals = np.resize(self.arrivals, room) if len(self.arrivals) else np.empty(room, np.int64)

    def _too_large(self) -> Failed | None:
        """The first elements tell, not the first block: so it is the same however the work was divided."""
        first = self.held
        each = self.store.nbytes_of(first) / max(1, len(first))
        count = len(first) if self.ended else min(self.size, self.expected)
        if each * count <= self.budget:
            return None
        self.store.release(self.held)
        self.filled = self.taken = 0
        self.ended = True
        self.finish()
        return Failed(
            ResourceExhaustedError(
                f"shuffle({self.size}) would hold {count:,} elements of about {each:,.0f} bytes: "
                f"{_gib(each * count)}, over the budget of {_gib(self.budget)}. Shuffle before elements grow "
                "(before decoding), use a smaller buffer_size, or raise Options(buffer_bytes=...)"
            )
        )

    @property
    def draws(self) -> Draws:
        """How the window came about."""
        return Draws(self.size, self.key, self.drawn, self.taken, self.ended)

    def own_state(self, keep: Keep) -> State:
        counts = {"drawn": self.drawn, "taken": self.taken, "ended": self.ended, "checked": self.checked}
        order = np.argsort(self.arrivals[: self.filled])
        return {**counts, "held": keep(self.held[order], self.draws, self.arrivals[order])}

    def set_own_state(self, state: State, find: Find) -> None:
        self.drawn, self.taken, self.ended = state["drawn"], state["taken"], state["ended"]
        self.arrivals = Draws.from_data(self.draws.to_data()).slots()
        held = find(state["held"])
        if len(held) != len(self.arrivals):  # kernels trust that the window holds what was drawn into it
            raise MalformedMessage(f"a shuffle that holds {len(held)} elements, and not {len(self.arrivals)}")
        self.filled = len(held)
        self.window = held[np.argsort(np.argsort(self.arrivals))]
        self.checked = state["checked"]


def _gib(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB"
