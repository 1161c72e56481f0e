"""The nursery: a process that has loaded all that a worker needs, and forks workers.

A worker that is forked there is ready in milliseconds, has its kernels loaded, and shares the memory of all that with
the others. Servers and agents fork their nursery before they have a socket, a secret or a thread. Where that cannot be,
and when a nursery is gone, workers are started as processes of their own, which is the same but slower.

Both sides speak through a pair of sockets, JSON packets: what to start, with its descriptors, and whom to signal; and
back who was born, and how each ended. This file is the starter's side; `nurse.py` is the process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from .nurse import PACKET, live

__all__ = ["Fork", "Nursery"]

#: A nursery that bears no worker within so long is given up. The first worker may have to wait for compiled kernels.
BORN_S = 300.0


@dataclass(slots=True)
class Fork:
    """A worker that the nursery has forked or is to fork, with what is needed of `subprocess.Popen`."""

    nursery: Nursery
    number: int
    asked_at: float
    pid: int | None = None
    returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None while it lives."""
        self.nursery.hear()
        if self.pid is None and self.returncode is None and monotonic() - self.asked_at > BORN_S:
            self.nursery.close()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """How it ended.

        Raises:
            subprocess.TimeoutExpired: it still lives.
        """
        until = monotonic() + timeout
        while self.poll() is None:
            if not self.nursery.heard_within(until - monotonic()):
                raise subprocess.TimeoutExpired(f"worker {self.pid}", timeout)
        assert self.returncode is not None
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self.nursery.signal(self, signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.nursery.signal(self, signal.SIGKILL)


class Nursery:
    """The nursery as the process that forked it sees it."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection, self._pid = connection, pid
        self._forks: dict[int, Fork] = {}
        self._asked = 0

    @classmethod
    def open(cls) -> Nursery | None:
        """Fork it; None where that cannot be done, or not safely.

        In workers, which return from here as forks of it, nothing is left of the caller: they run and exit.
        """
        if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open") or threading.active_count() > 1:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            live(theirs)
        theirs.close()
        ours.setblocking(False)
        return cls(ours, pid)

    @property
    def lives(self) -> bool:
        """Whether it can still be asked."""
        return self._connection.fileno() >= 0

    @property
    def descriptors(self) -> list[int]:
        """To be polled: news come from it."""
        return [self._connection.fileno()] if self.lives else []

    def start(self, arguments: Sequence[str], output: int, errors: int, lifeline: int) -> Fork:
        """Ask for a worker. The descriptors are its own once this returns, and are still the caller's to close.

        Raises:
            OSError: the nursery cannot be asked.
        """
        self._asked += 1
        said = json.dumps({"start": self._asked, "arguments": list(arguments)}).encode()
        try:
            socket.send_fds(self._connection, [said], [output, errors, lifeline])
        except BrokenPipeError:
            self.close()
            raise
        self._forks[self._asked] = Fork(self, self._asked, monotonic())
        return self._forks[self._asked]

    def signal(self, fork: Fork, number: int) -> None:
        """Send a signal to a worker: by the nursery, which knows whether the process is still that worker."""
        if fork.returncode is None:
            with suppress(OSError):  # it is gone, and its workers with it: `hear` sees that
                self._connection.send(json.dumps({"signal": fork.number, "as": int(number)}).encode())

    def hear(self) -> None:
        """What became of its workers since the last time."""
        while self.lives:
            try:
                said = self._connection.recv(PACKET)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if not said:
                self.close()
                return
            self._heard(json.loads(said))

    def _heard(self, news: dict[str, Any]) -> None:
        fork = self._forks[news["of"]]
        fork.pid = news.get("pid", fork.pid)
        if "status" in news:
            fork.returncode = news["status"]
            del self._forks[fork.number]

    def heard_within(self, seconds: float) -> bool:
        """Whether there is news before the time is up."""
        poll = select.poll()
        for descriptor in self.descriptors:
            poll.register(descriptor, select.POLLIN)
        return not self.lives or (seconds > 0 and bool(poll.poll(1000 * seconds)))

    def close(self) -> None:
        """End it, and with it all its workers."""
        if not self.lives:
            return
        self._connection.close()
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        for fork in self._forks.values():
            fork.returncode = -signal.SIGKILL
        self._forks.clear()
