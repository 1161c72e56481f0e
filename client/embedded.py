"""An embedded service: a server and workers on this machine that live as long as the script that started them."""

from __future__ import annotations

import atexit
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

from ..pipeline.errors import InvalidArgumentError, ServiceError
from ..pipeline.limits import Limits, limits, to_text
from ..pipeline.sockets import address_in, make_run_directory
from .service import Service

__all__ = ["serve"]

#: Long enough for the first start on a machine, which compiles the kernels.
START_S = 300.0
STOP_S = 5.0


def serve(
    workers: int = 2,
    *,
    lease_s: float = 30.0,
    budget_bytes: int = 256 << 20,
    split_bytes: int = 8 << 20,
    slabs: bool = True,
    prefill: bool = True,
) -> Service:
    """Start a server and workers on this machine; they end with the service, or with this process.

    Use it as a context manager. Nothing is shared with other services; several may run at once.

    Args:
        workers: processes that read, parse and map.
        lease_s: seconds a worker may be silent, and so the longest that one call of a function may take.
            Then its work goes to another; a record on which that happens three times is a PoisonError.
        budget_bytes: for what workers have computed and nobody has consumed.
        split_bytes: of a file that are one worker's share at a time.
        slabs: whether blocks and batches go through shared memory, where the system has it, and not through sockets.
        prefill: whether the first elements of the next epoch are computed while the last ones of one are delivered.
            Without it, what is computed for an epoch that nobody opens is not.

    Raises:
        ServiceError: the server does not start.

    >>> from headrace import Dataset
    >>> with serve(workers=1) as service:
    ...     list(service.iterate(Dataset.range(4).batch(2)))
    [array([0, 1]), array([2, 3])]
    """
    if workers < 1:
        raise InvalidArgumentError(
            f"workers is {workers}: it must be at least 1; without a service, iterate the dataset"
        )
    for name, value, least in (
        ("lease_s", lease_s, 0.1),
        ("budget_bytes", budget_bytes, 1),
        ("split_bytes", split_bytes, 1),
    ):
        if value < least:
            raise InvalidArgumentError(f"{name} is {value}: it must be at least {least}")
    folder = make_run_directory()
    options = {"workers": workers, "lease-s": lease_s, "heartbeat-s": min(1.0, lease_s / 4)}
    options |= {"budget-bytes": budget_bytes, "split-bytes": split_bytes}
    switches = [*([] if slabs else ["--no-slabs"]), *([] if prefill else ["--no-prefill"])]
    switches += [f"--limits={to_text(limits())}"] if limits() != Limits() else []
    process = Process(folder, [*(f"--{name}={value}" for name, value in options.items()), *switches])
    try:
        process.await_ready()
    except BaseException:  # also Ctrl-C
        process.stop()
        raise
    return Service(address_in(folder), process, folder / "blobs")


class Process:
    """The server as the process that started it sees it."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        self.folder, self.owner = folder, os.getpid()
        lifeline, self._hold = os.pipe()
        self._ready, ready = os.pipe()
        command = [sys.executable, "-P", "-m", "headrace", "server-process", f"--folder={folder}"]
        command += [f"--lifeline={lifeline}", f"--ready={ready}", *options]
        # Functions import what the script could import; its own module goes along by value.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
        self.process = subprocess.Popen(  # noqa: S603  (our own command)
            command, stdin=subprocess.DEVNULL, pass_fds=[lifeline, ready], env=environment, start_new_session=True
        )
        os.close(lifeline)
        os.close(ready)
        # A script that ends without closing its service should not leave a killed server's folder behind.
        atexit.register(self.stop)

    def await_ready(self) -> None:
        """Until clients can come."""
        readable, _, _ = select.select([self._ready], [], [], START_S)
        told = os.read(self._ready, 4096) if readable else b""
        os.close(self._ready)
        if told:
            return
        status = self._status(1.0 if readable else 0.0)
        ended = f"it ended with status {status}" if status is not None else f"it said nothing for {START_S:.0f} s"
        raise ServiceError(f"the server did not start: {ended}; see what it printed above")

    def _status(self, wait_s: float) -> int | None:
        """How it ended, once that is known; None while it runs."""
        try:
            return self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    @property
    def gone(self) -> str | None:
        """How it ended, or None while it runs."""
        status = self.process.poll()
        return None if status is None else f"the server process {self.process.pid} has ended with status {status}"

    def stop(self) -> None:
        """End it and its workers; nothing of theirs is left behind."""
        if os.getpid() != self.owner or self._hold < 0:
            return  # a forked child has a copy of us; the server is its parent's
        os.close(self._hold)
        self._hold = -1
        atexit.unregister(self.stop)
        # A process that was forked from this one holds the lifeline, too.
        self.process.terminate()
        if self._status(STOP_S) is None:
            self.process.kill()
            self._status(STOP_S)  # one that hangs in the kernel, as where a disk is away, is left behind
        shutil.rmtree(self.folder, ignore_errors=True)
