"""Saving: elements into the files of one run, of which nothing is believed before its manifest is there."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import randbits
from typing import Any

from .compression import check_compression
from .errors import HeadraceError, InvalidArgumentError, NotFoundError
from .functions import UserFunction, failure
from .manifest import RUN, Manifest, Shard, read_manifest, shard_file, write_manifest
from .records import TFRecordWriter

__all__ = ["Sharding", "Writing"]

#: So many files are open at once.
MOST_SHARDS = 1000


@dataclass(slots=True)
class Writing:
    """One run of writing records to a folder. Files are made when the first record comes."""

    folder: str
    compression: str = ""
    number: int = field(default_factory=lambda: randbits(64))
    _files: dict[int, TFRecordWriter] = field(default_factory=dict)
    _counts: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.compression = check_compression(self.compression)

    def add(self, record: bytes, shard: int = 0) -> None:
        """Write one more record to a shard.

        Raises:
            InvalidArgumentError: there are too many shards.
            NotFoundError: it cannot be written.
        """
        writer = self._files.get(shard) or self._opened(shard)
        try:
            writer.write(record)
        except OSError as error:
            raise NotFoundError(self.path(shard), f"cannot be written: {error.strerror}") from error
        self._counts[shard] += 1

    def path(self, shard: int) -> str:
        """Of the file of a shard."""
        return str(Path(self.folder) / self._file(shard))

    def _file(self, shard: int) -> str:
        return shard_file(self.number, shard)

    @property
    def run(self) -> str:
        """The folder in the folder."""
        return self._file(0).partition("/")[0]

    def begin(self) -> None:
        """Make the folder.

        Raises:
            NotFoundError: it cannot be made.
        """
        try:
            (Path(self.folder) / self.run).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotFoundError(self.folder, f"cannot be written to: {error.strerror}") from error

    def _opened(self, shard: int) -> TFRecordWriter:
        if len(self._files) >= MOST_SHARDS:
            raise InvalidArgumentError(f"more than {MOST_SHARDS:,} shards: have shard_func give fewer numbers")
        self.begin()
        found = self._files[shard] = TFRecordWriter(self.path(shard), self.compression, index=not self.compression)
        self._counts[shard] = 0
        return found

    def _remove(self, runs: set[str]) -> None:
        """Others than this one."""
        for each in runs - {self.run}:
            shutil.rmtree(Path(self.folder) / each, ignore_errors=True)

    def _closed(self, spec: Any) -> Manifest:
        """All files, whole."""
        self.begin()
        for shard, writer in self._files.items():
            try:
                writer.close()
            except OSError as error:
                raise NotFoundError(self.path(shard), f"cannot be written: {error.strerror}") from error
        shards = tuple(Shard(each, self._file(each), self._counts[each]) for each in sorted(self._counts))
        return Manifest(self.compression, spec, shards)

    def finish(self, spec: Any) -> None:
        """All is there: from now on it is believed, in the place of what the folder held before.

        Raises:
            NotFoundError: something cannot be written.
        """
        found, before = self._closed(spec), _runs(self.folder)
        write_manifest(self.folder, found)
        self._remove(before)

    def finish_first(self) -> bool:
        """All is there: believed from now on, unless another run was faster; whether it is.

        What other runs have begun is for nobody then, and is removed: they may have been interrupted.

        Raises:
            NotFoundError: something cannot be written.
        """
        if not write_manifest(self.folder, self._closed(None), first=True):
            return False
        self._remove({each.name for each in Path(self.folder).glob(f"{RUN}*")})
        return True

    def abort(self) -> None:
        """Leave nothing of it."""
        for writer in self._files.values():
            with suppress(HeadraceError, OSError):
                writer.close()
        shutil.rmtree(Path(self.folder) / self.run, ignore_errors=True)
        with suppress(OSError):  # if nothing else lies there
            os.rmdir(self.folder)  # noqa: PTH106


def _runs(folder: str) -> set[str]:
    """The runs that a manifest names."""
    try:
        return {each.file.partition("/")[0] for each in read_manifest(folder).shards if each.file.startswith(RUN)}
    except HeadraceError:  # there is none, or one that nobody can read
        return set()


@dataclass(frozen=True, slots=True)
class Sharding:
    """To which shard elements go, as a function says."""

    function: UserFunction

    def __call__(self, element: Any) -> int:
        """The shard of an element.

        Raises:
            FunctionError: the function raised.
            InvalidArgumentError: it gave something else than one whole number that is not negative.
        """
        try:
            found = self.function(element, _no_rng)
        except Exception as error:
            told = failure(self.function, error)
            raise told from told.__cause__
        number = getattr(found, "item", lambda: found)() if getattr(found, "ndim", 0) == 0 else found
        if type(number) is not int or not 0 <= number < 1 << 62:
            raise InvalidArgumentError(
                f"{self.function.name} gave {found!r:.80}: it must be one whole number from 0 on"
            )
        return number


def _no_rng() -> Any:
    raise InvalidArgumentError("a shard_func gets no rng: which file an element goes to must not be drawn")
