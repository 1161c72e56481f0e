"""A server of a run directory in a process of its own, started, killed and started again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

__all__ = ["Daemon"]


class Daemon:
    """A server of a run directory, started as often as is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder / "run", folder / "state"
        self.folder.mkdir(mode=0o700)
        self.lives = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"ipc://{self.folder}/server.sock"

    def start(self, *options: str) -> None:
        """Start it, and wait until it says that it is ready."""
        ready, told = os.pipe()
        command = [sys.executable, "-m", "headrace", "server-process", f"--folder={self.folder}"]
        command += [
            f"--state={self.state}",
            f"--ready={told}",
            "--split-bytes=20000",
            "--budget-bytes=200000",
            *options,
        ]
        self.process = subprocess.Popen(command, pass_fds=[told])
        self.lives += 1
        os.close(told)
        assert select.select([ready], [], [], 60)[0], "the server does not start"
        assert os.read(ready, 4096).decode().strip() == self.address
        os.close(ready)

    def kill(self) -> None:
        """As the kernel does where memory is short."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """In good order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
