"""A worker process, played: the real session, and what it computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.pipeline.execution import execute
from headrace.pipeline.messages import Message
from headrace.pipeline.nodes import Node
from headrace.pipeline.pieces import payload_from
from headrace.pipeline.segment import segment_of
from headrace.pipeline.work import Appetite, Piece, Work
from headrace.workers.machine import Begin, WorkerSession

__all__ = ["Killed", "SimulatedWorker"]


class Killed(BaseException):
    """A worker's process ended while it was executing an element: split and position."""


@dataclass
class SimulatedWorker:
    """A worker session and what it computes."""

    session: WorkerSession
    graph: Node
    seed: int
    appetite: Appetite
    pieces: dict[int, Iterator[Piece]] = field(default_factory=dict)
    works: dict[int, Work] = field(default_factory=dict)
    deadly: frozenset[int] = frozenset()
    buffers: dict[int, Any] = field(default_factory=dict)
    stopped_until: float = 0.0
    turns: int = 0  #: Numbers its turns, so that a message can bring the next one forward.
    idle: bool = False
    inbox: list[tuple[Message, Any]] = field(default_factory=list)

    def begin(self, action: Begin, buffers: Any) -> None:
        lease = action.lease
        work = Work.from_data(lease.work)
        payload = payload_from(lease.layout, buffers) if lease.layout is not None else None
        segment = segment_of(self.graph, work.segment)
        self.works[lease.split] = work
        poison = {each.position for each in work.poison}

        def watch(position: int) -> None:
            if position in self.deadly and position not in poison:
                raise Killed(lease.split, position)

        self.pieces[lease.split] = execute(segment, work, payload, self.seed, lease.epoch, self.appetite, watch)
