"""A worker's box: a small mapped file that says on which element it is, read by others when it has died."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

__all__ = ["Box"]

_FORMAT = struct.Struct("<qq")
_IDLE = -1
_BUSY = -2


class Box:
    """Two numbers in a file: split and position, or none.

    Written before each element that a function sees, so it must cost next to nothing; a mapped page
    outlives the process that wrote it, however that ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(mode=0o600)
        with path.open("r+b") as file:
            file.truncate(mmap.PAGESIZE)
            self._memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def clear(self) -> None:
        """Nothing is being done."""
        _FORMAT.pack_into(self._memory, 0, _IDLE, _IDLE)

    def working(self) -> None:
        """Something that belongs to no element: functions are loaded, a file is read."""
        _FORMAT.pack_into(self._memory, 0, _BUSY, _BUSY)

    def executing(self, split: int, position: int) -> None:
        """This element is."""
        _FORMAT.pack_into(self._memory, 0, split, position)

    def read(self) -> tuple[int, int] | None:
        """What is being executed, or was when the worker died."""
        split, position = _FORMAT.unpack_from(self._memory, 0)
        return (split, position) if split >= 0 else None

    @property
    def between(self) -> bool:
        """Whether it is at work, or died at it, on no element."""
        return bool(_FORMAT.unpack_from(self._memory, 0)[0] == _BUSY)

    def remove(self) -> None:
        """Close and delete it."""
        self._memory.close()
        self.path.unlink(missing_ok=True)
