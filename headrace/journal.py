"""The journal: facts on disk, in the order in which they became so, for the server's next life.

An SQLite file in write-ahead mode. What is committed survives the death of the process; with
`synchronous=NORMAL` the last moments may be lost where the whole machine loses power, and then what is
left is what was so a moment before, which clients and workers mend by asking again.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from .broker.book import Closed, EpochOpened
from .facts import Fact, from_bytes, to_bytes
from .pipeline.errors import DataLossError, FileError, MalformedMessage, ServiceError

__all__ = ["FORMAT", "NAME", "Growth", "Journal", "format_of"]

#: Of the file, below the state directory.
NAME = "journal.sqlite"
#: Of the file's content; it changes with the facts and with what checkpoints hold.
FORMAT = 2
#: Marks the file as ours: "head" in ASCII.
APPLICATION = 0x68656164
#: SQLite's primary result codes that say that the file is not what it should be.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def format_of(path: Path) -> int | None:
    """The format of a journal, read without opening it as one; None where there is none, or it is still all in its log.

    The numbers lie in SQLite's file header (https://sqlite.org/fileformat.html).

    Raises:
        OSError: it cannot be read.
        DataLossError: it is something else.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return None
    version, made_by = (int.from_bytes(header[at : at + 4], "big") for at in (60, 68))
    if header and (not header.startswith(b"SQLite format 3\0") or made_by not in (0, APPLICATION)):
        raise DataLossError(str(path), "this is no journal of headrace: move it away, or name another file")
    return version or None


@dataclass(slots=True)
class Growth:
    """How much was written since the journal was last made small, and whether that is too much."""

    least_bytes: int = 0  #: What it took when it was last made small.
    bytes: int = 0  #: Written since.
    facts: int = 0
    ended: int = 0  #: Epochs and jobs that ended since, whose facts nobody needs any more.

    def add(self, fact: Fact, nbytes: int) -> None:
        """One more."""
        self.bytes += nbytes
        self.facts += 1
        self.ended += isinstance(fact, Closed | EpochOpened)

    @property
    def due(self) -> bool:
        """Whether to make the journal small: each byte of it is written again only for about as much that is new."""
        if self.facts >= 10_000 or self.bytes >= 1 << 20:
            return self.facts >= 10_000 or self.bytes >= self.least_bytes
        return self.ended > 0 and self.facts >= 64 and 4 * self.bytes >= self.least_bytes


class Journal:
    """One server's facts. Not for several threads; only one process can have it open.

    >>> import tempfile
    >>> from headrace.broker.book import Closed
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "state" / "journal.sqlite"
    >>> journal = Journal.open(path)
    >>> journal.write(Closed(3))
    >>> journal.close()
    >>> journal = Journal.open(path)
    >>> list(journal.replay()), journal.incarnation()
    ([Closed(job=3)], 2)
    >>> journal.close()
    >>> folder.cleanup()
    """

    def __init__(self, path: Path, lock: IO[str], database: sqlite3.Connection) -> None:
        self.path, self.growth = path, Growth()
        self._lock, self._database = lock, database
        self._writing = False
        self._incarnation = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """The journal at `path`, made where there is none: mode 0600, in a folder of mode 0700.

        Raises:
            ServiceError: another server has it open, or it cannot be read or written.
            FileError: it is of another version of headrace.
            DataLossError: it is damaged, or something else.
        """
        path = path.absolute()
        lock = _lock(path)
        try:
            _private(path)
            with _told(path):
                database = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
            journal = cls(path, lock, database)
            try:
                with _told(path):
                    journal._prepare()
            except BaseException:
                database.close()
                raise
        except BaseException:
            lock.close()
            raise
        return journal

    def _prepare(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode=EXCLUSIVE")  # whoever bypasses our lock meets SQLite's
        (made_by,), (version,) = run("PRAGMA application_id").fetchone(), run("PRAGMA user_version").fetchone()
        (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and made_by != APPLICATION:
            raise DataLossError(str(self.path), "this is no journal of headrace: move it away, or name another file")
        if tables and version != FORMAT:
            raise FileError(
                str(self.path),
                f"a journal of format {version}, and this headrace writes format {FORMAT}: run the headrace that wrote "
                "it until its epochs have ended, or move the file away and let running epochs begin anew",
            )
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA journal_size_limit=16777216")
        run("PRAGMA synchronous=FULL")  # the incarnation must not fall back, whatever happens
        run("BEGIN IMMEDIATE")
        run(f"PRAGMA application_id={APPLICATION}")
        run(f"PRAGMA user_version={FORMAT}")
        run("CREATE TABLE IF NOT EXISTS facts (number INTEGER PRIMARY KEY, crc INTEGER NOT NULL, fact BLOB NOT NULL)")
        run("CREATE TABLE IF NOT EXISTS life (one INTEGER PRIMARY KEY CHECK (one = 1), incarnation INTEGER NOT NULL)")
        run("INSERT INTO life VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET incarnation = incarnation + 1")
        (self._incarnation,) = run("SELECT incarnation FROM life").fetchone()
        (self.growth.bytes, self.growth.facts) = run(
            "SELECT ifnull(sum(length(fact)), 0), count(*) FROM facts"
        ).fetchone()
        run("COMMIT")
        run("PRAGMA synchronous=NORMAL")

    def incarnation(self) -> int:
        """How often the journal was opened, this time included; grows also where the process was killed in between."""
        return self._incarnation

    def replay(self) -> Iterator[Fact]:
        """All facts, in the order in which they were written.

        Raises:
            DataLossError: the file is damaged.
        """
        with _told(self.path):
            for number, crc, data in self._database.execute("SELECT number, crc, fact FROM facts ORDER BY number"):
                try:
                    if not isinstance(data, bytes) or zlib.crc32(data) != crc:
                        raise MalformedMessage("its checksum differs")
                    fact = from_bytes(data)
                except MalformedMessage as error:
                    raise DataLossError(str(self.path), f"fact {number} is damaged ({error}): {_ADVICE}") from error
                yield fact

    def write(self, fact: Fact) -> None:
        """One more fact; it is on disk after `commit`.

        Raises:
            ServiceError: the disk is full, or cannot be written any more.
        """
        data = to_bytes(fact)
        with _told(self.path):
            self._begin()
            self._insert(data)
        self.growth.add(fact, len(data))

    def _begin(self) -> None:
        if not self._writing:
            self._database.execute("BEGIN IMMEDIATE")
            self._writing = True

    def _insert(self, data: bytes) -> None:
        self._database.execute("INSERT INTO facts (crc, fact) VALUES (?, ?)", (zlib.crc32(data), data))

    def commit(self) -> None:
        """What was written is so. To be called before anything is sent that follows from it; else it costs nothing.

        Raises:
            ServiceError: the disk is full, or cannot be written any more.
        """
        if self._writing:
            with _told(self.path):
                self._database.execute("COMMIT")
            self._writing = False

    @property
    def overgrown(self) -> bool:
        """Whether it is time for `compact`."""
        return self.growth.due

    def compact(self, facts: Iterable[Fact]) -> None:
        """Put these facts, which say the same as all written so far, in their place, at once or not at all.

        Raises:
            ServiceError: the disk is full, or cannot be written any more; the facts of before are still there.
        """
        found = [to_bytes(fact) for fact in facts]
        self.commit()
        with _told(self.path):
            self._begin()
            try:
                self._database.execute("DELETE FROM facts")
                for data in found:
                    self._insert(data)
            except sqlite3.Error:
                self._database.rollback()
                self._writing = False
                raise
        self.commit()
        self.growth = Growth(least_bytes=sum(map(len, found)))

    def close(self) -> None:
        """Commit, and let others have it; a second call does nothing."""
        try:
            if self._database.in_transaction:  # what ended one, such as a full disk, has been told already
                self.commit()
        finally:
            self._database.close()
            self._lock.close()


_ADVICE = "move it away, and running epochs begin anew"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except UnicodeDecodeError as error:  # of the schema, or of what SQLite says about it
        raise DataLossError(str(path), f"the journal is damaged: {_ADVICE}") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _DAMAGED:
            raise DataLossError(str(path), f"the journal is damaged ({error}): {_ADVICE}") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ServiceError(f"{path} is in use by another program: {error}") from error
        if code == sqlite3.SQLITE_FULL:
            raise ServiceError(f"{path} cannot grow, the disk is full: make room and start the server again") from error
        raise ServiceError(f"{path} cannot be read or written: {error}; see to the disk and its permissions") from error


def _lock(path: Path) -> IO[str]:
    """The journal's lock, held by this process. It lies beside it: to close the file itself would drop SQLite's."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.parent.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise ServiceError(f"{path.parent} can be written by others: chmod 700 it, or name another folder")
        lock = path.with_name(f"{path.name}.lock").open("a+")
    except OSError as error:
        raise ServiceError(f"{path} cannot be opened: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        if isinstance(error, BlockingIOError):
            raise ServiceError(f"another server, process {holder}, uses {path}: stop it, or name another") from error
        raise ServiceError(f"{path} cannot be locked: {error}") from error
    return lock


def _private(path: Path) -> None:
    """A file that only we can read; what SQLite puts beside it is as private."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServiceError(f"{path} cannot be opened: {error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
            raise ServiceError(f"{path} is not a file of yours: move it away, or name another")
        if status.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
