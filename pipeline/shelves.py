"""Shelves: the folders in which elements are kept, as operators see them: asked about, and filled."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from .errors import HeadraceError
from .manifest import MANIFEST, Manifest, read_manifest
from .operators.protocol import Signal
from .saving import Writing

__all__ = ["Answer", "Keeper", "LocalKeeper", "LocalShelves", "Shelves"]

#: What a folder holds; None where that is nothing; an error where it must not be used; PENDING where it is not known.
Answer: TypeAlias = Manifest | HeadraceError | Signal | None


class Keeper(Protocol):
    """Fills one folder, which holds nothing before it is finished."""

    def add(self, records: Sequence[bytes], shards: Sequence[int]) -> None:
        """Put these behind the others, each to its shard."""

    def finish(self) -> None:
        """That was all."""

    def abort(self) -> None:
        """There will not be all."""


class Shelves(Protocol):
    """All folders."""

    def ask(self, folder: str) -> Callable[[], Answer]:
        """Ask what a folder holds now; what is returned gives the answer."""

    def keep(self, folder: str, compression: str) -> Keeper:
        """Begin to fill one."""


class LocalShelves:
    """Folders of this machine, used by this process."""

    def __init__(self, warn: Callable[[str], None], writes: bool) -> None:
        self._warn, self._writes = warn, writes

    def ask(self, folder: str) -> Callable[[], Answer]:
        """Look when the answer is wanted."""
        return lambda: held_in(folder)

    def keep(self, folder: str, compression: str) -> Keeper:
        """Write at once; or, where nothing is to be written, do nothing."""
        return LocalKeeper(folder, compression, self._warn) if self._writes else _NOBODY


def held_in(folder: str) -> Manifest | None:
    """What a folder holds; None where there is nothing that can be believed."""
    try:
        found = read_manifest(folder)
        named = Manifest.from_numbers(found.to_numbers())
    except (HeadraceError, ValueError):
        return None
    return found if named.shards == found.shards else None


class LocalKeeper:
    """Writes records as they come. What cannot be written is told once, and then no more is."""

    def __init__(self, folder: str, compression: str, warn: Callable[[str], None]) -> None:
        self._writing: Writing | None = Writing(folder, compression)
        self._warn = warn
        self._gone = weakref.finalize(self, self._writing.abort)  # also where nobody says how it ended

    def add(self, records: Sequence[bytes], shards: Sequence[int]) -> None:
        """Write them."""
        if self._writing is None:
            return
        try:
            for record, shard in zip(records, shards, strict=True):
                self._writing.add(record, shard)
        except HeadraceError as error:
            self._warn(f"nothing is kept by snapshot or cache: {error}")
            self.abort()

    def finish(self) -> None:
        """Have it believed, unless another one was faster."""
        if self._writing is None:
            return
        if held_in(self._writing.folder) is not None:
            self.abort()
            return
        (Path(self._writing.folder) / MANIFEST).unlink(missing_ok=True)  # a damaged one
        try:
            if not self._writing.finish_first():
                self.abort()
                return
            self._writing = None
            self._gone.detach()
        except HeadraceError as error:
            self._warn(f"nothing is kept by snapshot or cache: {error}")
            self.abort()

    def abort(self) -> None:
        """Leave nothing of it."""
        self._writing = None
        self._gone()


class _Nobody:
    def add(self, records: Sequence[bytes], shards: Sequence[int]) -> None:
        pass

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass


_NOBODY = _Nobody()
