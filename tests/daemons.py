"""A server as people run it, for tests: `headrace serve` with a state, keys and a TCP port of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import headrace as hr
from headrace.pipeline.keys import make_client_key, make_server_key
from headrace.pipeline.running import daemon_folder

__all__ = ["Daemon"]

#: Kernels may have to be compiled first.
START_S = 300.0


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Daemon:
    """A server to start, kill and start again, and workers that join it. Leaves nothing behind."""

    options: tuple[str, ...] = ("--workers=2",)
    tcp: bool = False
    place: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="hr-", dir="/tmp")))  # a short path
    port: int = field(default_factory=free_port)
    server: subprocess.Popen[str] | None = None
    agents: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.tcp:
            make_server_key(self.keys)
            make_client_key(self.keys, "trainer", ["submit", "admin"])
            make_client_key(self.keys, "host", ["worker"])

    @property
    def keys(self) -> Path:
        """The folder of keys."""
        return self.place / "keys"

    @property
    def ipc(self) -> str:
        """Where it listens for this user on this host."""
        return f"ipc://{daemon_folder(self.place)}/server.sock"

    @property
    def address(self) -> str:
        """Where trainers and workers come to it: over TCP, if it has that."""
        return f"tcp://127.0.0.1:{self.port}" if self.tcp else self.ipc

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes and of commands about it, so that nothing of the user's is touched."""
        path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
        return {**os.environ, "HEADRACE_RUN_DIR": str(self.place), "PYTHONPATH": path}

    def start(self) -> Self:
        """Until clients can come."""
        command = ["serve", f"--state-dir={self.place}/state", "--metrics=none", *self.options]
        if self.tcp:
            command += [f"--listen={self.address}", f"--keys={self.keys}"]
        self.server = self._headrace(*command, stdout=subprocess.PIPE)
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        assert line, f"the server ended with status {self.server.wait(10)}"
        return self

    def join(self, workers: int = 2, by: str = "") -> subprocess.Popen[str]:
        """Workers that a launcher of their own starts, as on another host; `by` is another way to the server."""
        key = [f"--key={self.keys}/host.key"] if self.tcp else []
        self.agents.append(self._headrace("worker", f"--server={by or self.address}", f"--workers={workers}", *key))
        return self.agents[-1]

    def _headrace(self, *command: str, stdout: int | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "headrace", *command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            text=True,
            start_new_session=True,
        )

    def connect(self, **options: float) -> hr.Service:
        """A handle, as a trainer has it."""
        return hr.connect(self.address, key=self.keys / "trainer.key" if self.tcp else None, **options)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.server is not None
        self.server.kill()
        self._bury(self.server)

    def wait(self, within_s: float = 60.0) -> int:
        """Until the server has ended by itself; its status."""
        assert self.server is not None
        return self._bury(self.server, within_s)

    def _bury(self, process: subprocess.Popen[str], within_s: float | None = None) -> int:
        status = process.wait(within_s)
        if process.stdout is not None:
            process.stdout.close()
        return status

    def stop(self) -> list[int]:
        """SIGTERM to all; how they ended, the server last."""
        statuses = []
        for process in [*self.agents, *([self.server] if self.server is not None else [])]:
            process.send_signal(signal.SIGTERM)
            statuses.append(self._bury(process, 30))
        self.agents, self.server = [], None
        return statuses

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.place, ignore_errors=True)
