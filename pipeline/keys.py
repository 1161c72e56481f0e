"""Key files: who a server is, who a client or worker is, and whom a server lets in.

One folder holds a server's `server.key` and `authorized_keys`, and a `NAME.key` for each peer made
there. Key files are TOML: `name`, `public`, `secret`, and for a peer `server`, the server's public key,
so that one file copied to another host is all that it needs. Keys are those of CurveZMQ (RFC 26), as Z85 text.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import zmq
from zmq.utils import z85

from .errors import FileError, InvalidArgumentError, NotFoundError

__all__ = [
    "AUTHORIZED",
    "DOMAIN",
    "ROLES",
    "SERVER",
    "ClientLock",
    "Lock",
    "ServerLock",
    "is_key",
    "is_name",
    "keys_folder",
    "make_client_key",
    "make_server_key",
    "read_client_key",
    "read_server_key",
]

#: What a key may be allowed: computing; running pipelines without functions; with functions; stopping the server.
ROLES = ("worker", "client", "submit", "admin")
#: The file of the server's own key, and of those whom it lets in.
SERVER, AUTHORIZED = "server.key", "authorized_keys"
#: Under which a server's sockets ask the gate who may come in.
DOMAIN = b"headrace"

_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_NAME = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z._@-]{0,63}")
#: No key file of ours is longer than this, in bytes.
_LONGEST = 4096
_Socket: TypeAlias = "zmq.Socket[bytes]"


@dataclass(frozen=True, slots=True)
class ServerLock:
    """A server's own key, which its TCP sockets are locked with."""

    public: str
    secret: str = field(repr=False)

    def apply(self, socket: _Socket) -> None:
        """Let nobody in over this socket but by CURVE and the gate; without a gate, nobody at all."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.secret.encode())
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # or else a gate that is gone would be an open one


@dataclass(frozen=True, slots=True)
class ClientLock:
    """The key of a client or worker, and the public key of the one server that it talks to."""

    public: str
    secret: str = field(repr=False)
    server: str
    name: str = ""
    path: str = ""  #: Where it was read, for messages.

    def apply(self, socket: _Socket) -> None:
        """Talk over this socket to that server alone, as the bearer of this key."""
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.server.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.public.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.secret.encode())


Lock: TypeAlias = ServerLock | ClientLock


def keys_folder() -> Path:
    """Where keys lie when nothing else is said: `$XDG_CONFIG_HOME/headrace`, or `~/.config/headrace`."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or "")
    return (base if base.is_absolute() else Path.home() / ".config") / "headrace"


def is_key(text: str) -> bool:
    """Whether a text is a CURVE key in Z85: 40 characters that stand for 32 bytes.

    >>> is_key("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"), is_key("secret")
    (True, False)
    """
    if _Z85.fullmatch(text) is None:
        return False
    try:
        return len(z85.decode(text.encode())) == 32
    except struct.error:  # five characters can stand for more than four bytes hold
        return False


def is_name(text: str) -> bool:
    """Whether a key can have this name: letters, digits, `.`, `_`, `-` and `@`, at most 64.

    >>> is_name("worker-1"), is_name("../worker")
    (True, False)
    """
    return _NAME.fullmatch(text) is not None


def make_server_key(folder: Path) -> Path:
    """Make the key of a server, and an empty list of those whom it lets in where there is none.

    Raises:
        FileError: there is one already, or the folder is not private to you.
    """
    _private_folder(folder)
    path = folder / SERVER
    public, secret = _pair()
    _write_new(path, {"name": "server", "public": public, "secret": secret})
    if not (folder / AUTHORIZED).exists():
        _append(folder / AUTHORIZED, "# <public key> <role[,role]> <name>; roles: " + ", ".join(ROLES))
    return path


def make_client_key(folder: Path, name: str, roles: Iterable[str]) -> Path:
    """Make the key of a client or worker of the server whose key is in `folder`, and let it in with these roles.

    Returns the path of `NAME.key`, which is to be copied to where it is used.

    Raises:
        InvalidArgumentError: a name or role that cannot be.
        FileError: there is one of that name already, or the server has no key yet, or the folder is not private.
    """
    roles = tuple(dict.fromkeys(roles))
    if not is_name(name) or f"{name}.key" == SERVER:
        raise InvalidArgumentError(
            f"{name!r} cannot name a key: take letters, digits, '.', '_', '-', '@', not 'server'"
        )
    if not roles or not set(roles) <= set(ROLES):
        raise InvalidArgumentError(f"the roles of a key are some of {', '.join(ROLES)}, not {', '.join(roles)!r}")
    _private_folder(folder)
    server = read_server_key(folder)
    public, secret = _pair()
    path = folder / f"{name}.key"
    _write_new(path, {"name": name, "public": public, "secret": secret, "server": server.public})
    _append(folder / AUTHORIZED, f"{public} {','.join(roles)} {name}")
    return path


def read_server_key(folder: Path) -> ServerLock:
    """The key of the server whose folder this is.

    Raises:
        NotFoundError: there is none.
        FileError: others can read it, or it is no such file.
    """
    path = folder / SERVER
    command = "headrace keys" if folder == keys_folder() else f"headrace keys --dir {folder}"
    found = _read(path, ("public", "secret"), command)
    return ServerLock(found["public"], found["secret"])


def read_client_key(path: Path | str) -> ClientLock:
    """The key in a file that was made by `headrace keys`.

    Raises:
        NotFoundError: there is none.
        FileError: others can read it, or it is no such file.
    """
    found = _read(Path(path), ("public", "secret", "server"), "headrace keys --add NAME --role ROLE")
    return ClientLock(found["public"], found["secret"], found["server"], found["name"], str(path))


def _pair() -> tuple[str, str]:
    """A public and a secret key. In a list of keys `#` begins a comment, so no public key may begin with it."""
    while True:
        public, secret = (each.decode() for each in zmq.curve_keypair())
        if not public.startswith("#"):
            return public, secret


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise FileError(str(folder), f"cannot be made: {error.strerror}; name another folder for keys") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise FileError(str(folder), "is not a folder of yours: name another one for keys")
    if status.st_mode & 0o077:
        raise FileError(str(folder), f"is open to others; chmod 700 {folder}")


def _write_new(path: Path, values: dict[str, str]) -> None:
    """All of a new file, or nothing; mode 0600 from the first moment."""
    text = "".join(f'{key} = "{value}"\n' for key, value in values.items())  # neither names nor Z85 have quotes
    made, temporary = tempfile.mkstemp(prefix=".key-", dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(made, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(path).hardlink_to(temporary)  # unlike a renaming, this replaces nothing
    except FileExistsError:
        raise FileError(
            str(path), "is there already, and those who have its other half rely on it; remove it to make another"
        ) from None
    except OSError as error:
        raise FileError(str(path), f"cannot be written: {error.strerror}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _append(path: Path, line: str) -> None:
    """A line at the end of the list of keys, whoever else writes to it."""
    try:
        held = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(held, "rb+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            broken = size > 0 and file.read(1) != b"\n"  # the last line was written by hand
            file.write(f"{chr(10) if broken else ''}{line}\n".encode())
    except OSError as error:
        raise FileError(str(path), f"cannot be written: {error.strerror}") from error


def _read(path: Path, wanted: tuple[str, ...], command: str) -> dict[str, str]:
    """The values of a key file, whose modes are those of the open file: it cannot be another one by now."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NotFoundError(str(path), f"there is no such key; {command} makes one") from None
    except OSError as error:
        raise FileError(str(path), f"cannot be read: {error.strerror}") from error
    try:
        _private(path, os.fstat(held))
        data = os.read(held, _LONGEST)
    finally:
        os.close(held)
    try:
        found = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(str(path), f"is no key file: {error}; {command} makes one") from None
    return _checked(path, found, wanted, command)


def _checked(path: Path, found: dict[str, Any], wanted: tuple[str, ...], command: str) -> dict[str, str]:
    name = found.get("name")
    for each in wanted:
        value = found.get(each)
        if not isinstance(value, str) or not is_key(value):
            what = "is missing" if value is None else "is no key of 40 characters"
            raise FileError(str(path), f"is no key file for this: {each!r} {what}; {command} makes one")
    if zmq.curve_public(found["secret"].encode()).decode() != found["public"]:
        raise FileError(str(path), f"is damaged: its secret key is not that of its public key; {command} makes another")
    return {"name": name if isinstance(name, str) else "", **{each: str(found[each]) for each in wanted}}


def _private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileError(str(path), "is no regular file")
    if status.st_uid != os.geteuid():
        raise FileError(str(path), f"belongs to somebody else; chown {os.geteuid()} {path}, or take a key of your own")
    if status.st_mode & 0o077:
        raise FileError(str(path), f"can be read or changed by others, and they may have done so; chmod 600 {path}")
