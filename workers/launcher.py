"""The launcher: starts worker processes on this machine, sees them die, starts others in their place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from .box import Box

__all__ = ["Death", "Launcher"]

#: Threads of numeric libraries in a worker: workers are many, and would fight for cores.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

#: A worker that dies sooner than this after its start has not really run.
_SOON_S = 5.0


@dataclass(frozen=True, slots=True)
class Death:
    """A worker's end: who, how, and on which element, split and position."""

    name: str
    status: int
    executing: tuple[int, int] | None


@dataclass(slots=True)
class Child:
    """One worker process."""

    process: subprocess.Popen[bytes]
    lifeline: int
    box: Box
    started: float


@dataclass(slots=True, kw_only=True)
class Launcher:
    """Keeps `count` workers running."""

    count: int
    folder: Path
    server: str
    children: dict[str, Child] = field(default_factory=dict)
    started: int = 0
    early: int = 0  #: Deaths in a row right after the start.
    not_before: float = 0.0

    def poll(self) -> list[Death]:
        """Deaths since the last time; others are started."""
        deaths = [
            self._bury(name, child) for name, child in list(self.children.items()) if child.process.poll() is not None
        ]
        while len(self.children) < self.count and monotonic() >= self.not_before:
            self._start()
        return deaths

    def _start(self) -> None:
        name = f"worker-{self.started}-{os.urandom(3).hex()}"
        self.started += 1
        box = Box(self.folder / f"{name}.box")
        box.clear()
        read, write = os.pipe()
        command = [sys.executable, "-m", "headrace", "worker", "--server", self.server, "--name", name]
        command += ["--blobs", str(self.folder / "blobs"), "--box", str(box.path), "--lifeline", str(read)]
        environment = {**dict.fromkeys(_THREADS, "1"), **os.environ}
        process = subprocess.Popen(  # noqa: S603  (our own command)
            command, stdin=subprocess.DEVNULL, pass_fds=[read], env=environment, start_new_session=True
        )
        os.close(read)
        self.children[name] = Child(process, write, box, monotonic())

    def _bury(self, name: str, child: Child) -> Death:
        executing = child.box.read()
        soon = (
            monotonic() - child.started < _SOON_S and executing is None and child.process.returncode != -signal.SIGKILL
        )
        self.early = self.early + 1 if soon else 0
        if self.early:
            self.not_before = monotonic() + min(5.0, 0.1 * 2**self.early)
        self._forget(name)
        return Death(name, child.process.returncode, executing)

    def _forget(self, name: str) -> None:
        child = self.children.pop(name)
        os.close(child.lifeline)
        child.box.remove()

    def kill(self, name: str) -> None:
        """End one at once; `poll` will tell of it."""
        if name in self.children:
            self.children[name].process.kill()

    def stop(self, grace_s: float = 1.0) -> None:
        """End all: asked first, then made to."""
        self.count = 0
        for child in self.children.values():
            child.process.terminate()
        until = monotonic() + grace_s
        for name, child in list(self.children.items()):
            try:
                child.process.wait(max(0.0, until - monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            self._forget(name)

    @property
    def trouble(self) -> str | None:
        """Why workers do not start, once that is plain."""
        if self.early < 3:
            return None
        return f"{self.early} workers in a row ended right after their start: see what they printed above"
