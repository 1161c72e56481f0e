"""Ends: a file's size and the CRC-32C of its two ends, by which a changed file is told from the one that was read.

Never the time stamp: a copy is the same file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import google_crc32c

from .errors import FailedPreconditionError

__all__ = ["END_BYTES", "Ends", "check_files", "ends_of"]

#: Of each end.
END_BYTES = 64 << 10
#: Size and CRC-32C.
Ends: TypeAlias = "tuple[int, int]"


def ends_of(path: str) -> Ends:
    """Size, and CRC-32C of the first and the last 64 KiB, one behind the other; of the whole where there is no more.

    Raises:
        OSError: the file cannot be read.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"123456789"), file.flush()
    ...     size, crc = ends_of(file.name)
    >>> size, hex(crc)
    (9, '0xe3069283')
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        found = file.read(min(size, 2 * END_BYTES if size <= 2 * END_BYTES else END_BYTES))
        if size > 2 * END_BYTES:
            file.seek(size - END_BYTES)
            found += file.read(END_BYTES)
    return size, google_crc32c.value(found)


def check_files(files: Any, then: str, now: str) -> dict[str, str]:
    """Where the files of a token are: from their names when it was taken to those here.

    A name below the folder `then`, in which relative names were looked up, is tried below the folder `now` first.

    Raises:
        FailedPreconditionError: a file is not there, or is another one; the message names it.
    """
    return {path: _found(path, (size, crc), then, now) for path, size, crc in files}


def _found(path: str, wanted: Ends, then: str, now: str) -> str:
    trouble: list[str] = []
    for each in _candidates(path, then, now):
        try:
            ends = ends_of(each)
        except OSError as error:
            trouble.append(f"{each} cannot be read: {error.strerror}")
            continue
        if ends == wanted:
            return each
        what = f"{ends[0]:,} bytes, and had {wanted[0]:,}" if ends[0] != wanted[0] else "other content"
        trouble.append(f"{each} has {what}")
    raise FailedPreconditionError(
        f"the token was taken while a file was being read that is not the same here: {'; '.join(trouble)}. Put back "
        "the file as it was, or begin the epoch anew with set_epoch() or iterate(epoch=...)"
    )


def _candidates(path: str, then: str, now: str) -> list[str]:
    if then and path.startswith(then.rstrip("/") + "/"):
        below = os.path.join(now, path[len(then.rstrip("/")) + 1 :])  # noqa: PTH118  (a Path would change other names)
        return list(dict.fromkeys([below, path]))
    return [path]
