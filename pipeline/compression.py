"""Files as streams of uncompressed bytes: plain, GZIP, ZLIB."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from .errors import InvalidArgumentError, NotFoundError
from .limits import limits

__all__ = ["WINDOW_BITS", "ByteSource", "check_compression", "open_source"]

#: What zlib calls each format: 15 bits of window, plus 16 for a gzip header.
WINDOW_BITS = {"GZIP": 31, "ZLIB": 15}

#: Pieces of fixed size, whatever the caller asks for: how much of a damaged stream can be read then depends
#: on the file alone.
COMPRESSED_PIECE = 64 << 10
CONTENT_PIECE = 256 << 10


class ByteSource(Protocol):
    """Uncompressed bytes, in order. After the end `failure` says why it came early, or None."""

    failure: str | None
    size: int | None  #: Bytes of uncompressed content, where the file tells.

    def readinto(self, into: memoryview, /) -> int:
        """Fill the front of `into`; the number of bytes, 0 at the end."""

    def skip(self, count: int) -> None:
        """Go on `count` bytes further."""

    def close(self) -> None:
        """Give the file back."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_compression(name: str | None) -> str:
    """The compression that a user named; None means none.

    >>> check_compression("GZIP"), check_compression(None)
    ('GZIP', '')
    >>> check_compression("gz")
    Traceback (most recent call last):
    headrace.pipeline.errors.InvalidArgumentError: unknown compression 'gz': use "" for none, "GZIP" or "ZLIB"
    """
    if name is None or name == "":
        return ""
    if name not in WINDOW_BITS:
        raise InvalidArgumentError(f'unknown compression {name!r}: use "" for none, "GZIP" or "ZLIB"')
    return name


def open_source(path: str, compression: str = "") -> ByteSource:
    """The uncompressed bytes of a file.

    Raises InvalidArgumentError for an unknown compression and NotFoundError where the file cannot be opened.
    """
    kind = _Inflated if check_compression(compression) else _Plain
    try:
        return kind(path, compression)
    except OSError as error:
        raise NotFoundError(path, f"cannot be opened: {error.strerror}") from error


class _Opened:
    """What both kinds of source share: one file, open for reading, and the reason of an early end."""

    def __init__(self, path: str, compression: str) -> None:
        self.compression = compression
        self.failure: str | None = None
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed by whoever opened the source

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Plain(_Opened):
    """A file as it is."""

    def __init__(self, path: str, compression: str) -> None:
        super().__init__(path, compression)
        self.size: int | None = os.fstat(self._file.fileno()).st_size

    def readinto(self, into: memoryview, /) -> int:
        try:
            return self._file.readinto(into) or 0
        except OSError as error:
            self.failure = f"reading failed: {error.strerror}"
            return 0

    def skip(self, count: int) -> None:
        self._file.seek(count, os.SEEK_CUR)


class _Inflated(_Opened):
    """A GZIP or ZLIB file: one or more members, one behind the other, decompressed piece by piece."""

    def __init__(self, path: str, compression: str) -> None:
        super().__init__(path, compression)
        self.size: int | None = None
        self._compressed, self._content = 0, 0  # bytes so far
        self._waiting = b""  # compressed, not yet inflated
        self._piece = memoryview(b"")  # inflated, not yet handed out
        self._member: zlib._Decompress | None = None
        self._holds_more = False  # output may wait inside zlib

    def readinto(self, into: memoryview, /) -> int:
        self._refill()
        count = min(len(into), len(self._piece))
        into[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def skip(self, count: int) -> None:
        while count > 0 and self._refill():
            step = min(count, len(self._piece))
            self._piece, count = self._piece[step:], count - step

    def _refill(self) -> bool:
        """Have a piece to hand out; false at the end."""
        while not self._piece and self.failure is None and self._feed():
            self._piece = memoryview(self._inflate())
            self._guard()
        return bool(self._piece)

    def _feed(self) -> bool:
        """Have something to inflate; false at the end of the file."""
        if self._waiting or self._holds_more:
            return True
        try:
            self._waiting = self._file.read(COMPRESSED_PIECE) or b""
        except OSError as error:
            self.failure = f"reading failed: {error.strerror}"
            return False
        self._compressed += len(self._waiting)
        if not self._waiting and self._member is not None:
            self.failure = f"the {self.compression} stream is cut: its end is missing"
        return bool(self._waiting)

    def _inflate(self) -> bytes:
        member = self._member or zlib.decompressobj(WINDOW_BITS[self.compression])
        try:
            piece = member.decompress(self._waiting, CONTENT_PIECE)
        except zlib.error as error:
            self.failure = f"the {self.compression} stream is damaged: {error}"
            return b""
        self._member = None if member.eof else member
        self._waiting = member.unused_data if member.eof else member.unconsumed_tail
        self._holds_more = len(piece) == CONTENT_PIECE and not member.eof
        return piece

    def _guard(self) -> None:
        """A stream that has given much, and many times what it is, is a bomb; either alone is common."""
        self._content += len(self._piece)
        most, ratio = limits().content_bytes, limits().content_ratio
        if self._content > most and self._content > ratio * self._compressed:
            self._piece = memoryview(b"")
            self.failure = (
                f"{self._compressed:,} compressed bytes have already become {self._content:,}, more than "
                f"{most:,} and more than {ratio} times as many: decompress the file first if it is meant to be so, or "
                "raise limits.content"
            )
