"""How every kernel is compiled: nogil, once, into a cache folder of ours."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding
import numba
from numba.core import config

from ..errors import ServiceError

__all__ = ["cache_folder", "inline", "kernel", "leaf", "leaf_kernel", "marker"]

F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Where compiled kernels are kept: `HEADRACE_CACHE_DIR`, else the user's cache folder, else a temporary one.

    What an image brought along in a folder that can only be read is copied to the temporary one.

    Raises:
        ServiceError: the temporary folder belongs to somebody else, or others can write there.
    """
    named = os.environ.get("HEADRACE_CACHE_DIR")
    home = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"
    folder = home / "kernels"
    return folder if _writable(folder) else _temporary(folder)


def _temporary(shipped: Path) -> Path:
    """A private temporary folder, with the kernels that were shipped, if any."""
    folder = _private() / "kernels"
    if shipped.is_dir() and not folder.exists():
        copy = Path(tempfile.mkdtemp(prefix="kernels-", dir=folder.parent))
        for path in shipped.rglob("*"):  # not copytree, which would make the copy's folders read-only too
            target = copy / path.relative_to(shipped)
            target.mkdir() if path.is_dir() else shutil.copyfile(path, target)
        try:
            copy.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(copy)
    return folder


def _private() -> Path:
    """A folder of this user's alone: who can write there decides what runs here."""
    folder = Path(tempfile.gettempdir()) / f"headrace-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ServiceError(
            f"{folder} is not a private folder of yours, and compiled kernels need one: "
            "remove it, or set HEADRACE_CACHE_DIR to a folder in which you can write"
        )
    return folder


def _writable(folder: Path) -> bool:
    """Whether files can be made there; not so with a read-only home, as in a container."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


_FOLDER = str(cache_folder())
_settings: Any = config


def _compile(function: F, **options: Any) -> F:
    # numba reads the folder when it decorates; setting it for that moment alone leaves the user's own kernels alone.
    before, _settings.CACHE_DIR = _settings.CACHE_DIR, _FOLDER
    try:
        compiled: F = numba.njit(nogil=True, cache=True, **options)(function)
    finally:
        _settings.CACHE_DIR = before
    return compiled


def marker() -> Path:
    """A file that is there once all kernels of this source, numba and processor have been compiled."""
    state = blake2b(digest_size=10)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        state.update(path.read_bytes())
        # numba finds its code again by a source's path and time, not by its content.
        state.update(f"{path.resolve()} {path.stat().st_mtime_ns}".encode())
    processor = _settings.CPU_NAME or llvmlite.binding.get_host_cpu_name()  # NUMBA_CPU_NAME: for any of a family
    state.update(f"{numba.__version__} {platform.python_version()} {processor}".encode())
    return Path(_FOLDER) / f"warm-{state.hexdigest()}"


def kernel(function: F) -> F:
    """A compiled function over arrays that Python calls; it releases the GIL."""
    return _compile(function)


def inline(function: F) -> F:
    """A small function that only kernels call."""
    return _compile(function, inline="never")


# Arrays that go from one compiled function to another are counted, atomically. Where every few bytes are a call,
# that was three quarters of the time (parsing: 715 ns an Example with counts, 195 without). The caller holds them
# all while a kernel runs; one that allocates fails to compile this way.


def leaf_kernel(function: F) -> F:
    """As `kernel`, for one that only reads and writes the arrays that it is given."""
    return _compile(function, _nrt=False)


def leaf(function: F) -> F:
    """As `inline`, for a function that leaf kernels call."""
    return _compile(function, forceinline=True, _nrt=False)
