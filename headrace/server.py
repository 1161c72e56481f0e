"""The server's machine: coordinator and broker together, told apart from their peers' point of view.

Pure, as its parts are: what comes in is a message from a peer, a death, a file's boundaries or the time;
what comes out is messages, facts for the journal, files to scan and processes to end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .broker import machine as broker_machine
from .broker.book import Book, Fact
from .broker.machine import Broker
from .broker.run import Limits
from .coordinator import machine as coordinator_machine
from .coordinator.machine import Coordinator, Died, Executing, Silent
from .pipeline.errors import MalformedMessage, ProtocolError, ServiceError, to_data
from .pipeline.messages import (
    Bye,
    Heartbeat,
    Hello,
    Message,
    Pieces,
    Program,
    Refused,
    Revoke,
    Stale,
    Waiting,
    Welcome,
    WhatIs,
)
from .pipeline.nodes import Node
from .pipeline.orders import Granted, Order, Release, Scan, Scanned, Want, Withdrawn
from .pipeline.pieces import payload_buffers

__all__ = [
    "Action",
    "Dead",
    "End",
    "Event",
    "Examine",
    "From",
    "Journal",
    "Look",
    "Seen",
    "Server",
    "Tick",
    "To",
    "Trouble",
]


@dataclass(frozen=True, slots=True)
class From:
    """A peer said something."""

    peer: str
    message: Message
    buffers: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Dead:
    """A worker's process has ended, how, and what it was executing: split and position."""

    peer: str
    executing: tuple[int, int] | None = None
    cause: str = "the process ended"


@dataclass(frozen=True, slots=True)
class Seen:
    """The answer to Examine: what the worker is executing, split and position, or nothing."""

    peer: str
    executing: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no worker can be kept running; None once that is over. Who waits is told."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now: float


Event: TypeAlias = From | Dead | Seen | Trouble | Tick | Scanned


@dataclass(frozen=True, slots=True)
class To:
    """To a peer."""

    peer: str
    message: Message
    buffers: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """To disk, before anything that follows."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Look:
    """See where a file can be cut, and come back with Scanned."""

    scan: Scan


@dataclass(frozen=True, slots=True)
class End:
    """End a worker's process; a fresh one is to take its place."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Examine:
    """See what a silent worker of ours is executing, and come back with Seen."""

    peer: str


Action: TypeAlias = To | Journal | Look | End | Examine


@dataclass(slots=True)
class Server:
    """Coordinator and broker in one, and who is connected."""

    coordinator: Coordinator
    broker: Broker
    heartbeat_s: float = 1.0
    versions: dict[str, dict[str, str]] = field(default_factory=dict)  #: Of each connected worker.
    orders: deque[Order] = field(default_factory=deque)
    trouble: str | None = None

    @classmethod
    def new(
        cls,
        incarnation: int,
        decode: Callable[[bytes], Node],
        book: Book | None = None,
        limits: Limits | None = None,
        lease_s: float = 30.0,
        heartbeat_s: float = 1.0,
        slots: int = 2,
    ) -> Server:
        """A server that knows what the book says."""
        broker = Broker(incarnation=incarnation, decode=decode, book=book or Book(), limits=limits or Limits())
        return cls(Coordinator(incarnation=incarnation, lease_s=lease_s, slots=slots), broker, heartbeat_s)

    def handle(self, event: Event) -> list[Action]:
        """What to do about an event."""
        actions = list(self._react(event))
        while self.orders:
            actions += self._order(self.orders.popleft())
        return actions

    def _react(self, event: Event) -> Iterator[Action]:
        match event:
            case From(peer, message, buffers):
                yield from self._hear(peer, message, buffers)
            case Dead(peer, executing, cause):
                self.versions.pop(peer, None)
                yield from self._coordinate(Died(peer, Executing(*executing) if executing else None, cause))
            case Seen(peer, executing):
                yield from self._coordinate(Silent(peer, Executing(*executing) if executing else None))
            case Trouble(reason):
                self.trouble = reason
            case Scanned():
                yield from self._broke(event)
            case Tick(now):
                yield from self._coordinate(coordinator_machine.Tick(now))
                yield from self._broke(broker_machine.Tick(now))

    def _hear(self, peer: str, message: Message, buffers: Sequence[Any]) -> Iterator[Action]:
        match message:
            case Hello():
                yield from self._meet(peer, message)
            case Pieces() | Heartbeat() | Bye() | WhatIs() if peer not in self.coordinator.workers:
                yield To(peer, Stale(self.coordinator.incarnation))
            case Pieces(split, attempt):
                yield from self._coordinate(coordinator_machine.Heard(peer, message))
                try:
                    yield from self._broke(broker_machine.FromWorker(peer, message, buffers))
                except MalformedMessage as error:
                    yield To(peer, Refused(to_data(error)))
                    yield To(peer, Revoke(split, attempt))
                    yield from self._coordinate(Died(peer))
            case WhatIs(job):
                if job in self.broker.book.jobs:
                    entry = self.broker.book.jobs[job]
                    yield To(peer, Program(job, entry.graph, entry.seed))
            case Heartbeat() | Bye():
                yield from self._coordinate(coordinator_machine.Heard(peer, message))
            case _:
                yield from self._broke(broker_machine.FromClient(peer, message))

    def _meet(self, peer: str, message: Hello) -> Iterator[Action]:
        if message.role not in ("worker", "client"):
            yield To(peer, Refused(to_data(ProtocolError(f"a {message.role!r} is unknown here: worker or client"))))
            return
        yield To(peer, Welcome(self.coordinator.incarnation, self.heartbeat_s))
        if message.role == "worker":
            self.versions[peer] = message.versions
            yield from self._coordinate(coordinator_machine.Joined(peer))

    def _order(self, order: Order) -> Iterator[Action]:
        """What one part tells the other."""
        match order:
            case Want() | Release():
                yield from self._coordinate(order)
            case Granted() | Withdrawn():
                yield from self._broke(order)
            case Scan():
                yield Look(order)

    def _coordinate(self, event: coordinator_machine.Event) -> Iterator[Action]:
        for action in self.coordinator.handle(event):
            match action:
                case coordinator_machine.Send(worker, message, payload):
                    yield To(worker, message, payload_buffers(payload) if payload is not None else ())
                case coordinator_machine.Notify(order):
                    self.orders.append(order)
                case coordinator_machine.Kill(worker, reason):
                    yield End(worker, reason)
                case coordinator_machine.Examine(worker):
                    yield Examine(worker)

    def _broke(self, event: broker_machine.Event) -> Iterator[Action]:
        for action in self.broker.handle(event):
            match action:
                case broker_machine.Record(fact):
                    yield Journal(fact)
                case broker_machine.Reply(peer, Waiting()) if self.trouble is not None:
                    yield To(peer, Refused(to_data(ServiceError(self.trouble))))
                case broker_machine.Reply(peer, Waiting(session, reason)):
                    yield To(peer, Waiting(session, self.coordinator.why_waiting() or reason))
                case broker_machine.Reply(peer, message, block):
                    yield To(peer, message, [block.buffer] if block is not None else ())
                case broker_machine.Tell(worker, message):
                    yield To(worker, message)
                case broker_machine.Ask(order):
                    self.orders.append(order)
