"""The stage: a server with workers of its own, an agent with more, a trainer; TCP, keys, and proxies in between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self, TypeAlias

from ..daemons import Daemon
from .owners import owner_of
from .proxy import Choice, Proxy
from .trainer import EACH, Start
from .training import ANSWER_S, Trainer

__all__ = ["LEASE_S", "Harm", "Stage", "Undo", "command_of", "pause", "state_of", "until"]

#: What is done to a stage; it may give back what ends that again, some elements later.
Undo: TypeAlias = Callable[[], object]
Harm: TypeAlias = "Callable[[Stage], Undo | None]"

#: After so many elements what lasts is over.
LASTS = 40
#: Of so many elements at most the acknowledgement may be on its way when a trainer is killed.
UNHEARD = 8

#: So short that a test sees several pass.
LEASE_S = 3.0
IDLE_S = 4.0
OPTIONS = (f"--lease={LEASE_S} s", f"--idle={IDLE_S} s", "--budget=1 MiB", "--split=8 KiB", "--grace=1 s")


def until(holds: Callable[[], object], what: str, within_s: float = 120.0) -> None:
    """Wait for what must become so."""
    end = monotonic() + within_s
    while not holds():
        assert monotonic() < end, f"{what}: not within {within_s} s"
        threading.Event().wait(0.02)


def pause(seconds: float) -> None:
    """How long a fault lasts."""
    threading.Event().wait(seconds)


def state_of(pid: int) -> str:
    """As in /proc: "Z" or nothing for one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Stage:
    """Who plays: `home` workers of the server, `away` workers of an agent, and a trainer; epoch after epoch."""

    def __init__(self, home: int, away: int) -> None:
        self.home, self.away = home, away
        self.dice = random.Random(0)
        self.plays = 0
        self.start = Start("plain", "")
        self.again = False  #: Whether what comes next may be what came last: it was not acknowledged.
        self.outcomes: list[str] = []
        self.stopped: set[int] = set()
        self.others: list[subprocess.Popen[str]] = []
        self._all = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hr-chaos-")))
            self.daemon = stack.enter_context(Daemon((f"--workers={self.home}", *OPTIONS), tcp=True))
            self.trainers = stack.enter_context(Proxy(self.daemon.port))
            self.hosts = stack.enter_context(Proxy(self.daemon.port))
            if self.away:
                self.join()
            self.trainer = self._trainer()
            stack.callback(self._clear)
            self._all = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.__exit__(kind, error, trace)

    def _clear(self) -> None:
        """All that somebody else does not end: who was stopped could not."""
        for pid in self.stopped:
            if state_of(pid) == "T":
                os.kill(pid, signal.SIGCONT)
        self.trainer.kill()
        for process in self.others:
            process.kill()
            process.wait()

    # Who is there.

    @property
    def server(self) -> int:
        """The server's pid."""
        assert self.daemon.server is not None
        return self.daemon.server.pid

    @property
    def agent(self) -> int:
        """The agent's pid."""
        return self.daemon.agents[-1].pid

    def workers(self, of: int) -> list[int]:
        """Pids of the living workers of the server or the agent; waits for one."""
        found: list[int] = []

        def there() -> list[int]:
            found[:] = [pid for pid in descendants(of) if "worker-process" in command_of(pid)]
            return found

        until(there, "a worker")
        return found

    def line(self, place: str) -> tuple[Proxy, Choice]:
        """The proxy with the lines of the trainer, the agent or its workers, once they stand; and which they are."""
        owners: Callable[[], list[int]] = {
            "trainer": lambda: [self.trainer.pid],
            "agent": lambda: [self.agent],
            "workers": lambda: self.workers(self.agent),
        }[place]
        proxy = self.trainers if place == "trainer" else self.hosts
        until(lambda: {owner_of(line.port) for line in list(proxy.lines)} & set(owners()), f"a line of the {place}")
        pids = set(owners())
        return proxy, lambda line: owner_of(line.port) in pids

    # Who comes and goes.

    def join(self) -> None:
        """An agent comes, by way of the proxy."""
        self.daemon.join(max(1, self.away), f"tcp://127.0.0.1:{self.hosts.port}")

    def bury_agent(self) -> None:
        """Forget the agent, which has ended or does so."""
        self.daemon.agents.pop().wait(30)

    def revive_server(self) -> None:
        """Start the server that has ended, or is about to, once more."""
        self.daemon.wait(30)
        self.daemon.start()

    def another_trainer(self) -> None:
        """Another trainer begins the epoch anew, or goes on: with a job of this name, or from the newest token."""
        self.trainer.kill()
        start = self.start
        if start.save:
            token = max(
                at for at in range(0, len(self.outcomes) + 1, EACH) if not at or (self.place / f"token-{at}").exists()
            )
            start = replace(start, token=token)
            del self.outcomes[token:]
        elif start.name:
            self.again = True
        else:
            self.outcomes.clear()
        self.trainer = self.new_trainer(start)

    def _watch(self) -> None:
        """Until the trainer has an answer: who has ended meanwhile is started again, as systemd does."""
        if not self.trainer.asked:
            self.trainer.ask()
        waited_s = 0.0
        while not self.trainer.answered(0.5) and waited_s < ANSWER_S:
            waited_s += 0.5
            if self.daemon.server is not None and self.daemon.server.poll() is not None:
                self.revive_server()
            if self.daemon.agents and self.daemon.agents[-1].poll() is not None:
                self.bury_agent()
                self.join()

    def _forget_from(self, outcome: str) -> None:
        """What a killed trainer had not acknowledged comes again: the last one, and those whose words went with it."""
        self.again = False
        last = self.outcomes[-UNHEARD:]
        if outcome in last:
            del self.outcomes[len(self.outcomes) - len(last) + last.index(outcome) :]

    def new_trainer(self, start: Start) -> Trainer:
        """One that begins so."""
        trainer = self._trainer()
        trainer.begin(start)
        return trainer

    def _trainer(self) -> Trainer:
        address, key = f"tcp://127.0.0.1:{self.trainers.port}", self.daemon.keys / "trainer.key"
        return Trainer([address, str(key)], self.daemon.environment)

    @property
    def place(self) -> Path:
        """Where the pipeline of the epoch at hand has its files."""
        return self.folder / str(self.plays)

    def stop(self, pid: int, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        self.stopped.add(pid)
        os.kill(pid, signal.SIGSTOP)
        pause(seconds)
        with suppress(ProcessLookupError):  # one that holds a lease for too long is ended
            os.kill(pid, signal.SIGCONT)

    # What is seen.

    def play(self, pipeline: str, harm: Harm, strikes: int, seed: str, *, named: bool, save: bool) -> list[str]:
        """All outcomes of the epoch, with harm done at so many moments of it.

        Whether the job has a name, and whether the trainer saves tokens.
        """
        self.dice, self.outcomes, self.again = random.Random(seed), [], False
        self.plays += 1
        self.place.mkdir()
        self.start = Start(pipeline, str(self.place), f"play-{self.plays}" if named else "", save)
        self.trainer.begin(self.start)
        moments = sorted(self.dice.sample(range(10, 150), strikes))
        if not self.home + self.away:
            moments = [0]  # nothing can be computed before that
        undo: Undo | None = None
        over = 0
        while True:
            self.trainer.ask()
            if undo is not None and len(self.outcomes) >= over:
                undo()
                undo = None
            if undo is None and moments and len(self.outcomes) >= moments[0]:
                over = moments.pop(0) + LASTS
                undo = harm(self)
            self._watch()
            outcome = self.trainer.answer()
            if outcome is None:
                break
            if self.again:
                self._forget_from(outcome)
            self.outcomes.append(outcome)
        if undo is not None:
            undo()
        return self.outcomes


def descendants(of: int) -> Iterator[int]:
    """Pids of the processes that a process has started, and that these have started."""
    try:
        children = Path(f"/proc/{of}/task/{of}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return
    for pid in map(int, children.split()):
        yield pid
        yield from descendants(pid)


def command_of(pid: int) -> str:
    """The command line of a living process."""
    try:
        return "" if state_of(pid) in ("", "Z") else Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
