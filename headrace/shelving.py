"""Shelving: elements of jobs into the folders where they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .pipeline.errors import HeadraceError
from .pipeline.orders import Shelve
from .pipeline.roots import Roots
from .pipeline.shelves import LocalKeeper

__all__ = ["Shelving"]


@dataclass(slots=True)
class Shelving:
    """All runs of writing that have not ended. What is not finished is removed when this process ends."""

    show: Callable[[str], None]
    keepers: dict[int, LocalKeeper | None] = field(default_factory=dict)  #: By number; None where it is not allowed.

    def do(self, order: Shelve, roots: Roots) -> None:
        """Write what has come, and end what has ended."""
        if order.number not in self.keepers:
            self.keepers[order.number] = self._begun(order, roots)
        keeper = self.keepers[order.number]
        if keeper is not None and order.records:
            keeper.add(order.records, order.shards)
        if order.ended is None:
            return
        del self.keepers[order.number]
        if keeper is not None:
            (keeper.finish if order.ended else keeper.abort)()

    def _begun(self, order: Shelve, roots: Roots) -> LocalKeeper | None:
        try:
            roots.check_folder(order.folder)
        except HeadraceError:  # who asked was told so, see `scanning`
            return None
        return LocalKeeper(order.folder, order.compression, lambda text: self.show(f"headrace: {text}"))
