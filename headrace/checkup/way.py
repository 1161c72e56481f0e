"""The way to a server: its address, its name, its port, our key, and what it answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..client.visit import visit
from ..pipeline.addresses import addresses_of, parse_address
from ..pipeline.errors import FileError, HeadraceError, ServiceError
from ..pipeline.keys import ClientLock, read_client_key
from ..pipeline.messages import AskStatus, Message, Status
from .finding import Finding, fine, problem, warning

__all__ = ["Way"]

#: What to do about what the end of an error begins with.
_FIXES = (
    ("refused: the server does not know this key", "beside the server: headrace keys --add NAME --role ROLE"),
    ("refused", "see docs/security.md: each refusal stands there with its cause"),
    ("unreachable: nobody listens", "start the server there with --listen, and see to the port and the firewall"),
    ("unreachable", "is that a headrace server, and does it run? See its log, and `headrace status` on its machine"),
    ("we speak protocol", "install the same version of headrace on both machines"),
)


@dataclass(slots=True)
class Way:
    """To the server at an address, with a key or without."""

    address: str
    key: Path | None = None
    timeout_s: float = 10.0
    lock: ClientLock | None = None
    status: dict[str, Any] = field(default_factory=dict)  #: What the server says, once it does.

    def check(self) -> Iterator[Finding]:
        """Step by step, up to the first that fails."""
        for step in (self._name, self._key, self._hello):
            found = list(step())
            yield from found
            if any(each.level == "problem" for each in found):
                return
        yield from self._role()

    def _name(self) -> Iterator[Finding]:
        where = parse_address(self.address)
        if where.is_ipc:
            if Path(where.path).exists():
                yield fine("address", f"{self.address} is there")
            else:
                yield problem("address", f"{where.path} is not there", "start a server: headrace serve --detach")
            return
        try:
            hosts = ", ".join(each.host for each in addresses_of(where))
        except ServiceError as error:
            yield problem("address", str(error), "see to the name, or give the number: tcp://10.0.0.5:7311")
            return
        yield fine("address", f"{self.address} is {hosts}")

    def _key(self) -> Iterator[Finding]:
        if self.key is None:
            return
        try:
            self.lock = read_client_key(self.key)
        except FileError as error:
            yield problem("key", str(error), f"copy the key that was made beside the server to {self.key}, mode 0600")
            return
        mode = os.stat(self.key).st_mode & 0o777  # noqa: PTH116
        yield fine("key", f"{self.key} is the key {self.lock.name!r}, mode {mode:04o}")

    def _hello(self) -> Iterator[Finding]:
        try:
            answer = self.ask(AskStatus())
        except HeadraceError as error:
            yield problem("server", " ".join(str(error).split()), _fix(str(error)))
            return
        assert isinstance(answer, Status), "the answer to AskStatus"
        self.status = answer.data
        yield fine("server", f"headrace {self.status.get('version')} on {self.status.get('host')} answers")

    def _role(self) -> Iterator[Finding]:
        you = self.status.get("you", {})
        roles = [str(each) for each in you.get("roles", ())]
        if not you.get("name"):
            if self.status.get("insecure") and not parse_address(self.address).is_ipc:
                text = "whoever reaches the port may run code"
                yield warning("role", text, "give the server keys: headrace keys, then serve without --insecure")
            return
        text = f"the key {you['name']!r} has the role {', '.join(roles) or 'none'}"
        if not {"client", "submit"} & set(roles):
            yield warning(
                "role", f"{text}, and runs no pipelines", "for a trainer: headrace keys --add NAME --role submit"
            )
        else:
            yield fine("role", text)

    def ask(self, question: Message) -> Message:
        """The server's answer; HeadraceError where there is none."""
        return visit(self.address, question, self.lock, self.timeout_s)


def _fix(text: str) -> str:
    return next((fix for begin, fix in _FIXES if begin in text), "see the server's log")
