"""Indexing: from a TFRecord file that is there to the index beside it."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .errors import DataLossError
from .kernels.framing import FOOTER, HEADER
from .record_index import save_index
from .records import scan_records

__all__ = ["write_index"]


def write_index(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> None:
    """Write the indexes of TFRecord files that are there, by which `TFRecordDataset(..., index=True)` finds records.

    Jumps from header to header; payloads are not read.

    Raises:
        NotFoundError: a file cannot be read, or its index not be written.
        DataLossError: a damaged or cut record, with file and offset.

    >>> import headrace as hr, tempfile
    >>> path = tempfile.mkstemp(suffix=".tfrecord")[1]
    >>> with hr.io.TFRecordWriter(path) as writer:
    ...     for record in (b"a", b"b", b"c"):
    ...         writer.write(record)
    >>> write_index(path)
    >>> len(hr.TFRecordDataset(path, index=True))
    3
    """
    for each in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = os.fspath(each)
        *places, size = scan_records(path, every=1)
        end = _behind(path, places[-1]) if places else 0
        if end != size:
            place, told = (places[-1], "is cut") if end > size else (end, "is damaged or cut")
            raise DataLossError(path, f"the record here {told}: the file cannot be indexed", place)
        save_index(path, np.array(places, np.uint64))


def _behind(path: str, place: int) -> int:
    """Where the record there ends, by what its header says; that is intact."""
    with Path(path).open("rb") as file:
        file.seek(place)
        length, _ = struct.unpack("<QI", file.read(HEADER))
    return place + HEADER + int(length) + FOOTER
