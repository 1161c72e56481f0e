"""A lifeline: a pipe whose other end is held by the process that started us; when it closes, that one is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

__all__ = ["die_with_parent", "watch"]

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """On Linux, let the kernel end this process when its parent ends, whatever else goes wrong.

    The signal is bound to the thread that started us, which must live as long as its process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def watch(descriptor: int, gone: Callable[[], None]) -> None:
    """Call `gone`, from a thread of its own, when the other end of the pipe is closed."""

    def wait() -> None:
        while os.read(descriptor, 64):
            continue
        gone()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
