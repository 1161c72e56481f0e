"""Addresses of servers: `ipc:///path/of/socket` on this host, `tcp://host:port` between hosts."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from .errors import InvalidArgumentError, ServiceError

__all__ = ["PORT", "Address", "addresses_of", "parse_address"]

#: Where servers listen when no port is said.
PORT = 7311
#: What an ipc path may be long, in bytes: the kernel's limit of 108 less the final zero.
PATH_BYTES = 107

_TCP = re.compile(
    r"tcp://(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>\*|[0-9A-Za-z._-]{1,253}))(?::(?P<port>\*|[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a path, or a host and a port."""

    path: str = ""
    host: str = ""  #: A name, an IPv4 or IPv6 address without brackets, or `*` for all of IPv4.
    port: int = 0  #: 0 when binding: any that is free.

    @property
    def is_ipc(self) -> bool:
        """Whether it is a socket of this host, guarded by the modes of its folder."""
        return bool(self.path)

    @property
    def is_loopback(self) -> bool:
        """Whether only processes of this host reach it: every user's, over TCP."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name, or all interfaces
            return False

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    def __str__(self) -> str:
        if self.path:
            return f"ipc://{self.path}"
        return f"tcp://{f'[{self.host}]' if self.is_ipv6 else self.host}:{self.port or '*'}"


def parse_address(text: str) -> Address:
    """The parts of an address; a TCP address without a port has the default one.

    Raises:
        InvalidArgumentError: it is no address; says what one looks like.

    >>> parse_address("tcp://trainer-3:7311")
    Address(path='', host='trainer-3', port=7311)
    >>> str(parse_address("tcp://[::1]")), parse_address("ipc:///run/headrace/server.sock").is_ipc
    ('tcp://[::1]:7311', True)
    """
    if text.startswith("ipc:///") and len(text) > len("ipc:///"):
        path = text.removeprefix("ipc://")
        if len(path.encode("utf-8", "surrogateescape")) > PATH_BYTES or "\0" in path:
            raise InvalidArgumentError(f"{text}: a socket's path has at most {PATH_BYTES} bytes: set a shorter folder")
        return Address(path=path)
    found = _TCP.fullmatch(text)
    port = PORT if found is None or found["port"] is None else int(found["port"].replace("*", "0"))
    if found is None or port > 65535 or (found["six"] and not _is_ipv6(found["six"])):
        raise InvalidArgumentError(
            f"{text!r} is no address: write tcp://HOST:PORT, as in tcp://10.0.0.5:{PORT} or tcp://[fd00::5]:{PORT}, or "
            "ipc:///PATH"
        )
    return Address(host=found["six"] or found["host"], port=port)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def addresses_of(address: Address) -> list[Address]:
    """A TCP address with its host's name looked up, IPv4 first; what has no name is itself.

    Raises:
        ServiceError: the name means nothing here.
    """
    if address.is_ipc or address.host == "*" or address.is_ipv6:
        return [address]
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServiceError(f"{address}: the name {address.host!r} is not known here: {error}") from error
    hosts = dict.fromkeys(str(where[0]) for *_, where in found)
    return [Address(host=host, port=address.port) for host in sorted(hosts, key=lambda host: ":" in host)]
