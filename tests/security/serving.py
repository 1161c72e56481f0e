"""A server's TCP door as the daemon opens it, that says to each peer by which name it knows it.

Run as a program it serves until its standard input ends: `python -m tests.security.serving KEYS-FOLDER`; the first line
that it prints is its address. KEYS-FOLDER `-` is an insecure one.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import zmq

from headrace.gate import Gate
from headrace.pipeline.authorized import Authorized
from headrace.pipeline.keys import AUTHORIZED, read_server_key
from headrace.pipeline.sockets import bind, open_socket, send
from headrace.porch import Porch

__all__ = ["Serving"]


class Serving:
    """The door, its gate and its porch; `loop` serves until `ended` is set."""

    def __init__(self, keys: Path | None) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.gate = Gate(self.context, Authorized(keys / AUTHORIZED)) if keys is not None else None
        lock = read_server_key(keys) if keys is not None else None
        self.router = open_socket(self.context, zmq.ROUTER, lock=lock)
        self.porch = Porch(self.router)
        self.address = bind(self.router, "tcp://127.0.0.1:*", insecure=keys is None)
        self.ended = threading.Event()

    def loop(self) -> None:
        """Until ended."""
        poller = zmq.Poller()
        for socket in (self.router, self.porch.socket, *([self.gate.socket] if self.gate else [])):
            poller.register(socket, zmq.POLLIN)
        while not self.ended.is_set():
            ready = dict(poller.poll(20))
            if self.gate is not None and self.gate.socket in ready:
                self.gate.answer()
            self.porch.sweep()
            if self.router in ready:
                self._hear()

    def _hear(self) -> None:
        frames: list[Any] = self.router.recv_multipart(copy=False)
        self.porch.entered(frames[-1])
        name = b"anyone"
        if self.gate is not None:
            user = self.gate.user_of(frames[-1])
            name = user.name.encode() if user is not None else b"nobody"
        try:
            send(self.router, [name], to=frames[0].bytes)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def close(self) -> None:
        """The peers find nobody any more."""
        self.porch.close()
        self.router.close()
        if self.gate is not None:
            self.gate.close()
        self.context.term()


def main(keys: str) -> None:
    """Serve until the standard input ends."""
    serving = Serving(None if keys == "-" else Path(keys))
    print(serving.address, flush=True)

    def wait() -> None:
        sys.stdin.read()
        serving.ended.set()

    threading.Thread(target=wait, daemon=True).start()
    serving.loop()
    serving.close()


if __name__ == "__main__":
    main(sys.argv[1])
