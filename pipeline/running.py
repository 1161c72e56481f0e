"""The daemon's run directory: where it is found, and who holds it.

Holds `server.sock`, `pid` (locked by the living server, which is why a killed one leaves it free), `log`, and the
boxes of workers. A server that finds no such directory of its own has a `run-*` folder (see `sockets`).
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import ServiceError
from .sockets import base_folder, check_length, private_base

__all__ = ["Hold", "daemon_folder", "living", "make_daemon_folder", "named_state_folder", "state_folder"]

#: Whoever only looks whether a directory is held takes the lock for a moment; wait that out, in seconds.
_GLANCE_S = 0.5


def daemon_folder(base: Path | None = None) -> Path:
    """Where the daemon of this user has its run directory, whether there is one or not.

    Below `base`, else `HEADRACE_RUN_DIR`, else `XDG_RUNTIME_DIR` where that serves, else the temporary folder.
    """
    return base_folder(base) / "daemon"


def make_daemon_folder(base: Path | None = None) -> Path:
    """The same, made where it is not there yet. Mode 0700.

    Raises:
        ServiceError: it cannot be made, is not private, or has too long a path for a socket.
    """
    folder = private_base(base) / "daemon"
    check_length(folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def named_state_folder(named: Path | None = None) -> Path:
    """The same as `state_folder`, whether it is there or not."""
    home = Path(os.environ.get("XDG_STATE_HOME") or "")
    return named or (home if home.is_absolute() else Path.home() / ".local" / "state") / "headrace"


def state_folder(named: Path | None = None) -> Path:
    """Where a server keeps what survives it, made where it is not there yet. Mode 0700.

    Is `named`, else `$XDG_STATE_HOME/headrace`, else `~/.local/state/headrace`.

    Raises:
        ServiceError: it cannot be made.
    """
    folder = named_state_folder(named)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"{folder} cannot be made: {error.strerror}; name another folder for the state") from error
    return folder


class Hold:
    """One server's hold on a folder, for as long as its process lives: the file `pid`, locked.

    The lock is of the open file (flock), and is not passed on to the processes that the server starts.

    Raises:
        ServiceError: another process holds it, and the message says which, and `remedy`; or it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     with Hold(Path(name), "the folder", "take another"):
    ...         living(Path(name)) == os.getpid()
    ...     living(Path(name))
    True
    """

    def __init__(self, folder: Path, what: str, remedy: str) -> None:
        try:
            self._file = os.open(folder / "pid", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(what, folder, error) from error
        try:
            if not _lock(self._file, _GLANCE_S):
                raise ServiceError(f"{what} {folder} is in use by the server with pid {_pid(self._file)}: {remedy}")
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._file)
            raise _unwritable(what, folder, error) from error
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The file stays: to remove it would let two servers hold files of the same name.
        os.ftruncate(self._file, 0)
        os.close(self._file)


def _unwritable(what: str, folder: Path, error: OSError) -> ServiceError:
    why = os.strerror(error.errno or 0)
    return ServiceError(f"{what} {folder} cannot be written: {why}; see to the disk and its modes, or name another")


def living(folder: Path) -> int | None:
    """The pid of the server that holds a folder; None when none does.

    Raises:
        ServiceError: this cannot be found out.
    """
    try:
        file = os.open(folder / "pid", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServiceError(f"{folder / 'pid'} cannot be read: {error.strerror}") from error
    try:
        return None if _lock(file, 0.0, fcntl.LOCK_SH) else _pid(file)
    finally:
        os.close(file)


def _lock(file: int, wait_s: float, kind: int = fcntl.LOCK_EX) -> bool:
    """Whether the lock could be had."""
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
        else:
            return True


def _pid(file: int) -> int:
    """What the file says; 0 in the moment in which it says nothing yet."""
    text = os.pread(file, 32, 0).strip()
    return int(text) if text.isdigit() else 0
