"""How every socket is set up, and where they lie."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

import zmq

from .errors import ServiceError
from .frames import BLOCK_BYTES

__all__ = ["address_in", "connect", "make_run_directory", "open_socket", "own"]

#: What an ipc path may be long, in bytes: the kernel's limit of 108 less the final zero.
PATH_BYTES = 107
#: Of which our own folders and the socket's name take about so many.
ROOM = 50


def open_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, identity: str = "") -> zmq.Socket[bytes]:
    """A socket that fails loudly, forgets at once when closed, and notices a peer that has stopped.

    Flow is bounded by credit, not by high-water marks, which drop.
    """
    socket = context.socket(kind)
    socket.linger = 0
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, BLOCK_BYTES)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5000)
    if kind == zmq.ROUTER:
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    if identity:
        socket.setsockopt(zmq.IDENTITY, identity.encode())
    return socket


def connect(socket: zmq.Socket[bytes], address: str, wait_s: float = 2.0) -> None:
    """Connect, and wait until that is so: what is said before is dropped. A server that is away may come later."""
    socket.connect(address)
    socket.poll(int(wait_s * 1000), zmq.POLLOUT)


def make_run_directory() -> Path:
    """A new private folder for one server: its socket, blobs and boxes. Mode 0700.

    Lies under `HEADRACE_RUN_DIR`, else under `XDG_RUNTIME_DIR` where that serves, else under the temporary folder.
    Folders whose processes were all killed are removed on the way.

    Raises:
        ServiceError: the folder cannot be made, is too long a path for a socket, or belongs to somebody else.
    """
    base = _base() / f"headrace-{os.getuid()}"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = base.lstat()
    except OSError as error:
        raise ServiceError(f"{base} cannot be made: {error}; set HEADRACE_RUN_DIR to a folder of yours") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ServiceError(f"{base} is not a private folder of yours: remove it, or set HEADRACE_RUN_DIR to another")
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
    if len(address_in(folder)) - len("ipc://") > PATH_BYTES:
        folder.rmdir()
        raise ServiceError(f"{base} is too long a path for a socket: set HEADRACE_RUN_DIR to a shorter one")
    (folder / "blobs").mkdir(mode=0o700)
    own(folder)
    return folder


def own(folder: Path) -> None:
    """Note that this process uses a run directory, which is kept as long as one that does is alive."""
    with (folder / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")


def _base() -> Path:
    if named := os.environ.get("HEADRACE_RUN_DIR"):
        return Path(named).absolute()
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "")
    # Under su, cron and in containers it often names what is not there.
    serves = runtime.is_absolute() and os.access(runtime, os.W_OK) and len(os.fsencode(runtime)) < PATH_BYTES - ROOM
    return runtime if serves else Path(tempfile.gettempdir()).absolute()


def _sweep(base: Path) -> None:
    """Remove the folders of processes that were killed too suddenly to do so."""
    for folder in base.glob("run-*"):
        pids = folder / "pids"
        if pids.is_file() and not any(_alive(int(pid)) for pid in pids.read_text().split()):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's: the number was given away again, or it was never ours to judge
        return True
    return True


def address_in(folder: Path) -> str:
    """Where the server of a run directory listens."""
    return f"ipc://{folder}/server.sock"
