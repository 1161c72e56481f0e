"""A whole cluster in one thread, on a simulated network that drops, doubles, delays and reorders, with crashes of all.

The machines are the real ones, and so is what they compute. Only sockets, processes, clocks and the disk
are played.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from headrace.broker.run import Limits
from headrace.client.machine import ClientSession, Say
from headrace.events import From, Gone, Tick
from headrace.facts import Memory
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.messages import VERSION, Hello, Message, Register
from headrace.server import Server

from .crew import Crew
from .host import Host
from .reference import reference
from .timeline import Timeline
from .trainer import Life, Saved, Trainer
from .trouble import strike
from .weather import Faults, Lost, Network, Weather

__all__ = ["IDLE_S", "Cluster"]

#: A client that is gone for so long has its run stopped.
IDLE_S = 3.0


class Cluster:
    """Server, workers, one or more trainers, and the network between them, all played from one seed."""

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
        consumers: int = 1,
        even: str = "drop",
        late_s: float = 0.0,
        slow: float = 1.0,
        leaves_at: tuple[int, int] | None = None,
        start: Saved | None = None,
        server: Callable[..., Server] = Server.new,
        session: type[ClientSession] = ClientSession,
        network: Callable[[Weather, Timeline], Network] = Network,
        think_s: float = 0.03,
        calm_after_s: float = 30.0,
    ) -> None:
        self.limits, self.slots, self.window = limits or Limits(), slots, window
        self.new_server, self.new_session, self.calm_after_s, self.calmed = server, session, calm_after_s, False
        self.graph, self.seed, self.least_workers = dataset.resolved, dataset.seed, workers
        self.lives = count(1)
        self.timeline, self.weather = Timeline(), Weather(faults or Faults(), random.Random(seed))
        self.network = network(self.weather, self.timeline)
        self.crew = Crew(
            self.graph, self.seed, piece, workers, self.weather, self.timeline, self.network, self.tell_server
        )
        self.host = Host(self._server, self.weather, self.timeline, self._post, self.crew.crash)
        self.even, self.epochs, self.patience_s = even, epochs, 0.12
        self.agreed = [start] if start is not None else []
        self.saved: list[Saved] = []
        elements = [reference(dataset, epoch) for epoch in range(epochs)]
        self.trainers = [
            Trainer(
                elements,
                index,
                consumers,
                even,
                partial(self._enlist, index),
                partial(self.host.disk.done_with, index),
                think_s,
                agreed=self.agreed,
                saved=self.saved,
            )
            for index in range(consumers)
        ]
        self.trainers[0].think_s *= slow
        self.trainers[-1].leaves_at = leaves_at
        self.host.start()
        self.crew.fill_up()
        for index in range(consumers):
            self.timeline.at(late_s if index + 1 == consumers else 0.0, partial(self.start_trainer, index))
        self.timeline.every(0.2, self._tick)
        self.timeline.every(0.1, self._trouble)

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return self.timeline.now

    @property
    def crashes(self) -> int:
        """Of all that can crash."""
        return self.host.crashes + self.crew.crashes + sum(each.crashes for each in self.trainers)

    @property
    def done(self) -> bool:
        """Whether all trainers have had all that they wanted."""
        return all(each.done for each in self.trainers)

    def run(self, limit_s: float = 400.0) -> Cluster:
        """Until all loops have had all epochs; Lost where that takes too long."""
        while not self.done:
            self.timeline.step()
            if self.now > limit_s:
                where = [each.seen for each in self.trainers]
                of = list(map(len, self.trainers[0].elements))
                raise Lost(f"no end after {limit_s} virtual seconds; seen by each: {where}; of all: {of}")
        return self

    def settle(self) -> None:
        """After the end, in calm weather, nothing is left of these epochs; and of the job, once it is closed."""
        stray_s, self.weather.faults, self.patience_s = self.weather.faults.stray_s, Faults(), 0.5
        self._have_workers()
        for worker in self.crew.workers.values():
            worker.stopped_until = self.now
        for trainer in self.trainers:
            trainer.cut_until = self.now
        # A refusal names no session: one from before a script loaded what all agreed on, if it comes again late, has
        # the script load that once more, and the others with it. They are at work then, and nothing is left behind.
        self.timeline.wait(stray_s)
        self.run(self.now + 100.0)
        self.timeline.wait(8.0)
        self.check_epochs_are_over()
        for trainer in self.trainers:
            while not trainer.parting and trainer.life.session.job is None:
                self.timeline.wait(0.1)  # it is asking anew, because an echo was answered that it is not known
            self.say(trainer, trainer.leave())
        self.timeline.wait(4.0)
        self.check_nothing_is_left()

    def check_epochs_are_over(self) -> None:
        """Lost where something of the epochs that the loops had is still held; the next one may have been begun."""
        server = self.host.server
        assert server is not None
        server.coordinator.check()
        over = [run for run in server.broker.runs.values() if run.epoch < self.epochs]
        found = {
            "orders": sum(want.epoch < self.epochs for want in server.coordinator.wants.values()),
            "elements": sum(len(run.store) for run in over),
            "bytes": sum(run.store.nbytes for run in over),
            "streams": sum(len(run.streams) for run in over),
        }
        if any(found.values()):
            raise Lost(f"left behind: {found}")

    def check_nothing_is_left(self) -> None:
        """Lost where anything is leased, held or at work, or known of a job that is closed."""
        server, workers = self.host.server, self.crew.workers.values()
        assert server is not None
        found = {
            "leases": len(server.coordinator.granted),
            "orders": len(server.coordinator.wants),
            "strikes": len(server.coordinator.strikes.causes),
            "runs": len(server.broker.runs),
            "conversations": len(server.broker.conversations),
            "splits held by workers": sum(len(worker.session.held) for worker in workers),
            "splits begun by workers": sum(len(worker.pieces) for worker in workers),
        }
        if any(found.values()):
            raise Lost(f"the job is closed, and left behind: {found}")

    # The server.

    def _server(self, incarnation: int, memory: Memory) -> Server:
        return self.new_server(
            incarnation,
            lambda data: self.graph,
            memory,
            self.limits,
            lease_s=2.0,
            heartbeat_s=0.5,
            slots=self.slots,
            idle_s=IDLE_S,
        )

    def tell_server(self, event: Any) -> None:
        """Something happens to the server."""
        self.host.tell(event)

    def _post(self, peer: str, message: Message, buffers: list[bytes]) -> None:
        if peer.startswith("worker"):
            self.network.send(lambda: self.crew.tell(peer, message, buffers))
        else:
            self.network.send(lambda: self._tell_client(peer, message, buffers[0] if buffers else None))

    # Trainers.

    def _enlist(self, consumer: int) -> ClientSession:
        life = next(self.lives)
        alone = len(self.trainers) == 1
        return self.new_session(
            hello=Hello(VERSION, "client", f"client-{life}", 0, {}),
            register=Register("the-key", b"graph", self.seed)
            if alone
            else Register(
                "job:the job", b"graph", self.seed, "", "the job", len(self.trainers), self.even, consumer=consumer
            ),
            generation=1000 * life,
            consumer=consumer,
            window=self.window,
            resend_s=0.5,
        )

    def start_trainer(self, consumer: int) -> None:
        """A training script begins, or returns."""
        trainer = self.trainers[consumer]
        if not trainer.done:
            self.say(trainer, trainer.begin(self.now))
            life = trainer.life
            self.timeline.at(0.0, lambda: self._train(trainer, life))

    def crash_client(self, consumer: int) -> None:
        """A training script dies, and returns at once or some time."""
        trainer = self.trainers[consumer]
        if trainer.begun and not trainer.life.over and not trainer.done:
            trainer.crash()
            away_s = self.weather.faults.client_away_s
            self.timeline.at(self.weather.dice.uniform(0.0, away_s), partial(self.start_trainer, consumer))

    def rewind(self, consumer: int, saved: Saved) -> None:
        """A script goes back to what was saved, as after a loss that is no number; the others have to follow."""
        trainer = self.trainers[consumer]
        if trainer.begun and not trainer.life.over:
            self.agreed.append(saved)
            self.say(trainer, trainer.load())

    def _train(self, trainer: Trainer, life: Life) -> None:
        if life.over:
            return
        self.say(trainer, trainer.turn(self.now))
        most_s = max(self.patience_s, trainer.think_s) if trainer.idle or trainer.done else trainer.think_s
        self.timeline.at(self.weather.dice.uniform(0.001, most_s), lambda: self._train(trainer, life))

    def say(self, trainer: Trainer, said: list[Say]) -> None:
        """A training script says something, if it is heard."""
        peer = trainer.life.name if said else ""
        for each in said if self.now >= trainer.cut_until else []:
            self.network.send(lambda m=each.message: self.tell_server(From(peer, m)))  # type: ignore[misc]

    def _tell_client(self, peer: str, message: Message, buffer: Any) -> None:
        for trainer in self.trainers:
            if trainer.reached(peer, self.now):
                self.say(trainer, trainer.hear(message, buffer))
                return
        self.timeline.at(0.01, lambda: self.tell_server(Gone(peer)))

    # Time.

    def _tick(self) -> None:
        self.tell_server(Tick(self.now))
        for trainer in self.trainers:
            self.say(trainer, trainer.parting)

    def _trouble(self) -> None:
        """In the end the weather clears up, so that no progress is an error."""
        if self.now > self.calm_after_s:
            if not self.calmed:
                self.weather.faults, self.calmed = self.weather.faults.calm, True
            self._have_workers()
        strike(self)

    def _have_workers(self) -> None:
        if not self.crew.wanted:
            self.crew.scale(self.least_workers)
