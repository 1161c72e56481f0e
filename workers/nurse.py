"""The nurse: what runs in a nursery's process, and in each of its forks until that is a worker."""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

import numpy as np
from setproctitle import setproctitle

from ..pipeline.lifeline import die_with_parent
from .starting import run_worker

__all__ = ["PACKET", "live"]

#: Bytes of one message; a worker's arguments are some hundred.
PACKET = 64 << 10
#: A worker could not be forked.
_NO_FORK = os.EX_OSERR


def live(connection: socket.socket) -> NoReturn:
    """Be the nursery, until nobody asks any more, and in its forks a worker. Nothing of the caller runs again."""
    status = 1
    try:
        atexit._clear()  # what the caller has registered is for the caller to do
        die_with_parent()
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        keep_only(connection.fileno())
        setproctitle(f"headrace nursery of {os.getppid()}")
        arguments = Nurse(connection).next_worker()
        if arguments is not None:
            run_worker(arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(Exception):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


class Nurse:
    """Who forks workers, and sees them end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._workers: dict[int, tuple[int, int]] = {}  #: Descriptor of a process: its number and pid.
        self._loaded = False

    def next_worker(self) -> list[str] | None:
        """Serve until this process is a fork that is to be a worker; its arguments. None when nobody asks any more."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._workers:
                    self._bury(descriptor)
                    continue
                said, given, _, _ = socket.recv_fds(self._connection, PACKET, 3)
                if not said:
                    return None
                if (arguments := self._obey(json.loads(said), given)) is not None:
                    return arguments

    def _obey(self, asked: dict[str, object], given: list[int]) -> list[str] | None:
        match asked:
            case {"start": int(number), "arguments": list(arguments)}:
                if not self._loaded:
                    self._loaded = True
                    load()
                return self._fork(number, arguments, given)
            case {"signal": int(number), "as": int(signal_number)}:
                for pid in (pid for each, pid in self._workers.values() if each == number):
                    os.kill(pid, signal_number)  # it is ours until it is buried, whatever has become of it
        return None

    def _fork(self, number: int, arguments: list[str], given: Sequence[int]) -> list[str] | None:
        """A worker; its arguments in itself."""
        pid = 0
        try:
            if (pid := os.fork()) == 0:
                return self._born(arguments, given)
            descriptor = os.pidfd_open(pid)
        except OSError as error:  # too many processes or descriptors, or no memory; perhaps for a moment
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.write(given[1], f"headrace: a worker could not be forked: {error}\n".encode())
            self._say(of=number, status=_NO_FORK)
        else:
            self._workers[descriptor] = number, pid
            self._poll.register(descriptor, select.POLLIN)
            self._say(of=number, pid=pid)
        for each in given:
            os.close(each)
        return None

    def _born(self, arguments: list[str], given: Sequence[int]) -> list[str]:
        """In the fork: a process as if it had been started with these arguments."""
        output, errors, lifeline = given
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        self._connection.detach()
        keep_only(lifeline)
        sys.stdout, sys.stderr = stream_to(1), stream_to(2)
        np.random.seed()  # or else all of them draw the same; `random` sees to that by itself
        setproctitle(" ".join(["headrace worker-process", *arguments]))
        return [*arguments, f"--lifeline={lifeline}", "--warmed"]

    def _bury(self, descriptor: int) -> None:
        number, pid = self._workers.pop(descriptor)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        self._say(of=number, status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def _say(self, **news: int) -> None:
        with suppress(BrokenPipeError):  # who would hear it is gone, and we shall be at once
            self._connection.send(json.dumps(news).encode())


def load() -> None:
    """All kernels, from the machine's cache, or compiled where it has none."""
    from ..pipeline.warm import steps, warm  # it pulls in everything

    try:
        warm(lambda: print("headrace: compiling kernels, once on this machine", file=sys.stderr, flush=True))
        for _ in steps():
            continue
    except OSError as error:  # no temporary folder: the first elements wait a moment longer
        print(f"headrace: kernels are not loaded beforehand: {error}", file=sys.stderr, flush=True)
    gc.collect()
    gc.freeze()  # what is never looked at by the collector stays shared


def keep_only(descriptor: int) -> None:
    """Close all descriptors but the three streams and this one."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))


def stream_to(descriptor: int) -> TextIOWrapper:
    """As the interpreter opens it where output is not to be held back."""
    file = open(descriptor, "wb", buffering=0, closefd=False)  # noqa: SIM115  (as long as the process)
    return TextIOWrapper(file, errors="backslashreplace" if descriptor == 2 else "surrogateescape", write_through=True)
