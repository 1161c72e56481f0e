"""The gate: who comes in over TCP, and what each key may say.

Answers libzmq's questions about new connections (ZAP 1.0, RFC 27) from the daemon's own loop, and knows
each later message's user by the `User-Id` that libzmq ties to the connection, which is the public key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import zmq
from zmq.utils import z85

from .pipeline.authorized import Authorized, User
from .pipeline.errors import HeadraceError
from .pipeline.functions import UserFunction
from .pipeline.graph import decode_outline
from .pipeline.keys import DOMAIN, ROLES
from .pipeline.messages import Hello, Message, Register
from .pipeline.nodes import Node

__all__ = ["ALL", "Gate", "Rules", "User", "allowed"]

ADDRESS = "inproc://zeromq.zap.01"
VERSION = b"1.0"
#: Questions answered before something else has its turn.
TURN = 64

_ANY = frozenset(ROLES)
_WORKER = frozenset({"worker"})
_TRAINER = frozenset({"client", "submit"})
_CODE = frozenset({"submit"})
#: Whoever has one of these roles may say this. What stands not here, by its name, is for no peer to say.
MAY: dict[str, frozenset[str]] = {
    "Hello": _ANY,
    "Bye": _ANY,
    "AskStatus": _ANY,
    "Heartbeat": _ANY,
    "Register": _TRAINER,
    "Upload": _TRAINER,
    "Open": _TRAINER,
    "Next": _TRAINER,
    "AskToken": _TRAINER,
    "Close": _TRAINER | {"admin"},
    "Fetch": _WORKER,
    "WhatIs": _WORKER,
    "Pieces": _WORKER,
    "Printed": _WORKER,
    "Lost": _WORKER,
    "Inspected": _WORKER,
    "Sampled": _WORKER,
    "AskFiles": _TRAINER | {"admin"},
    "Shares": _TRAINER | _WORKER,
    "Freed": _TRAINER | _WORKER,
    "Retired": _TRAINER | _WORKER,
    "Stop": frozenset({"admin"}),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """Which functions come in over TCP."""

    code: bool = True  #: Whether keys with the role submit may send theirs.
    modules: tuple[str, ...] = ()  #: Functions in these, and in what is in them, may be named by every client.

    def names(self, function: UserFunction) -> bool:
        """Whether a function is one that everyone may name."""
        module = function.named.partition(":")[0]
        return any(module == each or module.startswith(f"{each}.") for each in self.modules) if module else False


ALL = Rules()


class Gate:
    """Lets in whom the list of keys names, over all sockets of a context that are locked with the server's key."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], authorized: Authorized, rules: Rules = ALL) -> None:
        self.authorized, self.rules = authorized, rules
        self.socket = context.socket(zmq.ROUTER)  #: To be polled; `answer` when it is readable.
        self.socket.linger = 0
        self.socket.bind(ADDRESS)

    def answer(self) -> None:
        """Answer the questions that have come."""
        for _ in range(TURN):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if (reply := self._reply(frames)) is not None:
                self.socket.send_multipart(reply, zmq.NOBLOCK)

    def _reply(self, frames: Sequence[bytes]) -> list[bytes] | None:
        """The answer to one question; none to what is no question, so that whoever asked stays outside."""
        if b"" not in frames[1:-1]:
            return None
        end = frames.index(b"", 1)
        route, request = frames[: end + 1], frames[end + 1 :]
        if len(request) < 6 or request[0] != VERSION:
            return None
        return [*route, VERSION, request[1], *self._judge(request[2], request[5], request[6:]), b""]

    def _judge(self, domain: bytes, mechanism: bytes, credentials: Sequence[bytes]) -> tuple[bytes, bytes, bytes]:
        """Status, its text, and the public key of whom to let in, as text."""
        if domain != DOMAIN or mechanism != b"CURVE" or len(credentials) != 1 or len(credentials[0]) != 32:
            return b"500", b"not a question of this server", b""
        public = z85.encode(credentials[0])
        if self.authorized.user(public.decode()) is not None:
            return b"200", b"OK", public
        if not self.authorized.readable:
            return b"300", b"the list of keys cannot be read", b""  # 300: the peer tries again, after 400 never
        return b"400", b"this key is not in the list of keys", b""

    def user_of(self, frame: zmq.Frame) -> User | None:
        """Whose message a frame is part of, by the list as it is now; nobody's when its key was taken away."""
        try:
            public = frame.get("User-Id")
        except zmq.ZMQError:  # it did not come through this gate
            return None
        return self.authorized.user(str(public))

    def allowed(self, user: User, message: Message) -> str | None:
        """Why a user may not say this; None when it may."""
        return allowed(user, message, self.rules)

    def close(self) -> None:
        """Let nobody in any more."""
        self.socket.close()


def allowed(user: User, message: Message, rules: Rules = ALL) -> str | None:
    """Why a user may not say this; None when it may.

    >>> from headrace.pipeline.messages import Stop
    >>> allowed(User("ann", frozenset({"client"})), Stop(5.0))
    "the key 'ann' has the role client, and Stop needs admin: change its line in the server's authorized_keys"
    """
    needed = MAY.get(type(message).__name__)
    if needed is None:
        return f"{type(message).__name__} is for the server to say"
    if isinstance(message, Hello) and message.role in ("worker", "launcher"):
        needed = _WORKER
    if not user.roles & needed:
        return _lacks(user, _title(message), needed)
    if not isinstance(message, Register) or ("submit" in user.roles and rules.code):
        return None
    code = _code_in(message, rules)
    if code is not None and "submit" not in user.roles:
        return _lacks(user, "a pipeline with functions", _CODE) + _or_named(code, rules)
    return None if code is None else _no_code(code, rules)


def _lacks(user: User, what: str, needed: frozenset[str]) -> str:
    return (
        f"the key {user.name!r} has the role {_listed(user.roles)}, and {what} needs {_listed(needed)}: "
        "change its line in the server's authorized_keys"
    )


def _or_named(function: str, rules: Rules) -> str:
    """The other way, where there is one."""
    if not rules.modules:
        return ""
    return f", or let {function} be the text MODULE:FUNCTION, of {' or '.join(rules.modules)} (security.modules)"


def _no_code(function: str, rules: Rules) -> str:
    told = f"this server takes no functions over TCP (security.allow_code is false), and {function} is one"
    return told + (_or_named(function, rules) or ": leave it out")


def _code_in(message: Register, rules: Rules) -> str | None:
    """The first function of a pipeline that not everyone may name, by the decoder that the workers use."""
    try:
        found = (each for each in _functions(decode_outline(message.graph)) if not rules.names(each))
        return next((each.named or each.name for each in found), None)
    except HeadraceError:
        return None  # what is no graph is refused where it is taken apart, which says why


def _functions(value: Any) -> Iterator[UserFunction]:
    match value:
        case UserFunction():
            yield value
        case tuple():
            for each in value:
                yield from _functions(each)
        case Node():
            for f in fields(value):
                yield from _functions(getattr(value, f.name))


def _title(message: Message) -> str:
    return f"a {message.role}" if isinstance(message, Hello) else type(message).__name__


def _listed(roles: frozenset[str]) -> str:
    return " or ".join(each for each in ROLES if each in roles) or "none"
