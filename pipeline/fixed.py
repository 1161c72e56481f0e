"""Files of records that all have one size, many of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .compression import ByteSource, open_source
from .errors import DataLossError
from .limits import limits
from .records import RecordChunk

__all__ = ["Frame", "read_fixed"]


@dataclass(frozen=True, slots=True)
class Frame:
    """How the records of a file lie: all of `record` bytes, between a header and a footer of so many."""

    record: int
    header: int = 0
    footer: int = 0

    def first(self, start: int) -> int:
        """Where the first record begins at or behind a position of the content."""
        return self.header + -(-max(0, start - self.header) // self.record) * self.record

    def end(self, path: str, size: int) -> int:
        """Where the last record of a file of so many bytes ends.

        Raises:
            DataLossError: no whole number of records has this size.

        >>> Frame(10, header=4).end("numbers.bin", 27)
        Traceback (most recent call last):
        headrace.pipeline.errors.DataLossError: numbers.bin, byte 24: the file has 27 bytes: ...
        """
        body = size - self.header - self.footer
        if body < 0 or body % self.record:
            raise DataLossError(path, self._misfit(size, body), self.header + max(0, body) // self.record * self.record)
        return self.header + body

    def _misfit(self, size: int, body: int) -> str:
        around = f"its header of {self.header:,} and footer of {self.footer:,} bytes"
        if body < 0:
            return f"the file has {size:,} bytes: that is less than {around}"
        return (
            f"the file has {size:,} bytes: without {around} {body:,} are left, which is no multiple of record_bytes, "
            f"{self.record:,}: it is cut, or of other sizes"
        )


def read_fixed(
    path: str, frame: Frame, compression: str = "", start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20
) -> Iterator[RecordChunk]:
    """The records that begin in [start, stop), offsets counted in the uncompressed content.

    Of a file as it is the size is looked at before anything is given; compressed content tells it at its end.

    Raises:
        NotFoundError: the file cannot be opened.
        DataLossError: a size that does not fit, compressed content that is cut or damaged, or records larger than an
            element may be.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"abcdef"), file.flush()
    ...     [chunk.payloads() for chunk in read_fixed(file.name, Frame(2, header=2))]
    [[b'cd', b'ef']]
    """
    with open_source(path, compression) as source:
        reader = _Reader(path, frame, source, chunk_bytes, frame.first(start))
        reader.begin()
        while (stop is None or reader.position < stop) and (chunk := reader.next(stop)) is not None:
            yield chunk


@dataclass(slots=True)
class _Reader:
    path: str
    frame: Frame
    source: ByteSource
    chunk_bytes: int
    position: int  #: Of the next record in the content.
    end: int | None = None  #: Of the last record, where it is known.
    kept: bytes = b""  #: What was read and not given out; no more than a footer and a part of a record.
    fits: int = field(init=False)  #: How many records make a chunk.

    def __post_init__(self) -> None:
        frame = self.frame
        self.fits = max(1, self.chunk_bytes // frame.record)
        if self.source.size is not None:
            self.end = frame.end(self.path, self.source.size)
        elif max(frame.record, frame.footer) > limits().element_bytes:
            raise DataLossError(
                self.path, f"records or a footer of {max(frame.record, frame.footer):,} bytes: {_TOO_LARGE}", 0
            )

    def begin(self) -> None:
        """Go to the first record."""
        if self.end is not None:
            self.source.skip(self.position)
            return
        left = self.position
        while left and len(passed := self._read(min(left, self.chunk_bytes))):
            left -= len(passed)
        self.position -= left
        if left:
            self._check_end(0)
            self.end = self.position

    def next(self, stop: int | None) -> RecordChunk | None:
        """The records that come next; None at the end."""
        frame, most = self.frame, self.fits
        if stop is not None:
            most = min(most, -(-(stop - self.position) // frame.record))
        if self.end is None:
            return self._unpacked(most)
        most = min(most, (self.end - self.position) // frame.record)
        if most <= 0:
            return None
        if most * frame.record > max(limits().element_bytes, self.chunk_bytes):
            raise DataLossError(self.path, f"records of {frame.record:,} bytes: {_TOO_LARGE}", self.position)
        data = self._read(most * frame.record)
        if len(data) < most * frame.record:
            raise DataLossError(self.path, self.source.failure or "the file was cut while it was read", self.position)
        return self._chunk(data)

    def _unpacked(self, most: int) -> RecordChunk | None:
        """Of content that is unpacked: its last bytes are the footer, wherever that begins."""
        frame = self.frame
        wanted = most * frame.record + frame.footer
        fresh = self._read(wanted - len(self.kept))
        data = np.concatenate([np.frombuffer(self.kept, np.uint8), fresh])
        count = max(0, len(data) - frame.footer) // frame.record
        if not count:
            self._check_end(len(data))
            return None
        self.kept = data[count * frame.record :].tobytes()
        return self._chunk(data[: count * frame.record])

    def _check_end(self, left: int) -> None:
        """The content ends, so many bytes behind the position: see that it had to."""
        if self.source.failure is not None:
            raise DataLossError(self.path, self.source.failure, self.position)
        self.frame.end(self.path, self.position + left)

    def _read(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """So many bytes, or fewer at the end."""
        data, filled = np.empty(count, np.uint8), 0
        while filled < count and (more := self.source.readinto(data.data[filled:])):
            filled += more
        return data[:filled]

    def _chunk(self, data: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> RecordChunk:
        size = self.frame.record
        count = len(data) // size
        splits = np.arange(count + 1, dtype=np.int64) * size
        first, self.position = self.position, self.position + len(data)
        return RecordChunk(data, splits, splits[:-1] + first, self.position)


_TOO_LARGE = "no element may be so large (limits.element)"
