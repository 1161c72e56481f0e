"""How every kernel is compiled: nogil, once, into a cache folder of ours."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config

__all__ = ["cache_folder", "inline", "kernel"]

F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Where compiled kernels are kept: `HEADRACE_CACHE_DIR`, else the user's cache folder, else a temporary one."""
    named = os.environ.get("HEADRACE_CACHE_DIR")
    home = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"
    folder = home / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass  # a read-only home, as in a container: the temporary folder below serves
    return Path(tempfile.gettempdir()) / f"headrace-{os.getuid()}" / "kernels"


_FOLDER = str(cache_folder())


def _compile(function: F, **options: Any) -> F:
    # numba reads the folder when it decorates; setting it for that moment alone leaves the user's own kernels alone.
    before, config.CACHE_DIR = config.CACHE_DIR, _FOLDER
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)  # type: ignore[no-any-return]
    finally:
        config.CACHE_DIR = before


def kernel(function: F) -> F:
    """A compiled function over arrays that Python calls; it releases the GIL."""
    return _compile(function)


def inline(function: F) -> F:
    """A small function that only kernels call."""
    return _compile(function, inline="never")
