"""How every socket is set up, and where they lie."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zmq

from .addresses import PATH_BYTES, Address, addresses_of, parse_address
from .chunks import CHUNK_BYTES, WIRE_BYTES, cut
from .errors import ServiceError
from .keys import Lock
from .limits import limits

__all__ = [
    "address_in",
    "base_folder",
    "bind",
    "check_length",
    "connect",
    "make_run_directory",
    "name_of",
    "open_socket",
    "own",
    "private_base",
    "send",
]

#: Of a socket's path our own folders and its name take about so many bytes.
ROOM = 50
#: Stands between a socket's name and what nobody else knows.
_BETWEEN = "~"
#: What every socket is set to; the high-water marks are off because they drop: flow is bounded by credit.
OPTIONS = {
    zmq.LINGER: 0,
    zmq.IMMEDIATE: 1,
    zmq.SNDHWM: 0,
    zmq.RCVHWM: 0,
    zmq.HEARTBEAT_IVL: 1000,
    zmq.HEARTBEAT_TIMEOUT: 5000,
    zmq.HANDSHAKE_IVL: 5000,
    zmq.CONNECT_TIMEOUT: 5000,
    zmq.RECONNECT_IVL: 100,
    zmq.RECONNECT_IVL_MAX: 5000,
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 30,
    zmq.TCP_KEEPALIVE_INTVL: 10,
    zmq.TCP_KEEPALIVE_CNT: 3,
}


def open_socket(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, identity: str = "", lock: Lock | None = None
) -> zmq.Socket[bytes]:
    """A socket that fails loudly, forgets at once when closed, and notices a peer that has stopped.

    With a lock it talks by CURVE alone. By its `identity` the server knows a peer; without one, it has a random one.
    A ROUTER gives a name to whoever connects under it last: the connection that had it may be dead, with nobody told
    yet, and libzmq would never hear the new one. So that no other peer can take a name, a secret is part of it.
    """
    socket = context.socket(kind)
    for option, value in OPTIONS.items():
        socket.setsockopt(option, value)
    socket.setsockopt(zmq.MAXMSGSIZE, limits().frame_bytes)
    if kind == zmq.ROUTER:
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    else:
        name = identity or f"peer-{os.urandom(8).hex()}"
        socket.setsockopt(zmq.IDENTITY, f"{name}{_BETWEEN}{os.urandom(8).hex()}".encode())
    if lock is not None:
        lock.apply(socket)
    return socket


def name_of(identity: bytes) -> str:
    """What a socket is called, without its secret.

    >>> name_of(b"worker-1~0123456789abcdef")
    'worker-1'
    """
    return identity.decode("utf-8", "replace").partition(_BETWEEN)[0]


def bind(socket: zmq.Socket[bytes], address: str, *, insecure: bool = False) -> str:
    """Listen, and say where: an address of TCP with its port.

    A socket without a lock listens over ipc alone, where the modes of the folder guard it; `insecure` lets it
    listen over TCP, to be spoken to by anyone who gets there, in clear.

    Raises:
        InvalidArgumentError: it is no address.
        ServiceError: no lock, or the address cannot be listened at.
    """
    parsed = parse_address(address)
    locked = socket.getsockopt(zmq.MECHANISM) == zmq.CURVE
    if not parsed.is_ipc and not locked and not insecure:
        raise ServiceError(
            f"{address} needs keys, or everyone who gets there could run code: make them with `headrace keys`, or "
            "say insecure where nobody else can get there"
        )
    _set_up(socket, parsed)
    here = addresses_of(parsed)[0]
    try:
        socket.setsockopt(zmq.IPV6, int(here.is_ipv6))
        socket.bind(str(here))
    except zmq.ZMQError as error:
        why = f"{os.strerror(error.errno or 0)}: end what listens there, or name another address"
        raise ServiceError(f"cannot listen on {address}: {why}") from error
    return _text(socket)


def connect(socket: zmq.Socket[bytes], address: str, wait_s: float = 2.0) -> None:
    """Connect, and wait until that is so: what is said before is dropped. A server that is away may come later.

    Raises:
        InvalidArgumentError: it is no address.
    """
    parsed = parse_address(address)
    _set_up(socket, parsed)
    socket.setsockopt(zmq.IPV6, int(_by_ipv6(parsed)))
    socket.connect(str(parsed))
    socket.poll(int(wait_s * 1000), zmq.POLLOUT)


def send(socket: zmq.Socket[bytes], frames: Sequence[Any], to: bytes | None = None) -> None:
    """Send a message without waiting, to one of a ROUTER's peers; large frames go over TCP in chunks.

    Raises:
        zmq.ZMQError: EAGAIN or EHOSTUNREACH, the peer is gone or does not read.
    """
    if any(memoryview(each).nbytes > CHUNK_BYTES for each in frames) and _text(socket).startswith("tcp:"):
        frames = cut(frames)
    socket.send_multipart(frames if to is None else [to, *frames], zmq.NOBLOCK, copy=False)


def _set_up(socket: zmq.Socket[bytes], address: Address) -> None:
    """Whoever gets to an ipc socket is us; over TCP nobody is believed before libzmq has taken a whole frame."""
    socket.setsockopt(zmq.MAXMSGSIZE, limits().frame_bytes if address.is_ipc else WIRE_BYTES)


def _by_ipv6(address: Address) -> bool:
    """Whether a host is to be reached by IPv6: when it has no other address."""
    try:
        return all(each.is_ipv6 for each in addresses_of(address))
    except ServiceError:
        return False  # libzmq tries it again and again; perhaps it comes to be known


def _text(socket: zmq.Socket[bytes]) -> str:
    """Where a socket listens or connects to."""
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    return endpoint.decode("utf-8", "surrogateescape").rstrip("\0") if isinstance(endpoint, bytes) else ""


def make_run_directory() -> Path:
    """A new private folder for one server: its socket, blobs and boxes. Mode 0700.

    Lies under `HEADRACE_RUN_DIR`, else under `XDG_RUNTIME_DIR` where that serves, else under the temporary folder.
    Folders whose processes were all killed are removed on the way.

    Raises:
        ServiceError: the folder cannot be made, is too long a path for a socket, or belongs to somebody else.
    """
    base = private_base()
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
    try:
        check_length(folder)
    except ServiceError:
        folder.rmdir()
        raise
    (folder / "blobs").mkdir(mode=0o700)
    own(folder)
    return folder


def base_folder(base: Path | None = None) -> Path:
    """Where all run directories of this user lie, whether there are any or not."""
    return (base or _base()) / f"headrace-{os.getuid()}"


def private_base(base: Path | None = None) -> Path:
    """The folder of all run directories of this user, made where it is not there yet. Mode 0700.

    Lies under `base`, else where `make_run_directory` says.

    Raises:
        ServiceError: it cannot be made, or belongs to somebody else.
    """
    folder = base_folder(base)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise ServiceError(f"{folder} cannot be made: {error}; set HEADRACE_RUN_DIR to a folder of yours") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ServiceError(f"{folder} is not a private folder of yours: remove it, or set HEADRACE_RUN_DIR to another")
    return folder


def check_length(folder: Path) -> None:
    """ServiceError where a run directory's path is too long for its socket."""
    if len(os.fsencode(address_in(folder))) - len("ipc://") > PATH_BYTES:
        raise ServiceError(f"{folder} is too long a path for a socket: set HEADRACE_RUN_DIR to a shorter one")


def own(folder: Path) -> None:
    """Note that this process uses a run directory, which is kept as long as one that does is alive."""
    others = [pid for pid in _pids(folder) if _alive(pid)]
    (folder / "pids").write_text("".join(f"{pid}\n" for pid in [*others, os.getpid()]))


def _pids(folder: Path) -> list[int]:
    noted = folder / "pids"
    return [int(pid) for pid in noted.read_text().split()] if noted.is_file() else []


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
        pids = _pids(folder)
        if pids and not any(map(_alive, pids)):
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
