"""The files of a cache: records of its elements, a marker that says that all are there, and the lock of who writes.

    NAME.cache.tfrecord  the elements, a record each (see `element_records`); while it is written, NAME.cache.part
    NAME.cache.json      the marker, written last, by renaming: how many elements and bytes there are, and what failed
    NAME.cache.lock      locked (flock) by the living process that writes, and free as soon as that is gone

What has no marker is not believed. docs/formats.md has it, too.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from .errors import DataLossError, FailedPreconditionError, FileError, HeadraceError, from_data
from .records import TFRecordWriter
from .roots import ANYWHERE, Roots

__all__ = ["Add", "CacheFiles", "Done", "Found", "Look", "Marker", "Request", "Undo", "data_path"]

_VERSION = 1
DATA, PART, MARKER, LOCK = ".cache.tfrecord", ".cache.part", ".cache.json", ".cache.lock"


def data_path(filename: str) -> str:
    """Where the elements of a cache are."""
    return filename + DATA


@dataclass(frozen=True, slots=True)
class Marker:
    """What is in the files of a cache."""

    count: int  #: What came, failed ones too.
    nbytes: int = 0  #: Of the records' file.
    failures: tuple[tuple[int, dict[str, Any]], ...] = ()  #: The numbers of what failed, in order, and how.
    filtered: int = 0  #: How much was left out below the cache.
    ignored: int = 0

    def to_json(self) -> str:
        """As it is written."""
        told = {"headrace_cache": _VERSION, "count": self.count, "bytes": self.nbytes}
        return json.dumps(told | {"filtered": self.filtered, "ignored": self.ignored, "failures": self.failures})

    @classmethod
    def read(cls, filename: str) -> Marker | None:
        """The marker of a cache; None where there is none.

        Raises:
            FileError: it cannot be read.
            DataLossError: it is damaged, or what it tells of is not there.
        """
        path = Path(filename + MARKER)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FileError(str(path), f"cannot be read: {error.strerror}") from error
        try:
            found = cls._of(json.loads(data))
            size = Path(data_path(filename)).stat().st_size
        except (ValueError, TypeError, KeyError, AttributeError, HeadraceError, OSError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error
        if size != found.nbytes:
            raise _damaged(path, f"it tells of {found.nbytes:,} bytes, and there are {size:,}")
        return found

    @classmethod
    def _of(cls, told: Any) -> Marker:
        if told["headrace_cache"] != _VERSION:
            raise ValueError(f"format {told['headrace_cache']!r:.20}, and this headrace reads {_VERSION}")
        numbers = [told[each] for each in ("count", "bytes", "filtered", "ignored")]
        failures = tuple((number, error) for number, error in told["failures"])
        places = [-1, *(number for number, _ in failures), numbers[0]]
        if not all(type(each) is int and 0 <= each < 1 << 62 for each in numbers) or any(
            type(one) is not int or one >= other for one, other in pairwise(places)
        ):
            raise ValueError("numbers that cannot be")
        for _, error in failures:
            from_data(error)
        return cls(numbers[0], numbers[1], failures, *numbers[2:])


def _damaged(path: Path, why: str) -> DataLossError:
    return DataLossError(str(path), f"is the marker of no cache: {why}. Remove it, and the cache is written anew")


@dataclass(slots=True)
class _Writing:
    """One cache that is being written."""

    filename: str
    lock: int  #: The descriptor of the lock's file.
    writer: TFRecordWriter

    @classmethod
    def begin(cls, filename: str) -> _Writing:
        """Take the lock, also one that a dead process has left, and begin with nothing."""
        path = filename + LOCK
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _take(lock, path)
            return cls(filename, lock, TFRecordWriter(filename + PART))
        except BaseException:
            os.close(lock)
            raise

    def add(self, records: Sequence[bytes]) -> None:
        for each in records:
            self.writer.write(each)

    def done(self, marker: Marker) -> None:
        """All is there: first the records, then what says so."""
        self.writer.close()
        part, temporary = Path(self.filename + PART), Path(self.filename + PART + MARKER)
        _to_disk(part)
        temporary.write_text(replace(marker, nbytes=part.stat().st_size).to_json())
        _to_disk(temporary)
        part.replace(data_path(self.filename))
        temporary.replace(self.filename + MARKER)
        self._free()

    def undo(self) -> None:
        """Leave nothing of it."""
        with suppress(HeadraceError, OSError):
            self.writer.close()
        for each in (PART, PART + MARKER):
            Path(self.filename + each).unlink(missing_ok=True)
        self._free()

    def _free(self) -> None:
        with suppress(OSError):  # while it is still locked: a new one may be made as soon as its name is gone
            Path(self.filename + LOCK).unlink()
        os.close(self.lock)


def _take(lock: int, path: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = os.pread(lock, 64, 0).decode(errors="replace").strip()
        raise FailedPreconditionError(
            f"{path} is locked: {who or 'another iterator'} is writing this cache. Read it to its end, or close it, "
            "before another one begins, or name another file"
        ) from None
    if not _is_there(lock, path):  # whoever had it has just removed it
        raise FailedPreconditionError(f"{path} was freed just now: begin again")
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"the process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)


def _is_there(lock: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))  # noqa: PTH116
    except OSError:
        return False


def _to_disk(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True)
class Look:
    """Is a cache there? If not, it is to be written."""

    number: int  #: Of this look; what is written is told by it.
    filename: str


@dataclass(frozen=True, slots=True)
class Add:
    """More elements."""

    number: int
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """These were all."""

    number: int
    marker: Marker


@dataclass(frozen=True, slots=True)
class Undo:
    """Nothing is to be left of what was written."""

    number: int


Request: TypeAlias = Look | Add | Done | Undo
#: What is there; None where it is to be written; or why neither can be.
Found: TypeAlias = Marker | HeadraceError | None


@dataclass(slots=True)
class CacheFiles:
    """Does what is asked, in the process that runs the operators."""

    writing: dict[int, _Writing] = field(default_factory=dict)  #: By the number of the look.

    def look(self, request: Look, roots: Roots = ANYWHERE) -> Found:
        """What is there; where there is nothing, the lock is taken."""
        try:
            for suffix in (DATA, PART, MARKER, LOCK):
                roots.check_folder(request.filename + suffix)
            if (found := Marker.read(request.filename)) is not None:
                return found
            self.writing[request.number] = _Writing.begin(request.filename)
        except HeadraceError as error:
            return error
        except OSError as error:
            return FileError(request.filename, f"cannot be written: {error.strerror}; name another file in cache()")
        return None

    def do(self, request: Add | Done | Undo) -> str | None:
        """Write; where that cannot be, nothing is left, and this says why."""
        if (writing := self.writing.get(request.number)) is None:
            return None
        try:
            match request:
                case Add(_, records):
                    writing.add(records)
                    return None
                case Done(_, marker):
                    writing.done(marker)
                case Undo():
                    writing.undo()
        except (OSError, HeadraceError) as error:
            writing.undo()
            del self.writing[request.number]
            why = error.strerror if isinstance(error, OSError) else str(error)
            return f"cache({writing.filename!r}) cannot be written: {why}; its elements are computed again"
        del self.writing[request.number]
        return None

    def close(self) -> None:
        """Leave nothing of what is not done."""
        for each in self.writing.values():
            each.undo()
        self.writing.clear()
