"""A worker process, played: the real session, and what it computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from headrace.pipeline.errors import PoisonError
from headrace.pipeline.execution import execute
from headrace.pipeline.messages import Message
from headrace.pipeline.nodes import Node
from headrace.pipeline.pieces import payload_from, piece_buffers
from headrace.pipeline.segment import Segment, segment_of
from headrace.pipeline.work import Appetite, Piece, Work
from headrace.workers.machine import Action, Begin, Drop, Produced, Received, Say, Tick, WorkerSession

__all__ = ["Killed", "Said", "SimulatedWorker", "ends_its_process"]

#: What a worker says, with the buffers that follow.
Said: TypeAlias = "tuple[Message, list[bytes]]"

#: The workers at work: at most one, for all of the cluster is one thread.
_AT_WORK: list[SimulatedWorker] = []


class Killed(KeyboardInterrupt):
    """A worker's process ended while it was executing an element. Of what functions raise this alone is not told."""


def ends_its_process(element: Any) -> None:
    """What a function calls that brings its worker down. In process it raises what the service is to say of that."""
    if _AT_WORK:
        raise Killed
    raise PoisonError(f"element {element}", 3, "the process ended")


@lru_cache(maxsize=1024)
def _segment(graph: Node, path: tuple[int, ...]) -> Segment:
    return segment_of(graph, path)


@dataclass(eq=False)
class SimulatedWorker:
    """A worker session and what it computes."""

    session: WorkerSession
    graph: Node
    seed: int
    appetite: Appetite
    pieces: dict[int, Iterator[Piece]] = field(default_factory=dict)
    works: dict[int, Work] = field(default_factory=dict)
    executing: tuple[int, int] | None = None  #: Split and position, as the launcher of a real one sees it.
    stopped_until: float = 0.0
    turns: int = 0  #: Numbers its turns, so that a message can bring the next one forward.
    idle: bool = False
    inbox: list[tuple[Message, list[bytes]]] = field(default_factory=list)

    def turn(self, now: float) -> Iterator[Said]:
        """One turn of its loop.

        Raises:
            Killed: it was its last.
        """
        waiting, self.inbox = self.inbox, []
        for message, buffers in waiting:
            yield from self._act(self.session.handle(Received(message)), buffers)
        yield from self._act(self.session.handle(Tick(now)))
        if (split := self.session.choose()) is not None:
            attempt = self.session.held[split].lease.attempt
            yield from self._act(self.session.handle(Produced(split, attempt, self._compute(split))))
        self.idle = not self.inbox and self.session.choose() is None

    def _compute(self, split: int) -> Piece:
        _AT_WORK.append(self)
        try:
            return next(self.pieces[split])
        finally:
            _AT_WORK.pop()

    def _act(self, actions: list[Action], buffers: list[bytes] | None = None) -> Iterator[Said]:
        for action in actions:
            match action:
                case Say(message, piece):
                    arrays = piece_buffers(piece, self.works[message.split]) if piece is not None else []  # type: ignore[union-attr]
                    yield message, [np.ascontiguousarray(each).tobytes() for each in arrays]
                case Begin():
                    self._begin(action, buffers)
                case Drop(split):
                    del self.pieces[split]

    def _begin(self, action: Begin, buffers: Any) -> None:
        lease = action.lease
        work = Work.from_data(lease.work)
        payload = payload_from(lease.layout, buffers) if lease.layout is not None else None
        segment = _segment(self.graph, work.segment)
        self.works[lease.split] = work

        def watch(position: int) -> None:
            self.executing = lease.split, position

        self.pieces[lease.split] = execute(segment, work, payload, self.seed, lease.epoch, self.appetite, watch)
