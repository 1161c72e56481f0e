"""Shelf: the files of what is kept in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..blocks import Block
from ..columns import Arena, column_of, layout_of
from ..errors import HeadraceError, MalformedMessage, NotFoundError
from ..manifest import Manifest
from ..shelves import Answer, Shelves
from ..store import Store
from ..structure import Structure
from .protocol import Failed, Find, Keep, Operator, Pulled, Signal, State

__all__ = ["ShelfOperator"]


@dataclass(slots=True)
class ShelfOperator(Operator):
    """One element a file, as `told` says it; they are remembered, so that an epoch goes on with the files it began."""

    folder: str
    store: Store
    origin: int
    structure: Structure  #: Of each element.
    told: Callable[[Manifest], list[bytes]]
    shelves: Shelves | None
    answer: Callable[[], Answer] | None = None
    files: list[bytes] | None = None  #: Once they are known.
    at: int = field(default=0)

    def pull(self, limit: int) -> Pulled:
        if self.files is None:
            found = self._asked()
            if isinstance(found, Signal):
                return found
            self.files = self.told(found) if isinstance(found, Manifest) else []
            if isinstance(found, HeadraceError):
                return Failed(found)
        some = self.files[self.at : self.at + limit]
        if not some:
            return Signal.END
        numbers = np.arange(self.at, self.at + len(some), dtype=np.uint64)
        self.at += len(some)
        layout = layout_of(some)
        block = Block.of_columns(self.structure, len(some), [column_of(some, layout, Arena.of(layout.nbytes))])
        who = np.stack([np.full(len(some), self.origin, np.uint64), numbers], axis=1)
        return self.store.add(block, who, derived=True)

    def _asked(self) -> Manifest | HeadraceError | Signal:
        if self.answer is None and self.shelves is not None:
            self.answer = self.shelves.ask(self.folder)
        found = None if self.answer is None else self.answer()
        return found or NotFoundError(self.folder, "what was kept here is there no more")

    def close(self) -> None:
        """Nothing is held."""

    def snapshot(self, keep: Keep) -> State:
        return {"files": self.files, "at": self.at}

    def restore(self, state: State, find: Find) -> None:
        files, at = state["files"], state["at"]
        good = files is None or (isinstance(files, list) and all(isinstance(each, bytes) for each in files))
        if not good or type(at) is not int or not 0 <= at <= len(files or ()):
            raise MalformedMessage("files of a snapshot that are none")
        self.files, self.at = files, at
