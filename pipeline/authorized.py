"""The list of keys that a server lets in, as its file says at each moment."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from .keys import ROLES, is_key, is_name

__all__ = ["Authorized", "User"]

#: A file that was changed so recently, in ns, may be changed again without its time showing it.
_UNSETTLED = 1_000_000_000
#: No list of keys is longer, in bytes.
_LONGEST = 1 << 20
#: Inode, size, and times of content and status: what changes when a file does.
_Stamp: TypeAlias = "tuple[int, int, int, int]"


@dataclass(frozen=True, slots=True)
class User:
    """Whose key it is, and what that key may."""

    name: str
    roles: frozenset[str]


def _warn(text: str) -> None:
    print(f"headrace: {text}", file=sys.stderr, flush=True)


@dataclass(slots=True)
class Authorized:
    """The users of an `authorized_keys`: one line a key, `<public> <role[,role]> <name>`; `#` begins a comment line.

    The file is looked at with every question, and read again when it has changed. A line that cannot be
    understood lets nobody in, and neither does a file that cannot be read or that others can change.
    """

    path: Path
    warn: Callable[[str], None] = _warn
    _users: dict[str, User] = field(default_factory=dict)
    _stamp: _Stamp | None = None
    _readable: bool = False
    _warned: set[str] = field(default_factory=set)

    def user(self, public: str) -> User | None:
        """Whose key this is; nobody's when it is not in the list."""
        self._refresh()
        return self._users.get(public)

    @property
    def readable(self) -> bool:
        """Whether there is a list to go by. Without one nobody is let in, but may be later."""
        self._refresh()
        return self._readable

    @property
    def users(self) -> list[User]:
        """All who are let in, in the order of the file."""
        self._refresh()
        return list(self._users.values())

    def _refresh(self) -> None:
        try:
            status = self.path.stat()
        except OSError as error:
            self._forget(f"{self.path}: {error.strerror}: nobody is let in; headrace keys makes one")
            return
        stamp = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        if stamp != self._stamp:
            self._read(status)
            changed = max(status.st_mtime_ns, status.st_ctime_ns)
            self._stamp = stamp if abs(time.time_ns() - changed) > _UNSETTLED else None

    def _read(self, status: os.stat_result) -> None:
        if (why := _unsafe(self.path, status)) is not None:
            self._forget(f"{why}: nobody is let in")
            return
        try:
            lines = self.path.read_bytes().decode("utf-8", "replace").split("\n")
        except OSError as error:
            self._forget(f"{self.path}: {error.strerror}: nobody is let in")
            return
        self._users, self._readable = {}, True
        for number, line in enumerate(lines, 1):
            self._take(number, line.strip())

    def _take(self, number: int, line: str) -> None:
        if not line or line.startswith("#"):
            return
        words = line.split(maxsplit=2)
        if (why := _trouble(words, self._users)) is not None:
            self._say(f"{self.path}, line {number}: {why}: this line lets nobody in")
            return
        self._users[words[0]] = User(words[2], frozenset(words[1].split(",")))

    def _forget(self, why: str) -> None:
        self._users, self._stamp, self._readable = {}, None, False
        self._say(why)

    def _say(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.warn(text)


def _unsafe(path: Path, status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LONGEST:
        return f"{path} is no list of keys"
    if status.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to somebody else; chown {os.geteuid()} {path}"
    if status.st_mode & 0o022:
        return f"{path} can be changed by others; chmod go-w {path}"
    return None


def _trouble(words: list[str], known: dict[str, User]) -> str | None:
    """What is wrong with a line, without showing what may be a secret."""
    if not is_key(words[0]):
        return "it does not begin with a public key of 40 characters"
    if len(words) < 3:
        return "it is not <public key> <role[,role]> <name>"
    if not is_name(words[2]):
        return f"{words[2]!r} cannot name a key: take letters, digits, '.', '_', '-', '@'"
    if unknown := sorted(set(words[1].split(",")) - set(ROLES)):
        return f"there is no role {unknown[0]!r}; there are {', '.join(ROLES)}"
    return f"the key stands there already, as {known[words[0]].name!r}" if words[0] in known else None
