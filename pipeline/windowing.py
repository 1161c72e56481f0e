"""Windowing: elements as datasets of their own, by place or by key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .blocks import Block
from .folding import Fold
from .nested import packed_runs
from .nodes import WindowByKey
from .operators.group import Grouping
from .place import Path
from .store import Handles, Store, Tags
from .structure import DATASET, Structure

__all__ = ["KeyedWindows", "WindowFold"]

_PAIR = Structure("tuple", (), (Structure(), Structure()))
#: So many elements are asked for at a time, where it is not known how many make a window, or these are many.
_PORTION = 64


class WindowFold(Fold):
    """Elements become datasets: one of each component, or, where they stay `together`, one of whole elements."""

    def __init__(self, path: Path, together: bool) -> None:
        super().__init__(path=path)
        self.together = together

    def _blocks(self, store: Store, handles: Handles, size: int) -> Iterator[Block]:
        yield self._windows(store.gather(handles), size)

    def _windows(self, block: Block, size: int) -> Block:
        if self.together:
            return Block.of_columns(DATASET, block.rows // size, [packed_runs(block, size)])
        leaves = zip(block.structure.leaves(), block.columns, strict=True)
        parts = [Block(leaf, block.rows, (column,), block.buffer) for leaf, column in leaves]
        structure = block.structure.over([DATASET] * len(parts))
        return Block.of_columns(structure, block.rows // size, [packed_runs(part, size) for part in parts])


@dataclass(slots=True)
class KeyedWindows(Grouping):
    """Elements of one key make a group, and a window of them a pair of the key and a dataset."""

    node: WindowByKey
    path: Path

    @property
    def name(self) -> str:
        return "group_by_window"

    @property
    def portion(self) -> int:
        return min(self.node.size or _PORTION, _PORTION)

    def sort(self, tags: Tags) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        sizes = tags[:, 1] if self.node.size is None else np.full(len(tags), self.node.size)
        return tags[:, 0], sizes

    def fits(self, key: int, size: int) -> bool:
        return size > 0 and (self.node.size is None or size <= self.node.size)

    @property
    def several(self) -> bool:
        return True

    def make(self, store: Store, keys: list[int], handles: Handles) -> Handles:
        made, _ = WindowFold(self.path, True)(store, handles, len(handles) // len(keys))
        return store.join(_PAIR, [Block.of_numbers(np.array(keys)), made])
