"""Record indexes: a file beside a TFRecord file that says where each record begins, so that any is found by number.

Its name is that of the records with `.index` behind it; docs/formats.md has the format. Whether it belongs to the file
beside it is told by the size and the ends of that (see `ends`).
"""

from __future__ import annotations

import os
import struct
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from .ends import Ends, ends_of
from .errors import DataLossError, FailedPreconditionError, NotFoundError

__all__ = ["RecordIndex", "index_path", "places_of", "read_index", "save_index"]

MAGIC = b"hrindex1"
#: Behind the magic: records, bytes of the record file, CRC-32C of its ends, CRC-32C of all of this before.
_FIELDS = struct.Struct("<QQI")
_CRC = struct.Struct("<I")
#: The places of records begin here.
PLACES = len(MAGIC) + _FIELDS.size + _CRC.size
_ADVICE = "write it anew with hr.io.write_index(path)"
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RecordIndex:
    """What the index of a file says of it."""

    records: int
    ends: Ends  #: Of the record file.


def index_path(path: str) -> str:
    """Where the index of a file lies.

    >>> index_path("a.tfrecord")
    'a.tfrecord.index'
    """
    return f"{path}.index"


def save_index(path: str, offsets: npt.NDArray[np.uint64]) -> None:
    """Write the index of a finished file, whose records begin at these places: whole or not at all.

    Raises:
        NotFoundError: it cannot be written, or the file cannot be read.
    """
    try:
        head = MAGIC + _FIELDS.pack(len(offsets), *ends_of(path))
        handle, temporary = tempfile.mkstemp(dir=Path(path).parent, prefix=f".{Path(path).name[:100]}-")
    except OSError as error:
        raise NotFoundError(index_path(path), f"cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(head + _CRC.pack(google_crc32c.value(head)))
            file.write(np.ascontiguousarray(offsets, "<u8").data)
        Path(temporary).chmod(Path(path).stat().st_mode & 0o666)
        Path(temporary).replace(index_path(path))
    except OSError as error:
        with suppress(OSError):
            Path(temporary).unlink()
        raise NotFoundError(index_path(path), f"cannot be written: {error.strerror}") from error


def read_index(path: str) -> RecordIndex:
    """What the index of a file says, if it is that of this file.

    Raises:
        NotFoundError: there is none, or it cannot be read, nor the file.
        DataLossError: it is damaged.
        FailedPreconditionError: the file has changed since.
    """
    where = index_path(path)
    try:
        with Path(where).open("rb") as file:
            head, size = file.read(PLACES), os.fstat(file.fileno()).st_size
    except OSError as error:
        told = f"the index of {path} cannot be opened: {error.strerror}: {_ADVICE}, or give TFRecordWriter index=True"
        raise NotFoundError(where, told) from error
    body = head[: -_CRC.size]
    if (
        len(head) < PLACES
        or not head.startswith(MAGIC)
        or _CRC.unpack(head[-_CRC.size :])[0] != google_crc32c.value(body)
    ):
        raise DataLossError(where, f"this is no index of records, or a damaged one: {_ADVICE}", 0)
    records, *ends = _FIELDS.unpack(body[len(MAGIC) :])
    if size != PLACES + 8 * records:
        raise DataLossError(where, f"of {records:,} places {(size - PLACES) / 8:,.1f} are there: {_ADVICE}", size)
    found = RecordIndex(records, (ends[0], ends[1]))
    try:
        now = ends_of(path)
    except OSError as error:
        raise NotFoundError(path, f"cannot be opened: {error.strerror}") from error
    if now != found.ends:
        told = f"{now[0]:,} bytes, and had {ends[0]:,}" if now[0] != ends[0] else "other content"
        raise FailedPreconditionError(f"{path} has {told} when {where} was written: {_ADVICE}")
    return found


def places_of(path: str, index: int, numbers: _Numbers, records: int, size: int) -> _Numbers:
    """Where records of these numbers begin and end, [n, 2], by the open index of a file of so many, and of this size.

    Raises:
        DataLossError: the index has been cut, or says what cannot be.
    """
    low, high = int(numbers.min()), int(numbers.max())
    if high - low > 4 * len(numbers) + 1024:  # far apart
        return np.concatenate([places_of(path, index, each, records, size) for each in np.split(numbers, len(numbers))])
    last = min(high + 2, records)
    data = os.pread(index, 8 * (last - low), PLACES + 8 * low)
    if len(data) < 8 * (last - low):
        raise DataLossError(index_path(path), f"the index is cut: {_ADVICE}", PLACES + 8 * low + len(data))
    places = np.append(np.frombuffer(data, "<u8").astype(np.int64), size)
    found = np.stack([places[numbers - low], places[numbers + 1 - low]], axis=1)
    if not ((found[:, 0] >= 0) & (found[:, 0] < found[:, 1]) & (found[:, 1] <= size)).all():
        raise DataLossError(index_path(path), f"the places of records {low:,} to {high:,} cannot be: {_ADVICE}")
    return found
