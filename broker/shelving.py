"""Shelving: what a run of an epoch asks of the folders where elements are kept, and puts there; others do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from ..pipeline.errors import FileError
from ..pipeline.manifest import Manifest
from ..pipeline.operators.protocol import Signal
from ..pipeline.orders import Scan, Shelve
from ..pipeline.shelves import Answer

__all__ = ["RunShelves"]


@dataclass(slots=True)
class _Question:
    answer: Answer = Signal.PENDING


@dataclass(slots=True)
class RunShelves:
    """The folders as the operators of a run see them."""

    job: int
    numbers: count[int]
    orders: list[Any]  #: Of the run.
    kept: list[Shelve] = field(default_factory=list)  #: What is to be written, before what came is delivered.
    asked: dict[str, list[_Question]] = field(default_factory=dict)

    def ask(self, folder: str) -> Callable[[], Answer]:
        """Have somebody look."""
        question = _Question()
        self.asked.setdefault(folder, []).append(question)
        self.orders.append(Scan(self.job, folder, "shelf"))
        return lambda: question.answer

    def answer(self, folder: str, found: Sequence[int | None]) -> None:
        """Somebody looked."""
        numbers = [each for each in found if each is not None]
        told: Answer = Manifest.from_numbers(numbers) if numbers else None
        if found and not numbers:
            told = FileError(
                folder,
                "lies outside of what this server reads, and nothing is kept there: name a folder in its roots, or "
                "have the server started with another --root (server.roots)",
            )
        for each in self.asked.pop(folder, ()):
            each.answer = told

    def taken(self) -> list[Shelve]:
        """What is to be written since this was asked last."""
        found, self.kept = self.kept, []
        return found

    def keep(self, folder: str, compression: str) -> RunKeeper:
        """Begin to fill one."""
        return RunKeeper(self, next(self.numbers), folder, compression)


@dataclass(slots=True)
class RunKeeper:
    """Sends elements to where they are written."""

    shelves: RunShelves
    number: int
    folder: str
    compression: str

    def add(self, records: Sequence[bytes], shards: Sequence[int]) -> None:
        """Have these put behind the others."""
        self._order(records, shards, None)

    def finish(self) -> None:
        """That was all."""
        self._order((), (), True)

    def abort(self) -> None:
        """There will not be all."""
        self._order((), (), False)

    def _order(self, records: Sequence[bytes], shards: Sequence[int], ended: bool | None) -> None:
        where = (self.shelves.job, self.number, self.folder, self.compression)
        self.shelves.kept.append(Shelve(*where, tuple(records), tuple(shards), ended))
