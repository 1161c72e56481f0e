"""Memory that cannot be read beyond: bytes up against a page that nobody may touch.

`python -m tests.fuzz.guard SEED TIMES` runs the decoders that look at bytes with compiled code on such memory. Where
one reads one byte too much, the process is killed by SIGSEGV.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import sys
from random import Random

import numpy as np

from .decoder import Array

__all__ = ["COMPILED", "Guarded"]

#: Decoders in which kernels, or libraries in C, look at the bytes.
COMPILED = ("framing", "example", "varying", "sequence", "jpeg", "png", "bmp", "messages", "blocks")

_NOBODY = 0  # PROT_NONE
_PAGE = mmap.PAGESIZE


class Guarded:
    """Room for one input after the other, between two pages that are not to be read."""

    def __init__(self, nbytes: int) -> None:
        self.room = -(-nbytes // _PAGE) * _PAGE
        self._map = mmap.mmap(-1, self.room + 2 * _PAGE)
        self._all = np.frombuffer(self._map, np.uint8)
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for at in (0, self.room + _PAGE):
            assert protect(ctypes.c_void_p(self._all.ctypes.data + at), ctypes.c_size_t(_PAGE), _NOBODY) == 0

    def before_the_end(self, data: bytes) -> Array:
        """The bytes, with nothing behind them."""
        return self._put(data, _PAGE + self.room - len(data))

    def behind_the_start(self, data: bytes) -> Array:
        """The bytes, with nothing in front of them."""
        return self._put(data, _PAGE)

    def _put(self, data: bytes, at: int) -> Array:
        out = self._all[at : at + len(data)]
        out[:] = np.frombuffer(data, np.uint8)
        return out


def main(seed: int, times: int) -> None:
    """So many changed inputs of each decoder, at both ends."""
    from .decoders import DECODERS

    faulthandler.enable()
    rng = Random(seed)
    for name in COMPILED:
        decoder = DECODERS[name]
        taken = 0
        for _ in range(times):
            data = decoder.changed(rng)
            # Several buffers of one input are in use at once: each has a room of its own.
            taken += decoder.survives(data, lambda each: Guarded(len(each)).before_the_end(each))
            decoder.survives(data, lambda each: Guarded(len(each)).behind_the_start(each))
        print(name, times, taken, flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["trap"]:
        whole = Guarded(100)
        print(whole.before_the_end(b"abc").sum(), flush=True)
        ctypes.string_at(whole.before_the_end(b"abc").ctypes.data, 4)
    else:
        main(int(sys.argv[1]), int(sys.argv[2]))
