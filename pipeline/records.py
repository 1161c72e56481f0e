"""TFRecord files: read in chunks, scanned for boundaries, written."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import google_crc32c
import numpy as np
import numpy.typing as npt

from .compression import WINDOW_BITS, ByteSource, check_compression, open_source
from .errors import DataLossError, FailedPreconditionError, InvalidArgumentError, NotFoundError
from .kernels import framing
from .kernels.framing import FOOTER, HEADER
from .limits import limits
from .record_index import save_index

__all__ = ["RecordChunk", "TFRecordWriter", "read_records", "scan_records"]

#: From this many bytes on, one call of google-crc32c (0.4 us, then 28 GB/s) beats the kernel (1.9 GB/s).
#: Where its C library is missing, the kernel checks everything.
LARGE = 3072 if google_crc32c.implementation == "c" else sys.maxsize

#: The most records in a chunk; it bounds the scratch arrays.
CHUNK_RECORDS = 1 << 16

TOO_LONG = "no element may be so large (limits.element); the rest of the file is not read"
#: What the kernel's findings mean, in words.
DAMAGE = {
    framing.BAD_LENGTH: "the record's length and its CRC disagree; the rest of the file cannot be read",
    framing.BAD_DATA: "the record's data and their CRC disagree; the rest of the file is not read",
}


@dataclass(frozen=True, slots=True)
class RecordChunk:
    """Some consecutive records of one file."""

    data: npt.NDArray[np.uint8]  #: Payloads of all records, one behind the other; owned.
    splits: npt.NDArray[np.int64]  #: [n + 1]: record i is data[splits[i]:splits[i + 1]].
    offsets: npt.NDArray[np.int64]  #: [n]: where each record's header begins in the uncompressed content.
    next_offset: int  #: Where the record after the last one begins.

    def __len__(self) -> int:
        return len(self.offsets)

    def payloads(self) -> list[bytes]:
        """Each record's payload as a `bytes` of its own."""
        whole, places = self.data.tobytes(), self.splits.tolist()
        return [whole[begin:end] for begin, end in pairwise(places)]


def read_records(
    path: str,
    compression: str = "",
    start: int = 0,
    stop: int | None = None,
    chunk_bytes: int = 4 << 20,
) -> Iterator[RecordChunk]:
    """The records of a TFRecord file whose headers begin in [start, stop), chunk by chunk, both CRCs checked.

    `start` and `stop` count bytes of uncompressed content; `start` must be where a record begins. A chunk holds
    about `chunk_bytes`, or one record that is larger. What is intact before a damage is given first.

    Raises InvalidArgumentError (unknown compression) at once; while iterating NotFoundError, and DataLossError at
    the first damaged or cut record. Its `offset` is that of the record, or of its payload where the payload's CRC
    is wrong, and its `resume` where the next record begins, if that can be known.

    >>> import tempfile
    >>> path = tempfile.mkstemp(suffix=".tfrecord")[1]
    >>> with TFRecordWriter(path) as writer:
    ...     writer.write(b"one")
    ...     writer.write(b"three")
    >>> [(chunk.payloads(), chunk.offsets.tolist(), chunk.next_offset) for chunk in read_records(path)]
    [([b'one', b'three'], [0, 19], 40)]
    """
    if start < 0 or chunk_bytes < 1:
        raise InvalidArgumentError(f"start must be 0 or more, chunk_bytes 1 or more: got {start} and {chunk_bytes}")
    return _read(path, check_compression(compression), start, sys.maxsize if stop is None else stop, chunk_bytes)


def _read(path: str, compression: str, start: int, stop: int, chunk_bytes: int) -> Iterator[RecordChunk]:
    with open_source(path, compression) as source:
        if source.size is not None and start > source.size:
            raise DataLossError(path, f"the file ends before, at {source.size:,}: it has been cut", start)
        source.skip(start)
        window = _Window(source, start, chunk_bytes)
        while window.offset < stop and window.fill(min(chunk_bytes, stop - window.offset)):
            chunk, status, whole = window.frame(stop)
            if len(chunk):
                yield chunk
            elif status == framing.BAD_DATA:
                error = DataLossError(path, DAMAGE[status], window.offset + HEADER)
                error.resume = window.offset + whole
                raise error
            elif status in DAMAGE:
                raise DataLossError(path, DAMAGE[status], window.offset)
            elif source.size is None and whole > limits().element_bytes + HEADER + FOOTER:
                # Of a file as it is, no more is read than it has; content that is unpacked may have no end.
                raise DataLossError(path, f"the record here would have {whole:,} bytes: {TOO_LONG}", window.offset)
            elif not window.holds(whole):
                raise DataLossError(path, window.shortage(whole), window.offset)
        if source.failure and window.offset < stop:
            raise DataLossError(path, source.failure, window.offset)


class _Window:
    """The part of a file that has been read and not yet given out."""

    def __init__(self, source: ByteSource, offset: int, chunk_bytes: int) -> None:
        self.source, self.offset = source, offset  # `offset`: of the window's first byte
        left = chunk_bytes if source.size is None else min(chunk_bytes, source.size - offset)
        self._usual = max(left, HEADER)
        self._bytes = np.empty(self._usual, np.uint8)
        self._begin, self._end = 0, 0
        room = min(CHUNK_RECORDS, self._usual // (HEADER + FOOTER) + 1)
        self._starts, self._lengths = np.empty(room, np.int64), np.empty(room, np.int64)

    def __len__(self) -> int:
        return self._end - self._begin

    def fill(self, wanted: int) -> bool:
        """Read until `wanted` bytes are there or the file ends; false when nothing is there at all."""
        while len(self) < wanted:
            self._make_room(wanted)
            count = self.source.readinto(self._bytes.data[self._end : self._begin + wanted])
            if not count:
                break
            self._end += count
        return len(self) > 0

    def _make_room(self, wanted: int) -> None:
        if self._begin + wanted <= len(self._bytes):
            return
        kept = self._bytes[self._begin : self._end]
        # Twice what has really come, not what a header claims: a lie then cannot allocate much.
        size = max(self._usual, min(wanted, 2 * len(kept)))
        if size != len(self._bytes):
            self._bytes = np.empty(size, np.uint8)
        self._bytes[: len(kept)] = kept
        self._begin, self._end = 0, len(kept)

    def holds(self, whole: int) -> bool:
        """Get all of a record of `whole` bytes; false when the file has less."""
        if self.source.size is not None and whole > self.source.size - self.offset:
            return False
        self.fill(whole)
        return len(self) >= whole

    def shortage(self, whole: int) -> str:
        """Why the record here cannot be had."""
        if self.source.failure:
            return self.source.failure
        left = len(self) if self.source.size is None else self.source.size - self.offset
        return f"the file is cut: the record here has {whole:,} bytes or more, {left:,} are left"

    def frame(self, stop: int) -> tuple[RecordChunk, int, int]:
        """Take the intact records from the front, with the kernel's word on the one behind them."""
        count, _, status, whole = framing.frame(
            self._bytes,
            self._begin,
            self._end,
            min(self._end, self._begin + stop - self.offset),
            LARGE,
            self._starts,
            self._lengths,
        )
        intact = self._intact(count)
        if intact < count:
            count, status, whole = intact, framing.BAD_DATA, HEADER + int(self._lengths[intact]) + FOOTER
        return self._take(count), status, whole

    def _intact(self, count: int) -> int:
        """How many of the first records are intact; the large ones have not been checked so far."""
        for i in np.flatnonzero(self._lengths[:count] >= LARGE).tolist():
            start = int(self._starts[i])
            end = start + int(self._lengths[i])
            if masked(self._bytes[start:end]) != int.from_bytes(self._bytes[end : end + FOOTER].tobytes(), "little"):
                return int(i)
        return count

    def _take(self, count: int) -> RecordChunk:
        starts = self._starts[:count]
        splits = np.zeros(count + 1, np.int64)
        np.cumsum(self._lengths[:count], out=splits[1:])
        data = np.empty(int(splits[-1]), np.uint8)
        framing.concatenate(self._bytes, starts, splits, data)
        offsets = starts + (self.offset - self._begin - HEADER)
        taken = len(data) + count * (HEADER + FOOTER)
        self._begin, self.offset = self._begin + taken, self.offset + taken
        return RecordChunk(data, splits, offsets, self.offset)


def masked(data: bytes | npt.NDArray[np.uint8]) -> int:
    """Masked CRC-32C, as TFRecord stores it.

    >>> masked(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
    True
    """
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


#: How much `scan_records` reads at a time: little where records are large and it jumps, much where they are small.
SCAN_BYTES = (4 << 10, 1 << 20)


def scan_records(path: str, every: int) -> list[int]:
    """Places of records about `every` bytes apart in an uncompressed file: [0, b1, b2, ..., size of the file].

    Jumps from header to header and checks the lengths' CRCs alone. Behind a damaged header there are no more
    places, so the damage lies in the last stretch, and reading that raises the DataLossError. [0] for an empty file.
    Raises NotFoundError.

    >>> import tempfile
    >>> path = tempfile.mkstemp(suffix=".tfrecord")[1]
    >>> with TFRecordWriter(path) as writer:
    ...     for size in (10, 20, 30, 40):
    ...         writer.write(bytes(size))
    >>> scan_records(path, every=50)
    [0, 62, 164]
    """
    if every < 1:
        raise InvalidArgumentError(f"every must be 1 byte or more, got {every}")
    try:
        with Path(path).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            found = list(_places(file.fileno(), size, every))
    except OSError as error:
        raise NotFoundError(path, f"cannot be read: {error.strerror}") from error
    return [0, *found, size] if size else [0]


def _places(file: int, size: int, every: int) -> Iterator[int]:
    # Plain reads and no mmap: a mapped file that somebody cuts would kill the process.
    found = np.empty(1024, np.int64)
    place, last, wanted = 0, 0, SCAN_BYTES[0]
    while size - place >= HEADER:
        piece = np.frombuffer(os.pread(file, wanted, place), np.uint8)
        count, after, status = framing.boundaries(piece, len(piece), place, place, every, last, found)
        yield from found[:count].tolist()
        if status == framing.BAD_LENGTH or after == place:
            return
        last = int(found[count - 1]) if count else last
        # Many records in this piece: reading on from here in one go is cheaper than jumping.
        wanted = SCAN_BYTES[after - place <= 2 * len(piece)]
        place = int(after)


class TFRecordWriter:
    """Writes a TFRecord file, plain or compressed; a context manager.

    With `index` a file beside it says where each record begins, once it is closed, so that
    `TFRecordDataset(path, index=True)` finds any by its number. What is compressed has none.

    Raises InvalidArgumentError for an unknown compression, NotFoundError where the file cannot be created, and
    FailedPreconditionError when used after `close()`.
    """

    def __init__(self, path: str | os.PathLike[str], compression: str | None = None, *, index: bool = False) -> None:
        self._path = os.fspath(path)
        bits = WINDOW_BITS.get(check_compression(compression))
        if index and bits is not None:
            raise InvalidArgumentError("a compressed file cannot be entered at a record: leave out index=True")
        self._places: array[int] | None = array("Q") if index else None
        self._size = 0
        self._packer = None if bits is None else zlib.compressobj(wbits=bits)
        try:
            self._file = Path(self._path).open("wb")  # noqa: SIM115 - `close` closes it
        except OSError as error:
            raise NotFoundError(self._path, f"cannot be created: {error.strerror}") from error

    def write(self, record: bytes) -> None:
        """Append one record."""
        if not isinstance(record, bytes):
            raise InvalidArgumentError(
                f"a record must be bytes, not {type(record).__name__}: make_example(...) or .encode() gives some"
            )
        length = struct.pack("<Q", len(record))
        self._check_open()
        if self._places is not None:
            self._places.append(self._size)
        self._size += framing.HEADER + len(record) + framing.FOOTER
        self._put(length + struct.pack("<I", masked(length)))
        self._put(record)
        self._put(struct.pack("<I", masked(record)))

    def _put(self, data: bytes) -> None:
        self._file.write(data if self._packer is None else self._packer.compress(data))

    def _check_open(self) -> None:
        if self._file.closed:
            raise FailedPreconditionError(f"the writer of {self._path} has been closed: open a new one")

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        self._check_open()
        if self._packer is not None:
            self._file.write(self._packer.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        if not self._file.closed:
            with self._file:
                self._file.write(b"" if self._packer is None else self._packer.flush())
            if self._places is not None:
                save_index(self._path, np.array(self._places, np.uint64))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._places = None  # what is not all there is not to be found by number
        self.close()
