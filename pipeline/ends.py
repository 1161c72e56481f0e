"""Ends: a file's size and the CRC-32C of its two ends, by which a changed file is told from the one that was read.

Never the time stamp: a copy is the same file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import google_crc32c

from .errors import FailedPreconditionError

__all__ = ["END_BYTES", "Ends", "Look", "candidates", "check_files", "ends_of", "look_at"]

#: Of each end.
END_BYTES = 64 << 10
#: Size and CRC-32C.
Ends: TypeAlias = "tuple[int, int]"


#: From a path to the file's ends, or why it cannot be read.
Look: TypeAlias = "Callable[[str], Ends | str]"


def ends_of(path: str) -> Ends:
    """Size, and CRC-32C of the first and the last 64 KiB, one behind the other; of the whole where there is no more.

    Raises:
        OSError: the file cannot be read, or is no regular one.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"123456789"), file.flush()
    ...     size, crc = ends_of(file.name)
    >>> size, hex(crc)
    (9, '0xe3069283')
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):  # to open a pipe could take for ever
        raise OSError(errno.EINVAL, "no regular file", path)
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        found = file.read(size if size <= 2 * END_BYTES else END_BYTES)
        if size > 2 * END_BYTES:
            file.seek(size - END_BYTES)
            found += file.read(END_BYTES)
    return size, google_crc32c.value(found)


def look_at(path: str) -> Ends | str:
    """The file's ends, or why it cannot be read."""
    try:
        return ends_of(path)
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError as error:  # a path with a zero byte
        return str(error)


def candidates(path: str, then: str, now: str) -> list[str]:
    """Where a file of a token may be: below the folder `now`, if it was below `then`, else where it was.

    >>> candidates("/home/ann/data/a", "/home/ann", "/home/ben"), candidates("/data/a", "/home/ann", "/home/ben")
    (['/home/ben/data/a', '/home/ann/data/a'], ['/data/a'])
    """
    if then and path.startswith(then.rstrip("/") + "/"):
        below = os.path.join(now, path[len(then.rstrip("/")) + 1 :])  # noqa: PTH118  (a Path would change other names)
        return list(dict.fromkeys([below, path]))
    return [path]


def check_files(files: Any, then: str, now: str, look: Look = look_at) -> dict[str, str]:
    """Where the files of a token are: from their names when it was taken to those here.

    `then` and `now` are the folders in which relative names were, and are, looked up.

    Raises:
        FailedPreconditionError: a file is not there, or is another one; the message names it.
    """
    return {path: _found(path, (size, crc), candidates(path, then, now), look) for path, size, crc in files}


def _found(path: str, wanted: Ends, places: list[str], look: Look) -> str:
    trouble: list[str] = []
    for each in places:
        ends = look(each)
        if ends == wanted:
            return each
        if isinstance(ends, str):
            trouble.append(f"{each} cannot be read: {ends}")
        else:
            what = f"{ends[0]:,} bytes, and had {wanted[0]:,}" if ends[0] != wanted[0] else "other content"
            trouble.append(f"{each} has {what}")
    raise FailedPreconditionError(
        f"the token was taken while a file was being read that is not the same here: {'; '.join(trouble)}. Put back "
        "the file as it was, or begin the epoch anew with set_epoch() or iterate(epoch=...)"
    )
