"""Slabs: memory of this process that a peer on this host can map, and the regions in it that blocks take.

A slab is a sealed memfd, which has no file and so leaves none behind, whoever is killed; a peer of the
same user opens it as /proc/PID/fd/N. Seals fix its size, so that no peer can make a mapping fault.
https://man7.org/linux/man-pages/man2/memfd_create.2.html
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import secrets
import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from weakref import ref

import numpy as np

from .columns import Array, aligned

__all__ = ["LEAST_BYTES", "SUPPORTED", "Holes", "Pool", "Region", "Slab", "memory_file"]

#: Whether this system has what slabs are made of.
SUPPORTED = sys.platform == "linux" and hasattr(os, "memfd_create")
#: Smaller blocks travel as frames: there, naming memory and freeing it costs more than copying.
LEAST_BYTES = 64 << 10
#: A slab takes so much, or what its first block needs.
SLAB_BYTES = 32 << 20

# linux/fcntl.h; Python has names for them from 3.11 on only where the C library had.
ADD_SEALS, GET_SEALS = 1033, 1034
SEAL_SEAL, SEAL_SHRINK, SEAL_GROW = 1, 2, 4

#: Slab, offset and a number that grows with each time that a region is named to a peer.
Lent: TypeAlias = "tuple[str, int, int]"


# Python's own mmap keeps a copy of the descriptor with each mapping, and a server has many of both.
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value


class Slab:
    """Shared memory, mapped to be read and written. It is unmapped when nothing refers to it.

    Args:
        name: under which a peer finds it.
        fd: of the memory file; closed with the slab when `owned`, and not needed any more otherwise.

    Raises:
        OSError: it cannot be mapped.
    """

    def __init__(self, name: str, fd: int, *, owned: bool) -> None:
        self.name, self.nbytes, self._fd = name, os.fstat(fd).st_size, fd if owned else None
        # Who writes first touches all of it; who reads may need a part.
        flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if owned else 0)
        found = _libc.mmap(None, self.nbytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, 0)
        if found == _FAILED:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.address: int = found

    def __del__(self, unmap: Any = _libc.munmap, close: Any = os.close) -> None:
        if hasattr(self, "address"):
            unmap(self.address, self.nbytes)
        if self._fd is not None:
            close(self._fd)


class Region:
    """A part of a slab, as the base of all arrays that lie in it: it lives as long as any of them."""

    __slots__ = ("__array_interface__", "__weakref__", "nbytes", "offset", "slab")

    def __init__(self, slab: Slab, offset: int, nbytes: int) -> None:
        self.slab, self.offset, self.nbytes = slab, offset, nbytes
        data = (slab.address + offset, False)
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": (nbytes,), "data": data}

    @property
    def array(self) -> Array:
        """All of it, uint8; views of it keep the region, too."""
        return np.asarray(self)

    @classmethod
    def under(cls, buffer: Array) -> Region | None:
        """The region whose first bytes an array is, if there is one."""
        base: Any = buffer
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, cls) and buffer.ctypes.data == base.slab.address + base.offset:
            return base
        return None


def memory_file(nbytes: int) -> tuple[str, int]:
    """A new sealed memfd of zeros: the name under which a peer finds it, and its descriptor.

    Raises:
        OSError: there is not so much memory.
    """
    token = secrets.token_hex(8)
    fd = os.memfd_create(f"headrace-{token}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.posix_fallocate(fd, 0, nbytes)  # where memory is short, it fails here and not when it is written
        fcntl.fcntl(fd, ADD_SEALS, SEAL_SEAL | SEAL_SHRINK | SEAL_GROW)
    except OSError:
        os.close(fd)
        raise
    return f"{os.getpid()}/{fd}/{token}", fd


class Holes:
    """What is free of so many bytes: first fit, neighbours joined.

    >>> holes = Holes(100)
    >>> holes.take(60), holes.take(60), holes.take(40)
    (0, None, 60)
    >>> holes.give(0, 60); holes.give(60, 40); holes.whole
    True
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._starts, self._stops = [0], [size]

    @property
    def whole(self) -> bool:
        """Whether nothing is taken."""
        return self._starts == [0] and self._stops == [self._size]

    def take(self, nbytes: int) -> int | None:
        """Where the first hole of so many bytes begins, which is taken; None where there is none."""
        for i, (start, stop) in enumerate(zip(self._starts, self._stops, strict=True)):
            if stop - start >= nbytes:
                self._starts[i] = start + nbytes
                if start + nbytes == stop:
                    del self._starts[i], self._stops[i]
                return start
        return None

    def give(self, start: int, nbytes: int) -> None:
        """These bytes are free again."""
        i, stop = bisect_left(self._starts, start), start + nbytes
        before = i > 0 and self._stops[i - 1] == start
        behind = i < len(self._starts) and self._starts[i] == stop
        if before and behind:
            self._stops[i - 1] = self._stops[i]
            del self._starts[i], self._stops[i]
        elif before:
            self._stops[i - 1] = stop
        elif behind:
            self._starts[i] = start
        else:
            self._starts.insert(i, start)
            self._stops.insert(i, stop)


class _Taken(ref[Region]):
    """What was taken for a region. The region is gone when this is called back."""

    __slots__ = ("nbytes", "offset", "slab")

    def __init__(self, region: Region, gone: Callable[[Any], None]) -> None:
        self.slab, self.offset, self.nbytes = region.slab.name, region.offset, aligned(region.nbytes)

    def __new__(cls, region: Region, gone: Callable[[Any], None]) -> _Taken:
        return super().__new__(cls, region, gone)


@dataclass(slots=True)
class _Kept:
    """A slab of a pool."""

    slab: Slab
    holes: Holes


@dataclass(slots=True)
class Pool:
    """Slabs that this process writes and one peer reads, up to `limit` bytes.

    A region is free again when nothing here refers to it, and the peer has said so of the last time that it was
    lent. `say` is told once where slabs have no room, and what helps; the block then travels as a frame.
    """

    limit: int
    say: Callable[[str], None] = lambda text: print(f"headrace: {text}", file=sys.stderr)
    slab_bytes: int = SLAB_BYTES
    nbytes: int = 0  #: Of all slabs.
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _taken: dict[tuple[str, int], _Taken] = field(default_factory=dict)
    _gone: deque[_Taken] = field(default_factory=deque)  #: Appended to whenever and wherever a region ends.
    _lent: dict[tuple[str, int], tuple[Region, int]] = field(default_factory=dict)
    _serial: int = 0
    _warned: bool = False

    def allocate(self, nbytes: int) -> Array | None:
        """Room for a block, uint8, not cleared; None for small ones, and where there is no room."""
        if not LEAST_BYTES <= nbytes <= self.limit:
            return None
        self._collect()
        size = aligned(nbytes)
        for kept in self._kept.values():
            if (offset := kept.holes.take(size)) is not None:
                return self._region(kept.slab, offset, nbytes)
        kept_new = self._grow(size)
        if kept_new is None:
            return None
        offset = kept_new.holes.take(size)
        assert offset is not None, "a slab has room for its first block"
        return self._region(kept_new.slab, offset, nbytes)

    def _region(self, slab: Slab, offset: int, nbytes: int) -> Array:
        region = Region(slab, offset, nbytes)
        self._taken[slab.name, offset] = _Taken(region, self._gone.append)
        return region.array

    def _grow(self, size: int) -> _Kept | None:
        least = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        room = (self.limit - self.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        nbytes = max(least, min(self.slab_bytes, room))
        if nbytes > room:
            self._warn(
                f"all {self.limit >> 20:,} MiB that may be shared with a peer on this host are in use, as where a "
                "training loop keeps its batches or a shuffle buffer is large: what does not fit travels through the "
                "socket, which is slower. A larger budget_bytes raises the limit"
            )
            return None
        try:
            slab = Slab(*memory_file(nbytes), owned=True)
        except OSError as error:
            self._warn(
                f"no {nbytes >> 20:,} MiB of memory to share with a peer on this host ({error}): blocks travel through "
                "the socket, which is slower. Raise the memory limit of the container or the open files (ulimit -n), "
                "or turn slabs off"
            )
            return None
        self.nbytes += nbytes
        kept = self._kept[slab.name] = _Kept(slab, Holes(nbytes))
        return kept

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            self.say(text)

    def _collect(self) -> None:
        """Free what ended since."""
        while self._gone:
            taken = self._gone.popleft()
            if self._taken.get((taken.slab, taken.offset)) is taken:
                del self._taken[taken.slab, taken.offset]
                self._kept[taken.slab].holes.give(taken.offset, taken.nbytes)

    def lend(self, buffer: Array) -> list[Any] | None:
        """How to name this block to the peer, which may use it from now on; None where it must travel as a frame.

        A block that lies elsewhere is copied into a slab first.
        """
        region = Region.under(buffer)
        if region is None or region.slab.name not in self._kept:
            copy = self.allocate(buffer.nbytes)
            if copy is None:
                return None
            copy[...] = buffer
            region = Region.under(copy)
            assert region is not None, "what a pool allocates is a region"
        self._serial += 1
        self._lent[region.slab.name, region.offset] = (region, self._serial)
        return [region.slab.name, region.offset, buffer.nbytes, self._serial]

    def freed(self, regions: Sequence[Lent]) -> None:
        """The peer no longer uses these, as they were lent at those times; words on others are ignored."""
        for slab, offset, serial in regions:
            lent = self._lent.get((slab, offset))
            if lent is not None and lent[1] == serial:  # else it was lent again since
                del self._lent[slab, offset]

    @property
    def lent_bytes(self) -> int:
        """What the peer has not freed yet."""
        return sum(region.nbytes for region, _ in self._lent.values())

    def retire(self) -> list[str]:
        """Give back slabs in which nothing lies; their names, for the peer to unmap them, too."""
        self._collect()
        empty = [name for name, kept in self._kept.items() if kept.holes.whole]
        for name in empty:
            self.nbytes -= self._kept.pop(name).slab.nbytes
        return empty
