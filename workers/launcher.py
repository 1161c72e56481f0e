"""The launcher: starts worker processes on this machine, sees them die, starts others in their place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from ..pipeline.blobs import Blobs
from ..pipeline.limits import Limits, limits, to_text
from .box import Box
from .nursery import Fork, Nursery
from .output import Output
from .threads import set_one_each

__all__ = ["Death", "Launcher"]

#: A worker that dies sooner than this after its start has not really run.
_SOON_S = 5.0
#: After so many such deaths in a row there is no hope,
_EARLY = 3
#: unless there was none for so long.
_FORGOTTEN_S = 60.0
#: For a process to be gone that was killed.
KILLED_S = 5.0


@dataclass(frozen=True, slots=True)
class Death:
    """A worker's end: who, how, and on which element, split and position."""

    name: str
    status: int
    executing: tuple[int, int] | None

    @property
    def cause(self) -> str:
        """How, in words."""
        if self.status >= 0:
            return f"the process exited with status {self.status}"
        return f"the process was killed by {signal.Signals(-self.status).name}"


@dataclass(slots=True)
class Child:
    """One worker process."""

    process: subprocess.Popen[bytes] | Fork
    lifeline: int
    box: Box
    output: Output
    started: float
    killed: bool = False  #: By us.


@dataclass(slots=True, kw_only=True)
class Launcher:
    """Keeps `count` workers running."""

    count: int
    folder: Path  #: For the workers' boxes.
    server: str
    name: str = ""  #: Of a launcher that is not the server itself, as the server knows it.
    blobs: Path | None = None  #: Where functions and arrays lie, or are put once fetched; in `folder` unless given.
    key: Path | None = None  #: Of the connection to the server.
    nursery: Nursery | None = None  #: Where workers are forked, while it lives.
    children: dict[str, Child] = field(default_factory=dict)
    started: int = 0
    early: int = 0  #: Deaths in a row before anything was computed.
    early_at: float = 0.0  #: The last of them.
    last: str = ""  #: How it died.
    not_before: float = 0.0
    last_words: list[tuple[str, str, int]] = field(default_factory=list)  #: Of those that have died.

    def __post_init__(self) -> None:
        for left in self.folder.glob("*.box"):  # by a launcher that was killed
            left.unlink(missing_ok=True)

    def poll(self) -> list[Death]:
        """Deaths since the last time; others are started."""
        if self.nursery is not None:
            self.nursery.hear()
        deaths = [
            self._bury(name, child) for name, child in list(self.children.items()) if child.process.poll() is not None
        ]
        if self.early and (monotonic() - self.early_at > _FORGOTTEN_S or any(map(self.executing, self.children))):
            self.early = 0
        while len(self.children) < self.count and monotonic() >= self.not_before:
            try:
                self._start()
            except OSError as error:  # too many processes or descriptors, or no memory; perhaps for a moment
                self._in_vain(f"one could not be started: {error}")
        return deaths

    def _start(self) -> None:
        name = f"worker-{self.started}-{os.urandom(3).hex()}"
        self.started += 1
        with ExitStack() as ours, ExitStack() as theirs:
            path = self.folder / f"{name}.box"
            ours.callback(path.unlink, missing_ok=True)
            box = Box(path)
            ours.callback(box.remove)
            box.clear()
            read, write = os.pipe()
            theirs.callback(os.close, read)
            ours.callback(os.close, write)
            output, ends = Output.open()
            for end in ends:
                theirs.callback(os.close, end)
            ours.callback(lambda: list(output.close()))
            process = self._process([*self._arguments(name), f"--box={path}"], *ends, read)
            self.children[name] = Child(process, write, box, output, monotonic())
            ours.pop_all()  # nothing of it is to be undone

    def _arguments(self, name: str) -> list[str]:
        arguments = [f"--server={self.server}", f"--name={name}", f"--launcher={self.name}"]
        arguments += [f"--blobs={self.folder_of_blobs.folder}"]
        arguments += [f"--key={self.key}"] if self.key is not None else []
        return [*arguments, f"--limits={to_text(limits())}"] if limits() != Limits() else arguments

    def _process(self, arguments: list[str], output: int, errors: int, lifeline: int) -> subprocess.Popen[bytes] | Fork:
        """A worker: forked in the nursery, or, without one, started from nothing."""
        if self.nursery is not None and self.nursery.lives:
            return self.nursery.start(arguments, output, errors, lifeline)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        set_one_each(environment)
        return subprocess.Popen(  # noqa: S603  (our own command)
            [sys.executable, "-P", "-m", "headrace", "worker-process", *arguments, f"--lifeline={lifeline}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=[lifeline],
            env=environment,
            start_new_session=True,
        )

    @property
    def folder_of_blobs(self) -> Blobs:
        """Where functions and arrays lie that workers have fetched."""
        return Blobs(self.blobs or self.folder / "blobs")

    @property
    def descriptors(self) -> list[int]:
        """To be polled: what workers print comes from them, and how they ended."""
        printed = [each for child in self.children.values() for each in child.output.descriptors]
        return printed if self.nursery is None else [*printed, *self.nursery.descriptors]

    def printed(self) -> Iterator[tuple[str, str, int]]:
        """What workers printed since the last time: who, lines, and whether to 1, their output, or 2, their errors."""
        last, self.last_words = self.last_words, []
        yield from last
        for name, child in self.children.items():
            for text, stream in child.output.read():
                yield name, text, stream

    def _bury(self, name: str, child: Child) -> Death:
        status = child.process.returncode
        assert status is not None
        death = Death(name, status, child.box.read())
        # One that we killed had either stuck before its first element, or was only in the way of another;
        # one that others killed says nothing.
        told = child.killed or death.status != -signal.SIGKILL
        useless = child.box.between or (monotonic() - child.started < _SOON_S and not child.killed)
        if death.executing is None and told and useless:
            self._in_vain(death.cause)
        self._forget(name)
        return death

    def _in_vain(self, how: str) -> None:
        """A worker ended before it was of use."""
        now = monotonic()
        self.early, self.early_at, self.last = self.early + 1, now, how
        self.not_before = now + min(5.0, 0.1 * 2**self.early)

    def executing(self, name: str) -> tuple[int, int] | None:
        """On which element a worker is, split and position, if it is one of ours and on any."""
        return self.children[name].box.read() if name in self.children else None

    def _forget(self, name: str) -> None:
        child = self.children.pop(name)
        self.last_words += [(name, text, stream) for text, stream in child.output.close()]
        os.close(child.lifeline)
        child.box.remove()

    def kill(self, name: str) -> None:
        """End one at once; `poll` will tell of it."""
        if name in self.children:
            self.children[name].killed = True
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
                with suppress(subprocess.TimeoutExpired):  # it hangs in the kernel, as where a disk is away
                    child.process.wait(KILLED_S)
            self._forget(name)
        if self.nursery is not None:
            self.nursery.close()

    @property
    def trouble(self) -> str | None:
        """Why workers cannot be kept running, once that is plain."""
        if self.early < _EARLY:
            return None
        return (
            f"{_EARLY} workers in a row ended before they computed anything ({self.last}): "
            "see what they printed, mend it, and start the service again"
        )
