"""Draws: which inputs a shuffle's window holds, told by counts alone: the draws are played again over integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import MalformedMessage
from .kernels.shuffle import draw

__all__ = ["Draws"]

#: A window larger than this, or more draws, and nobody would wait for them to be played.
MOST_HELD = 1 << 28
MOST_DRAWN = 1 << 36
_STEP = 1 << 16


@dataclass(frozen=True, slots=True)
class Draws:
    """A window of `size` from which `drawn` were drawn, after `taken` inputs had come, and no more where it ended.

    >>> Draws(3, 7, 0, 2, False).slots().tolist()
    [0, 1]
    """

    size: int
    key: int
    drawn: int
    taken: int
    ended: bool

    @property
    def held(self) -> int:
        """How many the window holds."""
        return self.taken - self.drawn

    def slots(self) -> npt.NDArray[np.int64]:
        """Which input, by its number, lies in each slot.

        Raises:
            MalformedMessage: it cannot have come to this.
        """
        window = np.empty(max(min(self.size, self.taken), 1), np.int64)
        numbers = np.empty_like(window)
        out = np.empty(_STEP, np.int64)
        filled = at = number = 0
        while number < self.drawn:
            incoming = np.arange(at, min(self.taken, at + _STEP), dtype=np.int64)
            # While inputs are left the window is full before every draw; afterwards it drains.
            last = self.ended and at + len(incoming) == self.taken
            wanted = out[: min(self.drawn - number, _STEP)]
            filled, used, count = draw(
                window, numbers, filled, self.size, incoming, at, last, np.uint64(self.key), number, wanted
            )
            if not used and not count:
                raise MalformedMessage(self._unlike())
            at, number = at + used, number + count
        rest = np.arange(at, self.taken, dtype=np.int64)
        if filled + len(rest) > len(window):
            raise MalformedMessage(self._unlike())
        window[filled : filled + len(rest)] = rest
        return window[: filled + len(rest)]

    def _unlike(self) -> str:
        return f"a shuffle that drew {self.drawn} of {self.taken} elements with {self.size} in its window"

    def to_data(self) -> list[Any]:
        """As plain data."""
        return [self.size, self.key, self.drawn, self.taken, self.ended]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> Draws:
        """Back from `to_data`; MalformedMessage for what cannot be."""
        size, key, drawn, taken, ended = data
        found = cls(size, key, drawn, taken, ended)
        if [type(each) for each in data] != [int, int, int, int, bool] or not 0 <= key < 1 << 64:
            raise MalformedMessage(f"draws that are none: {data!r:.80}")
        if not (size >= 1 and 0 <= drawn <= MOST_DRAWN and 0 <= found.held <= min(size, MOST_HELD)):
            raise MalformedMessage(found._unlike())
        return found
