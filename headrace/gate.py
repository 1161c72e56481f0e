"""The gate: who comes in over TCP, and what each key may say.

Answers libzmq's questions about new connections (ZAP 1.0, RFC 27) from the daemon's own loop, and knows
each later message's user by the `User-Id` that libzmq ties to the connection, which is the public key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
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

__all__ = ["Gate", "User", "allowed"]

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
    "Close": _TRAINER,
    "Fetch": _WORKER,
    "WhatIs": _WORKER,
    "Pieces": _WORKER,
    "Printed": _WORKER,
    "Lost": _WORKER,
    "Inspected": _WORKER,
    "Shares": _TRAINER | _WORKER,
    "Freed": _TRAINER | _WORKER,
    "Retired": _TRAINER | _WORKER,
    "Stop": frozenset({"admin"}),
}


class Gate:
    """Lets in whom the list of keys names, over all sockets of a context that are locked with the server's key."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], authorized: Authorized) -> None:
        self.authorized = authorized
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
        return allowed(user, message)

    def close(self) -> None:
        """Let nobody in any more."""
        self.socket.close()


def allowed(user: User, message: Message) -> str | None:
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
    if isinstance(message, Register) and "submit" not in user.roles and _ships_code(message):
        needed = _CODE
    if user.roles & needed:
        return None
    what = "a pipeline with functions" if needed is _CODE else _title(message)
    return (
        f"the key {user.name!r} has the role {_listed(user.roles)}, and {what} needs {_listed(needed)}: "
        "change its line in the server's authorized_keys"
    )


def _ships_code(message: Register) -> bool:
    """Whether a pipeline has functions, by the decoder that the workers use."""
    try:
        return _holds_function(decode_outline(message.graph))
    except HeadraceError:
        return False  # what is no graph is refused where it is taken apart, which says why


def _holds_function(value: Any) -> bool:
    match value:
        case UserFunction():
            return True
        case tuple():
            return any(map(_holds_function, value))
        case Node():
            return any(_holds_function(getattr(value, each.name)) for each in fields(value))
    return False


def _title(message: Message) -> str:
    return f"a {message.role}" if isinstance(message, Hello) else type(message).__name__


def _listed(roles: frozenset[str]) -> str:
    return " or ".join(each for each in ROLES if each in roles) or "none"
