"""A visit: one question to a server, and its answer."""

from __future__ import annotations

import os
import platform
from contextlib import closing
from time import monotonic

import zmq

from ..pipeline.addresses import parse_address
from ..pipeline.doorbell import Doorbell
from ..pipeline.errors import ServiceError, from_data
from ..pipeline.frames import from_frames, to_frames
from ..pipeline.keys import ClientLock
from ..pipeline.messages import VERSION, Bye, Files, Hello, Message, Refused, Status, Stopping
from ..pipeline.sockets import connect, open_socket, send

__all__ = ["visit"]

#: What was said may have been lost; it is said again after so long.
AGAIN_S = 1.0


def visit(address: str, question: Message, lock: ClientLock | None = None, timeout_s: float = 10.0) -> Message:
    """Say hello to a server, ask, and give its answer: a Status, Stopping, Files or Bye.

    Raises:
        ServiceError: there was no answer in time, and why: refused, unreachable, or silent.
        HeadraceError: the server's own word, such as VersionMismatch.
    """
    with zmq.Context() as context:
        tcp = not parse_address(address).is_ipc
        lock = lock if tcp else None
        socket = open_socket(context, zmq.DEALER, f"visitor-{os.urandom(6).hex()}", lock=lock)
        with socket, closing(Doorbell(socket, address, lock)) as doorbell:
            connect(socket, address, wait_s=0.0)
            found = _ask(socket, doorbell, question, monotonic() + timeout_s)
            if isinstance(found, Message):
                return found
            why = found or "unreachable: connected, but nobody answers: is it stopped?"
            raise ServiceError(f"the server at {address}: {why}")


def _ask(socket: zmq.Socket[bytes], doorbell: Doorbell, question: Message, until: float) -> Message | str | None:
    """The answer, or why there is none, if that is known."""
    hello = Hello(VERSION, "client", "visitor", os.getpid(), {"python": platform.python_version()})
    asked_at = -AGAIN_S
    while (now := monotonic()) < until:
        if now - asked_at >= AGAIN_S and socket.poll(50, zmq.POLLOUT):
            asked_at = now
            _say(socket, hello)
            _say(socket, question)
        if socket.poll(50):
            answer = _heard(socket)
            if isinstance(answer, Status | Stopping | Files | Bye):
                return answer
        if (verdict := doorbell.verdict()) is not None and verdict.startswith("refused"):
            return verdict
    return doorbell.verdict()


def _say(socket: zmq.Socket[bytes], message: Message) -> None:
    try:
        send(socket, to_frames(message))
    except zmq.Again:
        return  # not connected yet; it is said again


def _heard(socket: zmq.Socket[bytes]) -> Message:
    message, _ = from_frames([frame.buffer for frame in socket.recv_multipart(copy=False)])
    if isinstance(message, Refused):
        raise from_data(message.error)
    return message
