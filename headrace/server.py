"""The server's machine: coordinator and broker together, told apart from their peers' point of view.

Pure, as its parts are: what comes in is a message from a peer, a death, a file's boundaries or the time;
what comes out is messages, facts for the journal, files to scan and processes to end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .broker import machine as broker_machine
from .broker.actions import Answered, AskFile
from .broker.actions import Quarantine as Quarantined
from .broker.book import Closed, EpochOpened, Left
from .broker.machine import Broker
from .broker.run import Limits
from .coordinator import machine as coordinator_machine
from .coordinator.machine import Coordinator, Died, Executing, Over, Silent
from .events import (
    Action,
    Dead,
    End,
    Ending,
    Event,
    Examine,
    Finish,
    From,
    Gone,
    Journal,
    Look,
    Quarantine,
    Report,
    Said,
    Seen,
    Store,
    Tick,
    To,
    Trouble,
    Unkept,
)
from .facts import Fact, Memory
from .pipeline.errors import MalformedMessage, ProtocolError, ServiceError, to_data
from .pipeline.messages import (
    AskFiles,
    AskStatus,
    Bye,
    Close,
    Heartbeat,
    Hello,
    Inspect,
    Inspected,
    Kill,
    Lost,
    Message,
    Open,
    Pieces,
    Printed,
    Program,
    Refused,
    Register,
    Registered,
    Revoke,
    Sampled,
    Stale,
    Stop,
    Stopping,
    Waiting,
    Welcome,
    WhatIs,
)
from .pipeline.nodes import Node
from .pipeline.orders import Granted, Order, Release, Scan, Scanned, Shelve, Want, Withdrawn
from .pipeline.pieces import payload_buffers
from .pipeline.roots import Roots
from .survey import Surveys
from .users import RootsOf, everywhere, own_key, refusal, their_key, user_of
from .whereabouts import Whereabouts

__all__ = ["Server"]


#: Of what workers print a client is sent so many characters until it says something itself.
PRINTED_MOST = 256 << 10
#: A launcher of workers elsewhere that said nothing for so long is forgotten.
LAUNCHER_S = 60.0
MORE = "(more than is shown here: see the output of the server, or of the `headrace worker` that runs it)"


@dataclass(slots=True)
class Met:
    """What a worker said of itself."""

    versions: dict[str, str]
    launcher: str  #: The peer that started it; nothing where that is the server.
    busy_s: float = 0.0
    parked_s: float = 0.0


@dataclass(slots=True)
class Server:
    """Coordinator and broker in one, and who is connected."""

    coordinator: Coordinator
    broker: Broker
    heartbeat_s: float = 1.0
    met: dict[str, Met] = field(default_factory=dict)  #: Of each connected worker.
    launchers: dict[str, str] = field(default_factory=dict)  #: From peer to the name that its workers give.
    launchers_at: dict[str, float] = field(default_factory=dict)  #: When each last spoke.
    orders: deque[Order] = field(default_factory=deque)
    trouble: str | None = None
    ending: float | None = None  #: The grace in seconds, once the server is to end.
    roots_of: RootsOf = everywhere  #: What each user's jobs may read.
    surveys: Surveys = field(default_factory=Surveys)
    whereabouts: Whereabouts = field(default_factory=Whereabouts)

    @classmethod
    def new(
        cls,
        incarnation: int,
        decode: Callable[[bytes], Node],
        memory: Memory | None = None,
        limits: Limits | None = None,
        lease_s: float = 30.0,
        heartbeat_s: float = 1.0,
        slots: int = 2,
        idle_s: float = 300.0,
    ) -> Server:
        """A server that knows what was so in its last life."""
        known = memory or Memory()
        broker = Broker(
            incarnation=incarnation, decode=decode, book=known.book, limits=limits or Limits(), idle_s=idle_s
        )
        coordinator = Coordinator(incarnation=incarnation, lease_s=lease_s, slots=slots, strikes=known.strikes)
        return cls(coordinator, broker, heartbeat_s)

    @property
    def memory(self) -> Memory:
        """All that must survive a death: its `facts()` can take the place of all that were journaled before."""
        return Memory(self.broker.book, self.coordinator.strikes)

    def handle(self, event: Event) -> list[Action]:
        """What to do about an event."""
        self.broker.workers = len(self.coordinator.workers)
        actions = list(self._react(event))
        while self.orders:
            actions += self._order(self.orders.popleft())
        return actions

    def _react(self, event: Event) -> Iterator[Action]:
        match event:
            case From(peer, message, buffers, admin):
                if (error := self._not_theirs(peer, message, admin)) is not None:
                    yield To(peer, Refused(to_data(error)))
                else:
                    yield from self._hear(peer, message, buffers)
            case Dead(peer, executing, cause):
                self.met.pop(peer, None)
                yield from self._coordinate(Died(peer, Executing(*executing) if executing else None, cause))
            case Gone(peer) if peer in self.coordinator.workers:
                yield from self._react(Dead(peer))
            case Gone(peer):
                yield from self._broke(broker_machine.Gone(peer))
            case Seen(peer, executing):
                yield from self._coordinate(Silent(peer, Executing(*executing) if executing else None))
            case Trouble(reason):
                self.trouble = reason
            case Said(worker, text):
                yield from self._show(worker, text)
            case Unkept(job, text):
                for talk in self.broker.talks(job).values():
                    yield To(talk.peer, Printed("server", text))
            case Ending(grace_s, reason):
                self.ending, self.broker.prefill = grace_s, False
                yield from self._tell_clients(Stopping(grace_s, reason))
            case Scanned() | Answered():
                yield from self._broke(event)
            case Tick(now):
                self._note_leases(now)
                self._forget_launchers(now)
                yield from self.surveys.tick(now)
                yield from self._coordinate(coordinator_machine.Tick(now))
                yield from self._broke(broker_machine.Tick(now))

    def _hear(self, peer: str, message: Message, buffers: Sequence[Any]) -> Iterator[Action]:
        match message:
            case Hello():
                yield from self._meet(peer, message)
            case Lost() | Inspected() | Printed() | Heartbeat() if peer in self.launchers:
                yield from self._launcher(peer, message)
            case Bye() if peer in self.launchers:
                del self.launchers[peer], self.launchers_at[peer]
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
                    yield To(peer, Program(job, entry.graph, entry.seed, self.roots_in(job).to_data()))
            case Heartbeat() | Bye():
                self._note(peer, message)
                yield from self._coordinate(coordinator_machine.Heard(peer, message))
            case AskFiles(paths) if all(isinstance(each, str) for each in paths):
                now, workers = self.coordinator.now, sorted(self.coordinator.workers)
                yield from self.surveys.ask(peer, message, workers, self.roots_of(user_of(peer)), now)
            case Sampled():
                yield from self.surveys.hear(peer, message, self.coordinator.now)
            case AskStatus():
                yield Report(peer)
            case Stop(grace_s):
                yield To(peer, Stopping(grace_s))
                yield Finish(grace_s)
            case Register() | Open() if self.ending is not None and self._begins(peer, message):
                yield To(peer, Stopping(self.ending))
            case Register(key):
                named = replace(message, key=own_key(peer, key))
                yield from self._broke(broker_machine.FromClient(peer, named))
            case Close():
                yield from self._broke(broker_machine.FromClient(peer, message))
                yield To(peer, Bye())
            case _:
                yield from self._broke(broker_machine.FromClient(peer, message))

    def _not_theirs(self, peer: str, message: Message, admin: bool) -> ProtocolError | None:
        """Why a peer may not say this, as where it is about another user's job; an admin may close any."""
        match message:
            case Close() if admin:
                return None
            case Open() | Close():
                job = message.job
            case _:
                session = getattr(message, "session", None)
                if session is None:
                    return None
                job = session[2]
        entry = self.broker.book.jobs.get(job)
        return None if entry is None else refusal(peer, user_of(entry.key), message)

    def roots_in(self, job: int) -> Roots:
        """What a job may read."""
        entry = self.broker.book.jobs.get(job)
        return Roots(()) if entry is None else self.roots_of(user_of(entry.key))

    def _meet(self, peer: str, message: Hello) -> Iterator[Action]:
        if message.role not in ("worker", "launcher", "client"):
            known = "worker, launcher or client"
            yield To(peer, Refused(to_data(ProtocolError(f"a {message.role!r} is unknown here: {known}"))))
            return
        if message.role != "client" and not _bears(peer, message.name):
            error = ProtocolError(f"{peer!r} says that it is {message.name!r}: a {message.role} is named as its socket")
            yield To(peer, Refused(to_data(error)))
            return
        yield To(peer, Welcome(self.coordinator.incarnation, self.heartbeat_s))
        if message.role == "launcher":
            self.launchers[peer], self.launchers_at[peer] = message.name, self.coordinator.now
        elif message.role == "worker":
            launcher = peer.removesuffix(message.name) + message.launcher if message.launcher else ""
            self.met = {name: met for name, met in self.met.items() if name in self.coordinator.workers}
            self.met[peer] = Met(message.versions, launcher)
            yield from self._coordinate(coordinator_machine.Joined(peer, message.fresh))

    def _launcher(self, peer: str, message: Message) -> Iterator[Action]:
        """A launcher speaks of the workers that it started: as peers they have its prefix, that of its user."""
        prefix = peer.removesuffix(self.launchers[peer])
        self.launchers_at[peer] = self.coordinator.now
        match message:
            case Lost(worker, executing, cause):
                yield from self._react(Dead(prefix + worker, _place(executing), cause))
            case Heartbeat():
                yield To(peer, Welcome(self.coordinator.incarnation, self.heartbeat_s))
            case Inspected(worker, executing):
                yield from self._react(Seen(prefix + worker, _place(executing)))
            case Printed(worker, text):
                yield from self._show(prefix + worker, text)

    def _note(self, worker: str, message: Message) -> None:
        if isinstance(message, Heartbeat) and worker in self.met:
            self.met[worker].busy_s, self.met[worker].parked_s = message.busy_s, message.parked_s

    def _begins(self, peer: str, message: Register | Open) -> bool:
        """Whether this would begin something, rather than go on with it."""
        if isinstance(message, Register):
            return own_key(peer, message.key) not in self.broker.book.numbers
        entry = self.broker.book.jobs.get(message.job)
        return entry is not None and self.broker.begins(entry, message)

    @property
    def busy(self) -> bool:
        """Whether a client that is there is in the middle of an epoch."""
        talks = (talk for talk in self.broker.conversations.values() if talk.gone is None)
        return any(self.broker.runs[talk.run].busy for talk in talks)

    def _tell_clients(self, message: Message) -> Iterator[Action]:
        """All that are in an epoch."""
        for talk in self.broker.conversations.values():
            yield To(talk.peer, message)

    def _show(self, worker: str, text: str) -> Iterator[Action]:
        """To those whose jobs the worker is at; to a loop that does not come only so much: it lies in its memory."""
        jobs = self.whereabouts.jobs(worker, self.coordinator.now) | self._held(worker)
        for (job, _), talk in self.broker.conversations.items():
            if job in jobs and talk.printed < PRINTED_MOST:
                talk.printed += len(text)
                yield To(talk.peer, Printed(worker, text))
                if talk.printed >= PRINTED_MOST:
                    yield To(talk.peer, Printed(worker, MORE))

    def _held(self, worker: str) -> set[int]:
        """The jobs of which a worker holds a lease."""
        if worker not in self.coordinator.workers:
            return set()
        return {self.coordinator.wants[split].job for split in self.coordinator.workers[worker].leases}

    def _note_leases(self, now: float) -> None:
        for worker in self.coordinator.workers:
            self.whereabouts.note(worker, self._held(worker), now)
        self.whereabouts.forget(now)

    def _forget_launchers(self, now: float) -> None:
        """One that has been silent for long is gone; if it speaks again, it is told to say hello."""
        for peer, at in list(self.launchers_at.items()):
            if now - at > max(LAUNCHER_S, 4 * self.coordinator.lease_s):
                del self.launchers[peer], self.launchers_at[peer]

    def _order(self, order: Order) -> Iterator[Action]:
        """What one part tells the other."""
        match order:
            case Want() | Release():
                yield from self._coordinate(order)
            case Granted(split, _, worker):
                if split in self.coordinator.wants:
                    self.whereabouts.note(worker, [self.coordinator.wants[split].job], self.coordinator.now)
                yield from self._broke(order)
            case Withdrawn():
                yield from self._broke(order)
            case Scan():
                yield Look(order)

    def _coordinate(self, event: coordinator_machine.Event) -> Iterator[Action]:
        for action in self.coordinator.handle(event):
            match action:
                case coordinator_machine.Record(fact):
                    yield Journal(fact)
                case coordinator_machine.Send(worker, message, payload):
                    yield To(worker, message, payload_buffers(payload) if payload is not None else ())
                case coordinator_machine.Notify(order):
                    self.orders.append(order)
                case coordinator_machine.Kill(worker, reason):
                    there = self._launched_elsewhere(worker)
                    yield To(there[0], Kill(there[1], reason)) if there else End(worker, reason)
                case coordinator_machine.Examine(worker):
                    there = self._launched_elsewhere(worker)
                    yield To(there[0], Inspect(there[1])) if there else Examine(worker)

    def _launched_elsewhere(self, worker: str) -> tuple[str, str] | None:
        """The launcher on another host that started a worker, and what it calls it."""
        launcher = self.met[worker].launcher if worker in self.met else ""
        if launcher not in self.launchers:
            return None
        return launcher, worker.removeprefix(launcher.removesuffix(self.launchers[launcher]))

    def _broke(self, event: broker_machine.Event) -> Iterator[Action]:
        for action in self.broker.handle(event):
            match action:
                case broker_machine.Record(fact):
                    yield from self._over(fact)
                    yield Journal(fact)
                case broker_machine.Reply(peer, Waiting(_, "") as probe):
                    yield To(peer, probe)
                case broker_machine.Reply(peer, Waiting()) if self.trouble is not None:
                    yield To(peer, Refused(to_data(ServiceError(self.trouble))))
                case broker_machine.Reply(peer, Waiting(session, reason)):
                    yield To(peer, Waiting(session, self.coordinator.why_waiting() or reason))
                case broker_machine.Reply(peer, Registered(key) as message):
                    yield To(peer, replace(message, key=their_key(peer, key)))
                case broker_machine.Reply(peer, Refused(_, about) as message):
                    yield To(peer, replace(message, about=their_key(peer, about)))
                case broker_machine.Reply(peer, message, block):
                    yield To(peer, message, [block.buffer] if block is not None else ())
                case broker_machine.Tell(worker, message):
                    yield To(worker, message)
                case broker_machine.Ask(Shelve() as order):
                    yield Store(order)  # in its turn: what is kept is there before the end is told
                case broker_machine.Ask(order):
                    self.orders.append(order)
                case AskFile():
                    yield action
                case Quarantined(job, epoch, path, run, verdict):
                    yield Quarantine(job, path, user_of(self.broker.book.jobs[job].key), run, epoch, verdict)

    def _over(self, fact: Fact) -> Iterator[Action]:
        """What cost workers in an epoch that is over need not be known any more."""
        match fact:
            case EpochOpened(job) | Left(job) if job in self.broker.book.jobs:
                yield from self._coordinate(Over(job, self.broker.book.jobs[job].epoch))
            case Closed(job):
                yield from self._coordinate(Over(job, None))


def _bears(peer: str, name: str) -> bool:
    """Whether a peer is called so: behind its user's name, if any, which so begins all that it can speak of."""
    return bool(name) and "/" not in name and (peer == name or peer.endswith(f"/{name}"))


def _place(executing: Sequence[Any] | None) -> tuple[int, int] | None:
    """Split and position, as a launcher said them; what is no such thing is nothing."""
    if executing is None or list(map(type, executing)) != [int, int]:
        return None
    return executing[0], executing[1]
