"""A whole cluster in one thread, on a simulated network that drops, doubles, delays and reorders, with crashes of all.

The machines are the real ones, and so is what they compute. Only sockets, processes, clocks and the disk
are played.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from headrace.broker.run import Limits
from headrace.client.machine import ClientSession, Go, Parcel, Take
from headrace.client.machine import Received as ClientReceived
from headrace.client.machine import Tick as ClientTick
from headrace.events import Dead, End, Examine, From, Gone, Journal, Look, Seen, Tick, To
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.held import needed
from headrace.pipeline.messages import VERSION, Hello, Message, Register
from headrace.pipeline.orders import Scan, Scanned
from headrace.pipeline.pieces import block_from, piece_buffers
from headrace.pipeline.records import scan_records
from headrace.pipeline.work import Appetite
from headrace.server import Server
from headrace.workers.machine import Begin, Drop, Learn, Produced, Say, WorkerSession
from headrace.workers.machine import Received as WorkerReceived
from headrace.workers.machine import Tick as WorkerTick

from .disk import Disk
from .reference import in_short, plain, reference
from .weather import Faults, Lost
from .worker import Killed, SimulatedWorker

__all__ = ["Cluster"]


#: Files are cut into splits of about so many bytes.
CUT_BYTES = 60
#: A client that is gone for so long has its run stopped.
IDLE_S = 3.0
#: For up to so long a client is cut off.
CUT_S = 8.0


def cuts(scan: Scan) -> tuple[int | None, ...]:
    """Where a file is cut: a few records each, or about so many bytes of text."""
    if scan.kind == "records":
        return tuple(scan_records(scan.path, CUT_BYTES))
    if not Path(scan.path).exists():
        return (0, None)
    return (*range(0, Path(scan.path).stat().st_size, CUT_BYTES), None)


@dataclass
class Loop:
    """A training loop: takes elements, thinks for a while, goes on to the next epoch."""

    session: ClientSession
    epoch: int = -1
    cursor: int | None = None  #: Number of the element that comes next; None before the server said it.
    busy_until: float = 0.0
    least: dict[int, int] = field(default_factory=dict)  #: Elements done with before this life, by epoch.
    cut_until: float = 0.0
    done: bool = False
    closed: bool = False


class Cluster:
    """Server, workers, a client, and the network between them, all played from one seed."""

    def __init__(
        self,
        seed: int,
        dataset: Dataset,
        *,
        epochs: int = 2,
        workers: int = 2,
        faults: Faults | None = None,
        limits: Limits | None = None,
        piece: int = 3,
        slots: int = 2,
        window: int = 3,
        server: Callable[..., Server] = Server.new,
        session: type[ClientSession] = ClientSession,
        think_s: float = 0.03,
        calm_after_s: float = 30.0,
        deadly: frozenset[int] = frozenset(),
    ) -> None:
        self.random = random.Random(seed)
        self.faults, self.limits, self.epochs = faults or Faults(), limits or Limits(), epochs
        self.calm_after_s, self.deadly, self.killings = calm_after_s, deadly, 0
        self.piece, self.slots, self.window, self.think_s = piece, slots, window, think_s
        self.new_server, self.new_session = server, session
        self.graph, self.seed = dataset.resolved, dataset.seed
        self.expected = [reference(dataset, epoch) for epoch in range(epochs)]
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count()
        self.crashes = 0
        self.disk = Disk()
        self.parked = 0  #: Runs that were stopped because their client was gone.
        self.incarnation = 0
        self.server: Server | None = None
        self.workers: dict[str, SimulatedWorker] = {}
        self.names = count()
        self.lives = count(1)
        self.recovered: set[tuple[int, int, int]] = set()
        self.seen: list[int] = [0] * epochs  #: Elements that some life of the loop has had, per epoch.
        self.start_server()
        for _ in range(workers):
            self.start_worker()
        self.loop = self.start_loop()
        self.every(0.1, self.tick)
        self.every(0.1, self.trouble)

    # Time and the network.

    def at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + delay, next(self.numbers), action))

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        def again() -> None:
            action()
            self.at(seconds, again)

        self.at(seconds, again)

    def send(self, deliver: Callable[[], None]) -> None:
        """Through the network: lost, doubled, late, or out of order."""
        if self.random.random() < self.faults.drop:
            return
        for _ in range(2 if self.random.random() < self.faults.double else 1):
            delay = self.random.uniform(0.001, self.faults.delay_s)
            self.at(delay * (100 if self.random.random() < self.faults.late else 1), deliver)
        if self.random.random() < self.faults.echo:
            self.at(self.random.uniform(0.0, 10.0), deliver)

    def run(self, limit_s: float = 200.0) -> Cluster:
        """Until the loop has had all epochs; Lost where that takes too long."""
        while not self.loop.done:
            self.now, _, action = heapq.heappop(self.events)
            if self.now > limit_s:
                raise Lost(
                    f"no end after {limit_s} virtual seconds, at {self.seen} of {[len(e) for e in self.expected]}"
                )
            action()
        return self

    @property
    def recoveries(self) -> int:
        """How often elements that a checkpoint held were computed again."""
        return len(self.recovered)

    def settle(self) -> None:
        """After the end, in calm weather: nothing is leased, held or at work any more; then the job is closed."""
        self.faults = Faults()
        for worker in self.workers.values():
            worker.stopped_until = self.now
        self.wait(8.0)
        self.check_nothing_is_left()
        while self.loop.session.job is None:
            self.wait(0.1)  # it is asking anew, because an echo was answered that it is not known
        self.say(self.loop, self.loop.session.close())
        self.loop.closed = True
        self.wait(3.0)
        self.check_nothing_is_left()
        assert self.server is not None
        # A registration that the network repeats makes a job again; but nothing runs for it.
        if self.server.broker.runs or self.server.broker.conversations or self.server.coordinator.strikes.causes:
            raise Lost("the job is closed, and still there")

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now, _, action = heapq.heappop(self.events)
            action()

    def check_nothing_is_left(self) -> None:
        assert self.server is not None
        self.server.coordinator.check()
        coordinator, runs = self.server.coordinator, self.server.broker.runs.values()
        found = {
            "leases": len(coordinator.granted),
            "orders": len(coordinator.wants),
            "elements": sum(len(run.store) for run in runs),
            "bytes": sum(run.store.nbytes for run in runs),
            "streams": sum(len(run.streams) for run in runs),
            "splits held by workers": sum(len(worker.session.held) for worker in self.workers.values()),
            "splits begun by workers": sum(len(worker.pieces) for worker in self.workers.values()),
        }
        if any(found.values()):
            raise Lost(f"left behind: {found}")

    # The server.

    def start_server(self) -> None:
        self.incarnation += 1
        self.server = self.new_server(
            self.incarnation,
            lambda data: self.graph,
            self.disk.next_life(),
            self.limits,
            lease_s=2.0,
            heartbeat_s=0.5,
            slots=self.slots,
            idle_s=IDLE_S,
        )
        self.tell_server(Tick(self.now))

    def crash_server(self) -> None:
        self.crashes += 1
        self.server = None
        self.disk.crash()
        self.at(self.random.uniform(0.0, 1.0), self.start_server)

    def tell_server(self, event: Any) -> None:
        server = self.server
        if server is None:
            return
        running = len(server.broker.runs)
        actions = server.handle(event)
        server.coordinator.check()
        self.parked += isinstance(event, Tick) and len(server.broker.runs) < running
        self.note_recoveries(server)
        # Now and then it dies in the middle of doing what it decided.
        cut = len(actions)
        if actions and self.faults.server_crashes and self.random.random() < self.faults.server_crashes / 200:
            cut = self.random.randrange(len(actions))
        for action in actions[:cut]:
            self.perform(action)
        if cut < len(actions):
            self.crash_server()
        elif self.faults.compactions and self.random.random() < self.faults.compactions:
            self.disk.compact(server.memory)

    def note_recoveries(self, server: Server) -> None:
        for job, run in server.broker.runs.items():
            if run.state is not None and any(each["count"] for each in needed(run.state["operator"])):
                self.recovered.add((self.incarnation, job, run.epoch))

    def perform(self, action: Any) -> None:
        match action:
            case Journal(fact):
                self.disk.write(fact)
            case To(peer, message, buffers):
                self.disk.commit()
                self.disk.allows(message)
                copies = [np.ascontiguousarray(each).tobytes() for each in buffers]
                if peer.startswith("worker"):
                    self.send(lambda: self.tell_worker(peer, message, copies))
                else:
                    self.send(lambda: self.tell_client(peer, message, copies[0] if copies else None))
            case Look(scan):
                self.at(0.01, lambda: self.tell_server(Scanned(scan.job, scan.path, cuts(scan))))
            case End(peer, _):
                self.crash_worker(peer)
            case Examine(peer):
                self.at(0.01, lambda: self.tell_server(Seen(peer)))

    # Workers.

    def start_worker(self) -> None:
        name = f"worker-{next(self.names)}"
        hello = Hello(VERSION, "worker", name, 0, {})
        appetite = Appetite(elements=self.piece, seconds=1e9)
        self.workers[name] = SimulatedWorker(
            WorkerSession(hello=hello), self.graph, self.seed, appetite, deadly=self.deadly
        )
        self.work(name, 0)

    def crash_worker(self, name: str, executing: tuple[int, int] | None = None) -> None:
        if self.workers.pop(name, None) is not None:
            self.crashes += 1
            self.at(0.05, lambda: self.tell_server(Dead(name, executing)))
            self.at(self.random.uniform(0.0, 0.5), self.start_worker)

    def work(self, name: str, turn: int) -> None:
        """One turn of a worker's own loop."""
        worker = self.workers.get(name)
        if worker is None or worker.turns != turn:
            return
        if self.now >= worker.stopped_until:
            waiting, worker.inbox = worker.inbox, []
            for message, buffers in waiting:
                worker.buffers[id(message)] = buffers
                self.act(name, worker, worker.session.handle(WorkerReceived(message)), buffers)
            self.act(name, worker, worker.session.handle(WorkerTick(self.now)), None)
            split = worker.session.choose()
            if split is not None:
                attempt = worker.session.held[split].lease.attempt
                try:
                    piece = next(worker.pieces[split])
                except Killed as death:
                    self.killings += 1
                    self.crash_worker(name, death.args)
                    return
                self.act(name, worker, worker.session.handle(Produced(split, attempt, piece)), None)
        worker.idle = not worker.inbox and worker.session.choose() is None
        self.next_turn(name, worker, 0.3 if worker.idle else 0.02)

    def next_turn(self, name: str, worker: SimulatedWorker, most_s: float) -> None:
        worker.turns += 1
        turn = worker.turns
        self.at(self.random.uniform(0.1 * most_s, most_s), lambda: self.work(name, turn))

    def act(self, name: str, worker: SimulatedWorker, actions: list[Any], buffers: Any) -> None:
        for action in actions:
            match action:
                case Say(message, piece):
                    arrays = piece_buffers(piece, worker.works[message.split]) if piece is not None else []  # type: ignore[union-attr]
                    copies = [np.ascontiguousarray(each).tobytes() for each in arrays]
                    self.send(lambda m=message, b=copies: self.tell_server(From(name, m, b)))  # type: ignore[misc]
                case Begin():
                    worker.begin(action, buffers)
                case Drop(split):
                    del worker.pieces[split]
                case Learn():
                    pass

    def tell_worker(self, name: str, message: Message, buffers: Any) -> None:
        if (worker := self.workers.get(name)) is None:
            return
        worker.inbox.append((message, buffers))
        if worker.idle:
            worker.idle = False
            self.next_turn(name, worker, 0.02)

    # The client.

    def start_loop(self) -> Loop:
        life = next(self.lives)
        session = self.new_session(
            hello=Hello(VERSION, "client", f"client-{life}", 0, {}),
            register=Register("the-job", b"graph", self.seed),
            generation=life,
            window=self.window,
            resend_s=0.5,
        )
        loop = Loop(session, least=dict(self.disk.acknowledged))
        self.say(loop, session.handle(ClientTick(self.now)))
        self.say(loop, session.handle(Go(-1)))
        self.at(0.0, lambda: self.train(loop))
        return loop

    def crash_client(self) -> None:
        self.crashes += 1
        self.loop.closed = True
        if self.faults.client_away_s:
            self.at(self.random.uniform(0.0, self.faults.client_away_s), self.return_client)
        else:
            self.return_client()

    def return_client(self) -> None:
        if self.loop.closed and not self.loop.done:
            self.loop = self.start_loop()

    def say(self, loop: Loop, said: list[Any]) -> None:
        peer = loop.session.hello.name
        for each in said if self.now >= loop.cut_until else []:
            self.send(lambda m=each.message: self.tell_server(From(peer, m)))  # type: ignore[misc]

    def tell_client(self, peer: str, message: Message, buffer: Any) -> None:
        loop = self.loop
        if loop.session.hello.name != peer or loop.closed or self.now < loop.cut_until:
            self.at(0.01, lambda: self.tell_server(Gone(peer)))
        else:
            self.say(self.loop, self.loop.session.handle(ClientReceived(message, buffer)))

    def train(self, loop: Loop) -> None:
        """One turn of the training loop."""
        if loop is not self.loop or loop.done or loop.closed:
            return
        session = loop.session
        self.say(loop, session.handle(ClientTick(self.now)))
        if session.refused is not None:
            raise Lost(f"the client gives up: {session.refused}")
        if (parcel := session.ready) is not None:
            self.take(loop, parcel)
        elif session.finished and session.epoch is not None:
            self.finish(loop, session.epoch)
        idle = session.ready is None and not session.finished
        self.at(self.random.uniform(0.001, self.think_s * (4 if idle else 1)), lambda: self.train(loop))

    def take(self, loop: Loop, parcel: Parcel) -> None:
        session = loop.session
        number, epoch = parcel.first + parcel.skip, session.epoch
        assert epoch is not None
        if (loop.epoch, loop.cursor) != (epoch, number) and (loop.epoch == epoch or number > self.seen[epoch]):
            raise Lost(f"epoch {epoch}: element {number} came, {loop.cursor} was next, {self.seen} were seen")
        if number < loop.least.get(epoch, 0):
            raise Lost(f"epoch {epoch}: element {number} came again, {loop.least} were acknowledged in earlier lives")
        if parcel.error is not None:
            value: Any = in_short(parcel.error)
        else:
            assert parcel.layout is not None
            value = plain(block_from(parcel.layout, parcel.buffer).element(parcel.skip))
        if number >= len(self.expected[epoch]) or value != self.expected[epoch][number]:
            raise Lost(f"epoch {epoch}, element {number} is {value}")
        loop.epoch, loop.cursor = epoch, number + 1
        self.seen[epoch] = max(self.seen[epoch], number + 1)
        self.say(loop, session.handle(Take(1)))

    def finish(self, loop: Loop, epoch: int) -> None:
        if self.seen[epoch] != len(self.expected[epoch]):
            raise Lost(f"epoch {epoch} ended after {self.seen[epoch]} of {len(self.expected[epoch])}")
        self.say(loop, loop.session.handle(Take(0)))
        if epoch + 1 == self.epochs:
            loop.done = True
        else:
            loop.epoch, loop.cursor = epoch + 1, 0
            self.say(loop, loop.session.handle(Go(epoch + 1)))

    # Trouble.

    def tick(self) -> None:
        self.tell_server(Tick(self.now))
        if self.loop.done and not self.loop.closed:  # it goes on listening until it closes the job
            self.say(self.loop, self.loop.session.handle(ClientTick(self.now)))

    def trouble(self) -> None:
        """A tenth of a second of bad luck; in the end it clears up, so that no progress is an error."""
        if self.now > self.calm_after_s:
            self.faults = self.faults.calm
        if self.server is not None and self.random.random() < self.faults.server_crashes / 10:
            self.crash_server()
        if self.random.random() < self.faults.client_crashes / 10 and not self.loop.closed:
            self.crash_client()
        if self.faults.client_cuts and self.random.random() < self.faults.client_cuts / 10:
            self.loop.cut_until = self.now + self.random.uniform(0.0, CUT_S)
        for name in list(self.workers):
            if self.random.random() < self.faults.worker_crashes / 10:
                self.crash_worker(name)
            elif self.random.random() < self.faults.worker_stops / 10:
                self.workers[name].stopped_until = self.now + self.random.uniform(2.0, 5.0)
