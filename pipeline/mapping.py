"""Mapping: slabs of a peer as they are read here, and which of their regions nothing refers to any more."""

from __future__ import annotations

import fcntl
import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet, ref

from .columns import Array, aligned
from .errors import MalformedMessage, ServiceError
from .slabs import GET_SEALS, SEAL_GROW, SEAL_SHRINK, Region, Slab

__all__ = ["Mapping", "open_memory", "pid_of"]

_NAME = re.compile(r"([1-9][0-9]{0,9})/([0-9]{1,9})/([0-9a-f]{16})")
#: More slabs than any pool has; each takes a descriptor.
MOST_SLABS = 512


def pid_of(name: str) -> int:
    """The process whose memory this names; MalformedMessage where that is no name.

    >>> pid_of("123/7/00112233aabbccdd")
    123
    """
    return int(_parts(name)[0])


def _parts(name: Any) -> tuple[str, str, str]:
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise MalformedMessage(f"{name!r:.80} names no shared memory")
    return match[1], match[2], match[3]


def open_memory(name: str) -> int:
    """A descriptor, to read and write, of the memory that a peer on this host made as `name`.

    Raises:
        MalformedMessage: that is no name.
        ServiceError: it is not there, is somebody else's, or could shrink under us.
    """
    pid, number, token = _parts(name)
    path = f"/proc/{pid}/fd/{number}"
    try:
        # Looked at before it is opened: opening a device or a pipe may do something.
        if os.readlink(path) != f"/memfd:headrace-{token} (deleted)":  # noqa: PTH115  (a Path would drop a slash)
            raise ServiceError(f"{path} is no memory of headrace's")
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise ServiceError(f"shared memory cannot be opened: {error}") from error
    if not _is_safe(fd):
        os.close(fd)
        raise ServiceError(f"{path} is another user's, or its size is not fixed")
    return fd


def _is_safe(fd: int) -> bool:
    """Whether memory is this user's and of a fixed size: where it shrinks, reading what is mapped kills the reader."""
    try:
        seals = fcntl.fcntl(fd, GET_SEALS)
    except OSError:  # it is a file that has no seals
        return False
    return seals & SEAL_SHRINK != 0 and seals & SEAL_GROW != 0 and os.fstat(fd).st_uid == os.geteuid()


class _Used(ref[Region]):
    """A region in use, and when it was lent last. It is no longer used when this is called back."""

    __slots__ = ("kept", "key", "serial")

    def __init__(self, region: Region, gone: Callable[[Any], None], serial: int) -> None:
        self.key, self.serial, self.kept = (region.slab.name, region.offset), serial, False

    def __new__(cls, region: Region, gone: Callable[[Any], None], serial: int) -> _Used:
        return super().__new__(cls, region, gone)


@dataclass(slots=True, weakref_slot=True, eq=False)
class Mapping:
    """The slabs of one peer, by name, mapped at first sight and kept."""

    pid: int  #: Of the peer: no other process's memory is opened.
    _slabs: dict[str, Slab] = field(default_factory=dict)
    _used: dict[tuple[str, int], _Used] = field(default_factory=dict)
    _gone: deque[_Used] = field(default_factory=deque)  #: Appended to whenever and wherever a region's use ends.

    def __post_init__(self) -> None:
        _ALL.add(self)

    def array(self, lent: Sequence[Any]) -> Array:
        """The block that the peer lent: uint8, writable, not used for anything else while a view of it lives.

        Raises:
            MalformedMessage: what cannot be, as a region beyond its slab's end.
            ServiceError: the slab cannot be opened, as where the peer has died.
        """
        if len(lent) != 4 or any(type(each) is not int for each in lent[1:]):
            raise MalformedMessage(f"{lent!r:.80} names no shared memory")
        name, offset, nbytes, serial = lent
        slab = self._slab(name)
        if not 0 <= offset <= slab.nbytes or offset != aligned(offset) or not 0 <= nbytes <= slab.nbytes - offset:
            raise MalformedMessage(f"{nbytes} bytes at {offset} of shared memory of {slab.nbytes} bytes")
        used = self._used.get((name, offset))
        region = None if used is None else used()
        if used is None or region is None or region.nbytes != nbytes:
            region = Region(slab, offset, nbytes)
            self._used[name, offset] = _Used(region, self._gone.append, serial)
        else:
            used.serial = serial  # it came again, and is one region still
        return region.array

    def _slab(self, name: Any) -> Slab:
        if not isinstance(name, str) or pid_of(name) != self.pid:
            raise MalformedMessage(f"{name!r:.80} is no shared memory of process {self.pid}")
        if name not in self._slabs:
            if len(self._slabs) >= MOST_SLABS:
                raise MalformedMessage(f"more than {MOST_SLABS} slabs")
            fd = open_memory(name)
            try:
                self._slabs[name] = Slab(name, fd, owned=False)
            except OSError as error:
                raise ServiceError(f"shared memory cannot be mapped: {error}") from error
            finally:
                os.close(fd)
        return self._slabs[name]

    def unused(self) -> list[list[Any]]:
        """What is no longer used since it was asked last: slab, offset, and when it was lent."""
        found: list[list[Any]] = []
        while self._gone:
            used = self._gone.popleft()
            if self._used.get(used.key) is used:
                del self._used[used.key]
            if not used.kept:
                found.append([*used.key, used.serial])
        return found

    def retired(self, names: Sequence[str]) -> None:
        """The peer gave these slabs back; they are unmapped once nothing refers to them."""
        for name in names:
            self._slabs.pop(name, None)

    def keep(self) -> None:
        """A fork is about to let a child see what is in use now, and no word will come of when it is done."""
        for used in list(self._used.values()):
            used.kept = True


_ALL: WeakSet[Mapping] = WeakSet()


def _before_fork() -> None:
    for each in list(_ALL):
        each.keep()


os.register_at_fork(before=_before_fork)
