"""How every socket is set up, and where they lie."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import zmq

from .errors import ServiceError
from .frames import BLOCK_BYTES

__all__ = ["address_in", "connect", "make_run_directory", "open_socket"]

#: What an ipc path may be long, in bytes: the kernel's limit of 108 less the final zero.
PATH_BYTES = 107


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

    Lies under `HEADRACE_RUN_DIR`, `XDG_RUNTIME_DIR`, or the temporary folder.

    Raises:
        ServiceError: the folder's path is too long for a socket, or its parent belongs to somebody else.
    """
    named = os.environ.get("HEADRACE_RUN_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    base = Path(named or tempfile.gettempdir()) / f"headrace-{os.getuid()}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = base.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ServiceError(f"{base} is not a private folder of yours: remove it, or set HEADRACE_RUN_DIR to another")
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
    if len(address_in(folder)) - len("ipc://") > PATH_BYTES:
        folder.rmdir()
        raise ServiceError(f"{base} is too long a path for a socket: set HEADRACE_RUN_DIR to a shorter one")
    (folder / "blobs").mkdir(mode=0o700)
    return folder


def address_in(folder: Path) -> str:
    """Where the server of a run directory listens."""
    return f"ipc://{folder}/server.sock"
