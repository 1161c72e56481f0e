"""Folding: elements of a store stacked, or padded and stacked, to one."""

from __future__ import annotations

import numpy as np

from .blocks import Block
from .columns import Allocate
from .lineage import Folded
from .padding import Padding, pad_block
from .place import Path
from .store import Handles, Store
from .work import too_large

__all__ = ["Fold"]


class Fold:
    """How elements become one: stacked, or as the operator at `path` says, padded first."""

    def __init__(self, padding: Padding | None = None, path: Path = (), allocate: Allocate | None = None) -> None:
        self.padding, self.path, self.allocate = padding, path, allocate

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
        block = self._block(store, handles, size)
        if error := too_large(block.nbytes // block.rows):
            raise error
        splits = np.arange(0, len(handles) + 1, size)
        lineage = Folded(splits, store.lineage(handles), self.path or None)
        return store.add(block, lineage.identities, True, lineage), block.nbytes // block.rows

    def _block(self, store: Store, handles: Handles, size: int) -> Block:
        if self.padding is None:
            return store.gather(handles, size, self.allocate)
        assert len(handles) == size, "each padded batch has a length of its own"
        return pad_block(store.gather(handles), self.padding)
