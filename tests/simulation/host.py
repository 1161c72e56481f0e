"""The server's process, played: its machine, its disk, and its deaths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headrace.events import Action, End, Examine, Journal, Look, Seen, Tick, To
from headrace.facts import Memory
from headrace.pipeline.messages import Message
from headrace.scanning import look
from headrace.server import Server

from .disk import TORN, Disk
from .timeline import Timeline
from .weather import Lost, Weather

__all__ = ["Host"]

#: Files are cut into splits of about so many bytes.
CUT_BYTES = 60


@dataclass
class Host:
    """One server after another, each with what its last one left on the disk."""

    make: Callable[[int, Memory], Server]  #: From an incarnation and what it remembers.
    weather: Weather
    timeline: Timeline
    post: Callable[[str, Message, list[bytes]], None]  #: To a peer.
    end: Callable[[str], None]  #: A worker's process.
    disk: Disk = field(default_factory=Disk)
    server: Server | None = None
    incarnation: int = 0
    crashes: int = 0
    parked: int = 0  #: Runs that were stopped because their client was gone.
    recovered: set[tuple[int, Any, int]] = field(default_factory=set)

    def start(self) -> None:
        """The next one."""
        self.incarnation += 1
        self.server = self.make(self.incarnation, self.disk.next_life())
        self.tell(Tick(self.timeline.now))

    def crash(self) -> None:
        """It is gone; the next one comes soon."""
        self.crashes += 1
        self.server = None
        self.disk.crash()
        if self.weather.strikes(self.weather.faults.power_cuts):
            self.disk.tear(self.weather.dice.randint(1, TORN))
        self.timeline.at(self.weather.dice.uniform(0.0, 1.0), self.start)

    def tell(self, event: Any) -> None:
        """Something happens to it, if it is there. Now and then it dies in the middle of doing what it decided."""
        server = self.server
        if server is None:
            return
        running = len(server.broker.runs)
        actions = server.handle(event)
        server.coordinator.check()
        if len(server.broker.runs) > 2:
            raise Lost(f"more than two epochs at a time: {sorted(server.broker.runs)}")
        self.parked += isinstance(event, Tick) and len(server.broker.runs) < running
        self._note_recoveries(server)
        cut = len(actions)
        if actions and self.weather.strikes(self.weather.faults.server_crashes / 200):
            cut = self.weather.dice.randrange(len(actions))
        for action in actions[:cut]:
            self._perform(action)
        if cut < len(actions):
            self.crash()
        elif self.weather.strikes(self.weather.faults.compactions):
            self.compact()

    def compact(self) -> None:
        """The journal is made small, between two events."""
        if self.server is not None:
            self.disk.compact(self.server.memory)

    def _perform(self, action: Action) -> None:
        match action:
            case Journal(fact):
                self.disk.write(fact)
            case To(peer, message, buffers):
                self.disk.commit()
                self.disk.allows(message)
                self.post(peer, message, [np.ascontiguousarray(each).tobytes() for each in buffers])
            case Look(scan):
                self.timeline.at(0.01, lambda: self.tell(look(scan, CUT_BYTES)))
            case End(peer, _):
                self.end(peer)
            case Examine(peer):
                self.timeline.at(0.01, lambda: self.tell(Seen(peer)))

    def _note_recoveries(self, server: Server) -> None:
        for key, run in server.broker.runs.items():
            name = (self.incarnation, key, run.epoch)
            if run.state is None or name in self.recovered:
                continue
            if run.state["held"]["count"]:
                self.recovered.add(name)
