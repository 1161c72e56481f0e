"""The porch: where TCP connections wait that have not said yet who they are. It holds so many and no more.

libzmq accepts whoever connects, and gives them five seconds for the handshake; in that time each may hold a
descriptor and a frame of memory. Where more wait than there is room for, the one that has waited longest is shown out:
a peer with a key is through in milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct

import zmq

__all__ = ["ROOM", "Porch", "allow_descriptors"]

#: Connections that may wait. Each holds at most a chunk of memory (`pipeline.chunks`), which makes 24 MiB.
ROOM = 96


#: Descriptors that a server may have, where the system lets it: for peers, and for a flood of strangers.
DESCRIPTORS = 1 << 16


def allow_descriptors() -> None:
    """Let this process have many connections, as far as it may say so itself; the usual 1,024 are soon taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Porch:
    """Watches a ROUTER over TCP, from before it is bound. To be closed before that is."""

    def __init__(self, router: zmq.Socket[bytes], room: int = ROOM) -> None:
        self._router, self._room = router, room
        inproc = f"inproc://porch-{os.urandom(8).hex()}"
        router.monitor(inproc, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self.socket: zmq.Socket[bytes] = router.context.socket(zmq.PAIR)  #: To be polled; `sweep` when it is readable.
        self.socket.linger = 0
        self.socket.connect(inproc)
        self._waiting: dict[int, None] = {}  # descriptors, in the order in which they came

    @property
    def waiting(self) -> int:
        """How many connections have not been heard of since they were accepted."""
        return len(self._waiting)

    def entered(self, frame: zmq.Frame) -> None:
        """A message came, so its connection waits no longer."""
        self._learn()
        if self._waiting:
            self._waiting.pop(int(frame.get(zmq.SRCFD)), None)

    def sweep(self) -> None:
        """Learn who has come and gone, and show out whom there is no room for."""
        self._learn()
        while len(self._waiting) > self._room:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            _show_out(oldest)

    def _learn(self) -> None:
        while int(self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event, descriptor = struct.unpack("=HI", self.socket.recv_multipart()[0])
            self._waiting.pop(descriptor, None)  # the number may have been another connection's
            if event == zmq.EVENT_ACCEPTED:
                self._waiting[descriptor] = None

    def close(self) -> None:
        """Watch no more. Closing twice is allowed."""
        if not self.socket.closed:
            if not self._router.closed:
                self._router.monitor(None, 0)
            self.socket.close()


def _show_out(descriptor: int) -> None:
    """End a connection whose descriptor libzmq holds, and which it closes itself when it sees the end.

    Should that have happened already, and the number be another connection's by now, its peer connects again.
    """
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
