"""What is done to a cluster: each is a function of the stage. It may give back what ends the fault."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .proxy import FAIR, Side, Weather
from .stage import LEASE_S, Harm, Stage, Undo, command_of, pause, state_of, until

__all__ = [
    "LONG_S",
    "SHORT_S",
    "clear",
    "cut",
    "descriptors",
    "doubled",
    "ended",
    "forsaken",
    "late",
    "left",
    "lost",
    "memory",
    "nobody",
    "nothing",
    "nothing_more",
    "reset",
    "scribble",
    "second_server",
    "sent",
    "short_of",
    "shorten",
    "stalled",
    "stopped",
    "taken_over",
    "torn",
    "weathered",
    "worker_gone",
]

#: Longer than a lease, than ZeroMQ's heartbeats wait for an answer, and than the server waits for a silent trainer.
LONG_S = 7.0
SHORT_S = 0.7


def nothing(stage: Stage) -> None:
    """The pipeline harms itself."""


def victim(stage: Stage, place: str) -> int:
    """The pid of who is harmed."""
    match place:
        case "server":
            return stage.server
        case "agent":
            return stage.agent
        case "trainer":
            return stage.trainer.pid
        case "worker":
            return stage.dice.choice(stage.workers(stage.server))
        case _:
            return stage.dice.choice(stage.workers(stage.agent))


def replace(stage: Stage, place: str) -> None:
    """Who was ended is started again by whoever does that in life: its launcher, systemd, a person."""
    if place == "server":
        stage.revive_server()
    elif place == "agent":
        stage.bury_agent()
        stage.join()
    elif place == "trainer":
        stage.another_trainer()


def sent(number: signal.Signals, place: str) -> Harm:
    """A signal that ends a process."""

    def harm(stage: Stage) -> None:
        os.kill(victim(stage, place), number)
        replace(stage, place)

    return harm


def left(place: str) -> Harm:
    """Ended in good order, and started again."""

    def harm(stage: Stage) -> None:
        if place == "trainer":
            assert stage.trainer.answer() is not None
            assert stage.trainer.leave() == 0
            stage.another_trainer()
        else:
            os.kill(victim(stage, place), signal.SIGTERM)
            replace(stage, place)

    return harm


def taken_over(stage: Stage) -> None:
    """Another trainer comes with the name of a job, while its trainer is still at it."""
    first = stage.trainer
    outcome = first.answer()
    assert outcome is not None
    stage.outcomes.append(outcome)
    stage.trainer, stage.again = stage.new_trainer(stage.start), True
    stage.trainer.ask()
    assert stage.trainer.answered(60.0)
    first.ask()
    assert first.answer() == "FailedPreconditionError"
    first.kill()


def stopped(place: str, seconds: float) -> Harm:
    """SIGSTOP, and SIGCONT."""
    return lambda stage: stage.stop(victim(stage, place), seconds)


def dead(pid: int) -> bool:
    return state_of(pid) in ("", "Z")


def short_of(what: int, place: str, room: Callable[[int], int], then: Harm = nothing) -> Harm:
    """A process gets no more of something than it has, and `room(pid)` says how much that is; for a while."""

    def harm(stage: Stage) -> None:
        pid = victim(stage, place)
        before = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (room(pid), before[1]))
        then(stage)
        if place == "trainer":
            stage.trainer.answered(3.0)
        else:
            wait_s = 0.0
            while not dead(pid) and wait_s < 3.0:
                pause(0.1)
                wait_s += 0.1
        if dead(pid):
            replace(stage, place)
        else:
            resource.prlimit(pid, what, before)

    return harm


def memory(pid: int) -> int:
    """What it has of address space, in bytes, and a little."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + (1 << 20)


def descriptors(pid: int) -> int:
    """As many as it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def nothing_more(pid: int) -> int:
    """No byte."""
    return 0


# Lines.


def ended(place: str) -> Harm:
    """The connection is closed, and can be made again at once."""

    def harm(stage: Stage) -> None:
        proxy, of = stage.line(place)
        assert proxy.end(of)

    return harm


def reset(place: str) -> Harm:
    """RST to both ends."""

    def harm(stage: Stage) -> None:
        proxy, of = stage.line(place)
        assert proxy.reset(of)

    return harm


def forsaken(place: str, side: Side) -> Harm:
    """One end is closed, the other is not told."""

    def harm(stage: Stage) -> None:
        proxy, of = stage.line(place)
        assert proxy.forsake(side, of)

    return harm


def cut(place: str) -> Harm:
    """Closed after some more bytes, in the middle of a message."""

    def harm(stage: Stage) -> None:
        proxy, of = stage.line(place)
        assert proxy.cut(stage.dice.randrange(1, 500), stage.dice.choice(("up", "down")), of)

    return harm


def lost(place: str, seconds: float) -> Harm:
    """What is sent arrives nowhere, and nobody is told; also who connects anew waits in vain. For a while."""

    def harm(stage: Stage) -> None:
        proxy, of = stage.line(place)
        proxy.default |= dict.fromkeys(("up", "down"), Weather(lost=True))
        assert proxy.change(Weather(lost=True), of=of)
        pause(seconds)
        proxy.default |= dict.fromkeys(("up", "down"), FAIR)

    return harm


def stalled(place: str, seconds: float) -> Harm:
    """Nothing passes, and all of it later. For a while."""

    def harm(stage: Stage) -> None:
        proxy, of = stage.line(place)
        assert proxy.change(Weather(stalled=True), of=of)
        pause(seconds)
        proxy.heal()

    return harm


def weathered(place: str, weather: Weather) -> Harm:
    """Bytes travel so for some batches."""

    def harm(stage: Stage) -> Undo:
        proxy, of = stage.line(place)
        assert proxy.change(weather, of=of)
        return proxy.heal

    return harm


# The rest.


def torn(tear: Callable[[Path, random.Random], None]) -> Harm:
    """The server is killed, and what it wrote last is damaged, as where a machine loses power."""

    def harm(stage: Stage) -> None:
        os.kill(stage.server, signal.SIGKILL)
        stage.daemon.wait(30)
        tear(stage.daemon.place / "state" / "journal.sqlite-wal", stage.dice)
        stage.daemon.start()

    return harm


def shorten(log: Path, dice: random.Random) -> None:
    """Some of the end is missing."""
    size = log.stat().st_size
    assert size
    os.truncate(log, size - dice.randrange(1, max(2, size // 2)))


def scribble(log: Path, dice: random.Random) -> None:
    """Some of the end is something else."""
    size = log.stat().st_size
    assert size
    damaged = dice.randrange(1, max(2, size // 2))
    with log.open("r+b") as file:
        file.seek(size - damaged)
        file.write(dice.randbytes(damaged))


def clear(log: Path, dice: random.Random) -> None:
    """Some of the end is zeros, as of a file that had grown and not been written."""
    size = log.stat().st_size
    assert size
    blank = dice.randrange(1, max(2, size // 2))
    with log.open("r+b") as file:
        file.seek(size - blank)
        file.write(bytes(blank))


def doubled(place: str, stop: bool = False) -> Harm:
    """A second process with a worker's name and key; with `stop`, while the first one is stopped for long."""

    def harm(stage: Stage) -> Undo:
        pid = victim(stage, place)
        command = command_of(pid).split("\0")
        command = [each for each in command if each and not each.startswith(("--box=", "--lifeline="))]
        box = stage.folder / f"double-{len(stage.others)}.box"
        double = subprocess.Popen(
            [sys.executable, *command[1:], f"--box={box}"], env=stage.daemon.environment, text=True
        )
        stage.others.append(double)
        if stop:
            stage.stop(pid, LONG_S)
        return double.kill

    return harm


def second_server(same: str) -> Harm:
    """Another server with the same run directory, state or port; it is refused in words that say so."""

    def harm(stage: Stage) -> None:
        daemon = stage.daemon
        other, in_use = f"--run-dir={stage.place}", f"is in use by the server with pid {stage.server}"
        options, expected = {
            "run directory": ((f"--state-dir={stage.place}",), in_use),
            "state": ((other, f"--state-dir={daemon.place}/state"), in_use),
            "port": (
                (other, f"--state-dir={stage.place}", f"--listen={daemon.address}", f"--keys={daemon.keys}"),
                f"cannot listen on {daemon.address}: Address already in use",
            ),
        }[same]
        command = [sys.executable, "-m", "headrace", "serve", "--metrics=none", *options]
        done = subprocess.run(command, env=daemon.environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 2
        assert expected in done.stderr

    return harm


def nobody(how: signal.Signals) -> Harm:
    """All workers go with their agent; another one comes later."""

    def harm(stage: Stage) -> None:
        os.kill(stage.agent, how)
        stage.bury_agent()
        stage.trainer.answered(LEASE_S + 1.0)
        stage.join()

    return harm


def late(stage: Stage) -> None:
    """There were no workers; now they come."""
    stage.away = 2
    assert not stage.trainer.answered(1.0), "nobody can have computed this"
    stage.join()


def worker_gone(stage: Stage) -> None:
    """A worker of the agent is killed, where another one cannot be started."""
    pid = stage.dice.choice(stage.workers(stage.agent))
    os.kill(pid, signal.SIGKILL)
    until(lambda: dead(pid), "the end of a worker")
