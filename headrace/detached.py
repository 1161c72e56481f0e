"""A detached server: started in a session of its own, heard until it is ready, with its log in the run directory."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from .log import LONG
from .pipeline.errors import ServiceError
from .pipeline.running import living

__all__ = ["Started", "start"]

#: How much of the log is shown when a server does not start.
LAST_LINES = 12
#: For a server to get ready: the first start on a machine compiles kernels.
READY_S = 300.0
#: For one that does not to end, by itself or when it is told to.
LAST_S = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    """A server that is ready."""

    pid: int
    address: str
    log: Path


def start(arguments: list[str], folder: Path, say: Callable[[str], None], within_s: float = READY_S) -> Started:
    """Run `headrace serve` with these arguments in the background, and wait until clients can come.

    Args:
        folder: the run directory.
        say: is told the last line of the log, whenever there is another.

    Raises:
        ServiceError: one runs there already, or the server ended or hung instead of getting ready; with the end of
            its log.
    """
    if (pid := living(folder)) is not None:
        raise ServiceError(f"a server is running in {folder} already, pid {pid}: `headrace stop` ends it")
    log = folder / "log"
    if log.exists() and log.stat().st_size > LONG:
        log.replace(folder / "log.1")
    ready, told = os.pipe()
    command = [sys.executable, "-P", "-m", "headrace", "serve", f"--ready={told}", *arguments]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    began = os.fstat(output).st_size
    try:
        process = subprocess.Popen(  # noqa: S603  (our own command)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[told],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    finally:
        os.close(told)
        os.close(output)
    try:
        address = _await(ready, log, began, say, monotonic() + within_s)
    except BaseException:  # also Ctrl-C
        process.terminate()
        _end_process(process)
        raise
    finally:
        os.close(ready)
    if not address:
        if address is None:
            process.terminate()
        status = _end_process(process)
        how = f"it was not ready within {within_s:g} s" if address is None else f"it ended with status {status}"
        raise ServiceError(f"the server did not start: {how}\n{_end(log, began)}({log})")
    process.returncode = 0  # it outlives us, and that is no mistake that Python should warn of
    return Started(process.pid, address, log)


def _end_process(process: subprocess.Popen[bytes]) -> int | None:
    """See that it has ended; its status. None where it hangs in the kernel, as where a disk is away."""
    try:
        return process.wait(LAST_S)
    except subprocess.TimeoutExpired:
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        return process.wait(LAST_S)
    return None


def _await(ready: int, log: Path, began: int, say: Callable[[str], None], until: float) -> str | None:
    """The address, once it can be reached; an empty text when the server ended instead, None when time is up."""
    while not select.select([ready], [], [], 0.2)[0]:
        if monotonic() > until:
            return None
        if lines := _lines(log, began):
            say(lines[-1])
    return os.read(ready, 4096).decode().strip()


def _lines(log: Path, began: int) -> list[str]:
    with log.open("rb") as file:
        file.seek(began)
        return file.read(1 << 20).decode("utf-8", "replace").splitlines()


def _end(log: Path, began: int) -> str:
    return "".join(f"  {line}\n" for line in _lines(log, began)[-LAST_LINES:])
