"""The workers, played: they come and go, one at a time or all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from headrace.events import Dead, From, Gone
from headrace.pipeline.messages import VERSION, Bye, Hello, Message
from headrace.pipeline.nodes import Node
from headrace.pipeline.work import Appetite
from headrace.workers.machine import WorkerSession

from .timeline import Timeline
from .weather import Network, Weather
from .worker import Killed, SimulatedWorker

__all__ = ["Crew"]


@dataclass
class Crew:
    """All workers of a cluster; those that die are replaced, up to the number that is wanted."""

    graph: Node
    seed: int
    piece: int  #: Elements of one piece.
    wanted: int
    weather: Weather
    timeline: Timeline
    network: Network
    tell_server: Callable[[Any], None]
    workers: dict[str, SimulatedWorker] = field(default_factory=dict)
    names: count[int] = field(default_factory=count)
    crashes: int = 0
    killings: int = 0  #: Those by elements.
    scalings: int = 0

    def fill_up(self) -> None:
        """Start as many as are missing."""
        while len(self.workers) < self.wanted:
            name = f"worker-{next(self.names)}"
            session = WorkerSession(hello=Hello(VERSION, "worker", name, 0, {}))
            appetite = Appetite(elements=self.piece, seconds=1e9)
            self.workers[name] = SimulatedWorker(session, self.graph, self.seed, appetite)
            self._work(name, 0)

    def crash(self, name: str, executing: tuple[int, int] | None = None) -> None:
        """One dies, and whoever started it says so."""
        if self.workers.pop(name, None) is not None:
            self.crashes += 1
            self.timeline.at(0.05, lambda: self.tell_server(Dead(name, executing)))
            self.timeline.at(self.weather.dice.uniform(0.0, 0.5), self.fill_up)

    def scale(self, wanted: int) -> None:
        """So many from now on. Some of those that leave say so; the hosts of others are gone without a word."""
        self.wanted, self.scalings = wanted, self.scalings + 1
        while len(self.workers) > wanted:
            name = self.weather.dice.choice(sorted(self.workers))
            del self.workers[name]
            if self.weather.dice.random() < 0.5:
                self.say(name, Bye(), [])
        self.fill_up()

    def stop(self, name: str, seconds: float) -> None:
        """One is stopped, holding what it holds, and goes on later."""
        self.workers[name].stopped_until = self.timeline.now + seconds

    def tell(self, name: str, message: Message, buffers: list[bytes]) -> None:
        """The server said something to one of them."""
        if (worker := self.workers.get(name)) is None:
            self.timeline.at(0.01, lambda: self.tell_server(Gone(name)))
            return
        worker.inbox.append((message, buffers))
        if worker.idle:
            worker.idle = False
            self._next_turn(name, worker, 0.02)

    def say(self, name: str, message: Message, buffers: list[bytes]) -> None:
        """One of them says something."""
        self.network.send(lambda: self.tell_server(From(name, message, buffers)))

    def turn(self, name: str) -> None:
        """One of them goes on for a while, unless it is stopped or dies of it."""
        worker = self.workers[name]
        if self.timeline.now < worker.stopped_until:
            return
        try:
            for said in worker.turn(self.timeline.now):
                self.say(name, *said)
        except Killed:
            self.killings += 1
            self.crash(name, worker.executing)

    def _work(self, name: str, turn: int) -> None:
        worker = self.workers.get(name)
        if worker is not None and worker.turns == turn:
            self.turn(name)
            self._next_turn(name, worker, 0.3 if worker.idle else 0.02)

    def _next_turn(self, name: str, worker: SimulatedWorker, most_s: float) -> None:
        worker.turns += 1
        turn = worker.turns
        self.timeline.at(self.weather.dice.uniform(0.1 * most_s, most_s), lambda: self._work(name, turn))
