"""Connecting: a service handle for a server that somebody else runs."""

from __future__ import annotations

import os
from pathlib import Path

from ..pipeline.addresses import parse_address
from ..pipeline.errors import InvalidArgumentError, ServiceError
from ..pipeline.keys import ClientLock, read_client_key
from ..pipeline.messages import AskStatus
from ..pipeline.running import daemon_folder
from ..pipeline.sockets import address_in
from .service import Service
from .visit import visit

__all__ = ["connect", "find_key", "find_server"]

#: How long a server may be away before an iterator gives up; it may be restarted meanwhile.
PATIENCE_S = 300.0


def connect(
    address: str | None = None,
    *,
    key: str | Path | None = None,
    timeout_s: float = 10.0,
    patience_s: float = PATIENCE_S,
) -> Service:
    """The service of a running server: started with `headrace serve`, on this host or another.

    Closing it, or leaving its `with` block, ends its iterators; the server goes on.

    Args:
        address: such as `tcp://trainer-3:7311`. Else `HEADRACE_SERVER` says it, else it is this user's server here.
        key: the file that lets us in over TCP, made with `headrace keys`. Else `HEADRACE_KEY` says it.
        timeout_s: how long to wait for the server's first answer.
        patience_s: how long it may be away later on, as when it is restarted; iterators go on by themselves.

    Raises:
        ServiceError: there is no server, or it refused us; says which.
        InvalidArgumentError: what is no address, or TCP without a key.
        FileError: a key file that is none, or that others can read.
    """
    if timeout_s <= 0 or patience_s <= 0:
        raise InvalidArgumentError("timeout_s and patience_s must be positive numbers of seconds")
    found, lock = find_server(address), find_key(key)
    visit(found, AskStatus(), lock, timeout_s)
    return Service(found, Elsewhere(), lock=lock if is_tcp(found) else None, patience_s=patience_s)


class Elsewhere:
    """A server that is not ours: it may be away for a while, and we do not end it."""

    @property
    def gone(self) -> str | None:
        """Never for good."""
        return None

    def stop(self) -> None:
        """It goes on."""


def find_server(address: str | None = None) -> str:
    """The address given, else that in the environment, else that of this user's daemon.

    Raises:
        ServiceError: none of them is there.
        InvalidArgumentError: what is no address.
    """
    named = address or os.environ.get("HEADRACE_SERVER")
    if named:
        return str(parse_address(named))
    folder = daemon_folder()
    if not (folder / "server.sock").exists():
        raise ServiceError(
            f"no server runs here ({folder} has none): start one with `headrace serve --detach`, or name one's "
            "address, as in connect('tcp://HOST:7311') or HEADRACE_SERVER"
        )
    return address_in(folder)


def find_key(key: str | Path | None = None) -> ClientLock | None:
    """The key in the file given, else in that which the environment names."""
    named = key or os.environ.get("HEADRACE_KEY")
    return read_client_key(Path(named)) if named else None


def is_tcp(address: str) -> bool:
    """Whether a key is of use there: sockets in a private folder need none."""
    return not parse_address(address).is_ipc
