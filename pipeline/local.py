"""In process: the whole plan run by the caller, with no server. It is the reference for every other way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .blocks import Block
from .errors import OutOfRangeError
from .execution import compute
from .nodes import Node
from .operators.protocol import NOTHING, Failed, Signal
from .store import Handles, Store
from .structure import Element

__all__ = ["LocalIterator"]

#: How many elements are computed at once, at most. A loop that just began gets one at a time, so that a function
#: is never called much further ahead than the loop has come.
MOST_AHEAD = 1024


class LocalIterator(Iterator[Element]):
    """The elements of one pass, computed in this process.

    An element that fails raises; the next call goes on behind it. After the end `next()` raises
    StopIteration and `get_next()` OutOfRangeError, again and again.

    >>> from headrace import Dataset
    >>> iterator = Dataset.range(1).make_one_shot_iterator()
    >>> iterator.get_next()
    np.int64(0)
    """

    def __init__(self, node: Node, seed: int, epoch: int) -> None:
        self._store = Store()
        self._operator = compute(node, self._store, seed, epoch, str(Path.cwd()))
        self._ready: Iterator[Element] = iter(())
        self._rest = NOTHING  #: Of what was pulled last: what is of another structure than the elements before.
        self._ahead = 1
        self._ended = False

    def __iter__(self) -> LocalIterator:
        return self

    def __next__(self) -> Element:
        for element in self._ready:
            return element
        if self._ended:
            raise StopIteration
        got = self._rest if len(self._rest) else self._operator.pull(self._ahead)
        if isinstance(got, np.ndarray):
            self._ahead = min(MOST_AHEAD, 2 * self._ahead)
            self._ready = self._deliver(got)
            return next(self._ready)
        if isinstance(got, Failed):
            self._ahead = 1
            raise got.error
        assert got is Signal.END, "in process nothing is waited for"
        self._ended = True
        self._operator.close()
        raise StopIteration

    def _deliver(self, handles: Handles) -> Iterator[Element]:
        count = self._store.alike(handles)
        first, self._rest = handles[:count], handles[count:]
        block = self._store.whole(first) or self._store.gather(first)
        self._store.release(first)
        return delivered(block)

    def get_next(self) -> Element:
        """The next element; OutOfRangeError at the end."""
        try:
            return next(self)
        except StopIteration:
            raise OutOfRangeError("End of sequence") from None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{': at its end' if self._ended else ''}>"


#: An element smaller than this is copied out, so that keeping it does not keep its whole block.
_SMALL = 4 << 10


def delivered(block: Block) -> Iterator[Element]:
    """The elements of a block, as their receiver owns them: writable, and alike whatever block they came in."""
    if all(column.rank == 0 for column in block.columns):
        return iter(block)
    rows = block.rows
    free = ([_free(each, rows) for each in components] for components in block.components())
    return map(block.structure.packer(), free)


def _free(component: Any, rows: int) -> Any:
    if not isinstance(component, np.ndarray) or component.base is None:
        return component
    if (rows > 1 and component.nbytes < _SMALL) or not component.flags.behaved:
        return component.copy()
    return component
