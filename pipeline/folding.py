"""Folding: elements of a store made one: stacked, padded and stacked, or as rows of a ragged or sparse value."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .blocks import Block
from .columns import Allocate
from .errors import InvalidArgumentError
from .lineage import Folded
from .padding import Padding
from .place import Path
from .stacking import Ragged, Sparse, is_composite, stack_block
from .store import Handles, Store
from .work import too_large

__all__ = ["Fold"]


class Fold:
    """How elements become one: stacked, or as the operator at `path` says, by `one`."""

    def __init__(
        self, one: Padding | Ragged | Sparse | None = None, path: Path = (), allocate: Allocate | None = None
    ) -> None:
        self.one, self.path, self.allocate = one, path, allocate

    @property
    def operator(self) -> str:
        """Who makes one of several."""
        return "batch" if self.one is None else self.one.operator

    @property
    def alone(self) -> bool:
        """Whether each batch is made by itself: it has a length of its own."""
        return self.one is not None

    def __call__(self, store: Store, handles: Handles, size: int) -> tuple[Handles, int]:
        """Every `size` elements as one, and how many bytes each of these takes; those folded are released.

        Raises:
            HeadraceError: elements that do not fit one another, or are too large together; none is released then.
        """
        found = self.made(store, handles, size)
        store.release(handles)
        return found

    def made(self, store: Store, handles: Handles, size: int) -> tuple[Handles, int]:
        """The same, but those folded stay. They may be of several folds."""
        blocks = list(self._blocks(store, handles, size))
        each = sum(block.nbytes for block in blocks) // (len(handles) // size)
        if error := too_large(each):
            raise error
        made: list[Handles] = []
        at = 0
        for block in blocks:
            mine = handles[at : at + block.rows * size]
            lineage = Folded(np.arange(0, len(mine) + 1, size), store.lineage(mine), self.path or None)
            made.append(store.add(block, lineage.identities, True, lineage))
            at += len(mine)
        return made[0] if len(made) == 1 else np.concatenate(made), each

    def _blocks(self, store: Store, handles: Handles, size: int) -> Iterator[Block]:
        one: Callable[[Block], Block] | None = self.one
        if is_composite(store.structure(handles)):
            if isinstance(one, Padding):
                raise InvalidArgumentError(
                    "padded_batch pads arrays, not ragged or sparse values: `batch` stacks these"
                )
            one = one or stack_block
        if one is None:
            yield store.gather(handles, size, self.allocate)
            return
        for at in range(0, len(handles), size):
            yield one(store.gather(handles[at : at + size]))
