"""A soak: processes are killed at random for as long as is asked for; epochs are checked, and what grows is measured.

    python bench/soak.py --minutes 30
    python bench/soak.py --minutes 30 --spare server

A server with workers of its own, an agent with more over TCP under keys, and trainers, each epoch after epoch.
Kills come at random intervals. At the end: do memory and descriptors grow, and is anything left?
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from census import Census, Trend, children
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from soak_trainer import digest_of, pipeline, write_shards

from headrace.pipeline.keys import make_client_key, make_server_key

HERE = Path(__file__).resolve().parent
#: About so many seconds between kills of each kind. A server has to live for a while, or its slope says nothing.
EVERY_S = {"server's worker": 12.0, "agent's worker": 12.0, "trainer": 90.0, "agent": 120.0, "server": 420.0}
#: What is looked at, and how often.
LOOK_S = 5.0
#: Of each job of a trainer; then it begins another.
EPOCHS = 3
#: What a step of training takes.
STEP_S = 0.01


@dataclass(slots=True)
class Kept:
    """A process that is started again when it ends."""

    role: str
    command: list[str]
    environment: dict[str, str]
    said: Callable[[str], None] | None = None
    process: subprocess.Popen[str] = field(init=False)
    lives: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Another life."""
        self.lives += 1
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if self.said is not None:
                    self.said(line)

    def keep(self) -> None:
        """Start it again where it has ended."""
        if self.process.poll() is not None:
            self.start()

    def end(self) -> int:
        """In good order; its status."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Cluster:
    """A server, an agent, trainers: each in a process of its own."""

    def __init__(self, place: Path, trainers: int) -> None:
        self.place, self.shards, self.keys = place, place / "shards", place / "keys"
        self.shards.mkdir()
        write_shards(self.shards)
        make_server_key(self.keys)
        make_client_key(self.keys, "trainer", ["submit"])
        make_client_key(self.keys, "host", ["worker"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.epochs: list[dict[str, Any]] = []
        self.garbled: list[str] = []
        self.server = self._headrace(
            "serve", f"--state-dir={place}/state", "--metrics=none", "--workers=2", f"--listen={self.address}",
            f"--keys={self.keys}", "--lease=10 s", "--idle=20 s", "--budget=32 MiB", "--split=256 KiB", "--grace=2 s",
        )  # fmt: skip
        self.agent = self._headrace("worker", f"--server={self.address}", "--workers=2", f"--key={self.keys}/host.key")
        self.trainers = [self._trainer(number) for number in range(trainers)]

    def _headrace(self, *words: str) -> Kept:
        return Kept(words[0], [sys.executable, "-m", "headrace", *words], self._environment())

    def _trainer(self, number: int) -> Kept:
        script, key, token = HERE / "soak_trainer.py", self.keys / "trainer.key", self.place / f"token-{number}"
        command = [sys.executable, *map(str, (script, self.address, key, self.shards, EPOCHS, STEP_S, token))]
        return Kept("trainer", command, self._environment(), self._heard)

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(HERE.parent), str(HERE)])
        return {**os.environ, "HEADRACE_RUN_DIR": str(self.place), "PYTHONPATH": path}

    def _heard(self, line: str) -> None:
        try:
            self.epochs.append(json.loads(line))
        except json.JSONDecodeError:
            self.garbled.append(line)  # half a line of one that was killed

    @property
    def kept(self) -> list[Kept]:
        """All that are started again."""
        return [self.server, self.agent, *self.trainers]

    def roles(self) -> dict[str, list[int]]:
        """Pids by what they are."""
        server, agent = self.server.process.pid, self.agent.process.pid
        return {
            "server": [server],
            "server's worker": children(server),
            "agent": [agent],
            "agent's worker": children(agent),
            "trainer": [each.process.pid for each in self.trainers],
        }

    def end(self) -> dict[str, int]:
        """In good order; how they ended."""
        return {f"{each.role} {each.process.pid}": each.end() for each in reversed(self.kept)}


def soak(cluster: Cluster, minutes: float, dice: random.Random, spared: Sequence[str]) -> tuple[Census, Counter[str]]:
    """Kill, but nobody of the roles that are spared, and look, until the time is over."""
    census, killed = Census(), Counter[str]()
    now = time.monotonic()
    over, looked = now + 60 * minutes, now
    roles = {role: every for role, every in EVERY_S.items() if role not in spared}
    due = {role: now + 20 + dice.expovariate(1 / every) for role, every in roles.items()}
    while (now := time.monotonic()) < over:
        for kept in cluster.kept:
            kept.keep()
        for role, when in due.items():
            if now >= when and (pids := cluster.roles()[role]):
                os.kill(dice.choice(pids), signal.SIGKILL)
                killed[role] += 1
                due[role] = now + dice.expovariate(1 / EVERY_S[role])
        if now - looked >= LOOK_S:
            looked = now
            census.look(cluster.roles())
        threading.Event().wait(0.2)
    return census, killed


def left_of(place: Path, shared: set[str]) -> list[str]:
    """Processes that name the folder, files where sockets and boxes lay, shared memory that was not there before."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            command = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(place) in command and int(each.name) != os.getpid():
            found.append(f"process {each.name}: {command}")
    run = place / f"headrace-{os.getuid()}"
    # Who held the folder stays there on purpose: to remove the file would let two servers hold one of the same name.
    found += [f"file {path}" for path in run.rglob("*") if not path.is_dir() and path.name not in ("pid", "pids")]
    return found + [f"shared memory {name}" for name in set(os.listdir("/dev/shm")) - shared if "headrace" in name]


def view(trends: list[Trend], title: str) -> Table:
    """One row a role."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    headings = ("role", "lives", "mean MB", "most MB", "MB/h", "most fds", "fds/h", "longest s", "its MB/h")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "role" else "right")
    for trend in trends:
        table.add_row(*(str(getattr(trend, each.name)) for each in fields(trend)))
    return table


def main() -> None:
    """Soak, and report; exit code 1 where an epoch differs or something is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--trainers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of who is killed when")
    parser.add_argument(
        "--spare", action="append", default=[], choices=list(EVERY_S), help="never killed, so that its slope tells"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    shared, place = set(os.listdir("/dev/shm")), Path(tempfile.mkdtemp(prefix="hr-soak-"))
    try:
        report = run(arguments, place, shared)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    arguments.out.mkdir(exist_ok=True)
    path = arguments.out / f"soak-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(report, indent=1))
    print(f"written to {path}")
    if report["wrong"] or report["left"] or not report["epochs"]:
        raise SystemExit(1)


def run(arguments: argparse.Namespace, place: Path, shared: set[str]) -> dict[str, Any]:
    """The soak and what it found."""
    cluster = Cluster(place, arguments.trainers)
    try:
        dataset = pipeline(str(cluster.shards))
        expected = {epoch: list(digest_of(dataset.iterate(epoch))) for epoch in range(EPOCHS)}
        census, killed = soak(cluster, arguments.minutes, random.Random(arguments.seed), arguments.spare)
    finally:
        statuses = cluster.end()
    wrong = [each for each in cluster.epochs if [each["batches"], each["digest"]] != expected[each["epoch"]]]
    left = left_of(place, shared)
    trends = census.trends(after_s=min(120.0, 12 * arguments.minutes))
    console = Console(width=120)
    console.print(view(trends, f"{arguments.minutes:g} minutes, killed: {dict(killed)}"))
    console.print(f"{len(cluster.epochs)} epochs, {len(wrong)} of them wrong; left: {left or 'nothing'}")
    return {
        "minutes": arguments.minutes,
        "seed": arguments.seed,
        "spared": arguments.spare,
        "killed": killed,
        "epochs": len(cluster.epochs),
        "wrong": wrong,
        "left": left,
        "statuses": statuses,
        "trends": [asdict(trend) for trend in trends],
        "samples": [asdict(life) for life in census.lives.values()],
    }


if __name__ == "__main__":
    main()
