"""Values of a configuration: how each kind is read, and what is said of one that does not fit.

A reader takes a value as the file has it and the folder that relative paths are relative to. What it cannot
take is a ValueError that says what would fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from .pipeline.addresses import parse_address
from .pipeline.errors import InvalidArgumentError
from .pipeline.limits import FORMATS
from .quantities import read_bytes, read_seconds

__all__ = [
    "PAGE",
    "Reader",
    "address",
    "addresses",
    "count",
    "duration",
    "folders",
    "formats",
    "modules",
    "page",
    "path",
    "size",
    "switch",
]

Reader: TypeAlias = "Callable[[Any, Path], Any]"

#: Where the page of metrics is, unless the configuration says otherwise.
PAGE = "127.0.0.1:7312"
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def count(least: int, most: int) -> Reader:
    """A whole number within bounds."""

    def read(value: Any, _: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"a whole number from {least:,} to {most:,}")
        return value

    return read


def size(least: int) -> Reader:
    """Bytes, as a number or with a unit."""

    def read(value: Any, _: Path) -> int:
        if (found := read_bytes(value)) < least:
            raise ValueError(f"at least {least:,} bytes")
        return found

    return read


def duration(least: float, most: float = 1e9) -> Reader:
    """Seconds, as a number or with a unit."""

    def read(value: Any, _: Path) -> float:
        if not least <= (seconds := read_seconds(value)) <= most:
            raise ValueError(f"at least {least:g} s and at most {most:,.0f} s")
        return seconds

    return read


def path(value: Any, folder: Path) -> Path | None:
    """A path, absolute; None for an empty text."""
    if not isinstance(value, str | Path) or "\0" in str(value):
        raise ValueError('a path, as text ("" for none)')
    try:
        return (folder / Path(value).expanduser()).absolute() if value else None
    except RuntimeError:
        raise ValueError(f"a path, and there is no user {str(value).split('/')[0][1:]!r} here") from None


def folders(value: Any, folder: Path) -> tuple[Path, ...]:
    """Paths of folders, absolute."""
    if not isinstance(value, list | tuple) or not all(isinstance(each, str | Path) and str(each) for each in value):
        raise ValueError('a list of folders, such as ["/data"]')
    return tuple(found for each in value if (found := path(each, folder)) is not None)


def modules(value: Any, _: Path) -> tuple[str, ...]:
    """Names of modules; what is in a package comes with it."""
    if not isinstance(value, list | tuple) or not all(
        isinstance(each, str) and _MODULE.fullmatch(each) for each in value
    ):
        raise ValueError('a list of modules, such as ["ours.transforms"]')
    return tuple(value)


def formats(value: Any, _: Path) -> tuple[str, ...]:
    """Names of image formats that there are decoders for."""
    if not isinstance(value, list | tuple) or not set(value) <= set(FORMATS):
        raise ValueError(f"a list of some of {', '.join(FORMATS)}")
    return tuple(value)


def switch(value: Any, _: Path) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def addresses(value: Any, _: Path) -> tuple[str, ...]:
    """Where to listen over TCP, beside the socket in the run directory."""
    if not isinstance(value, list):
        raise ValueError('a list of addresses, such as ["tcp://0.0.0.0:7311"]')
    return tuple(_tcp(each) for each in value)


def address(value: Any, _: Path) -> str:
    """Where a server is; an empty text for the one of the run directory."""
    if value == "":
        return ""
    if not isinstance(value, str) or not _is_address(value):
        raise ValueError('an address such as "tcp://host:7311" or "ipc:///path/server.sock"')
    return value


def page(value: Any, _: Path) -> str:
    """Host and port; none is an empty text, or "none" where an empty one is hard to type."""
    if value in ("", "none"):
        return ""
    _host_and_port(value, f'an address such as "{PAGE}", or "none"')
    return str(value)


def _tcp(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("tcp://") or not _is_address(value):
        raise ValueError('an address such as "tcp://0.0.0.0:7311"')
    return value


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except InvalidArgumentError:
        return False
    return True


def _host_and_port(value: Any, what: str) -> None:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    plain = port.isascii() and port.isdigit()
    if not host or not plain or not 0 <= int(port) < 1 << 16:
        raise ValueError(what)
