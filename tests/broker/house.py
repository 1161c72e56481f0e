"""A broker and a worker that does at once what is wanted, played by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headrace.broker.book import Book
from headrace.broker.machine import Action, Ask, Broker, FromClient, FromWorker, Record, Reply, Tick
from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.errors import to_data
from headrace.pipeline.execution import execute
from headrace.pipeline.messages import (
    Deliver,
    Message,
    Next,
    Open,
    Pieces,
    Register,
    Session,
)
from headrace.pipeline.orders import Granted, Release, Want
from headrace.pipeline.pieces import block_from, piece_buffers
from headrace.pipeline.segment import segment_of
from headrace.pipeline.work import Appetite

__all__ = ["REGISTER", "SESSION", "House", "consume", "dataset_of", "shuffled", "squares"]

REGISTER = Register("key", b"graph", 5)
#: Generation 9, incarnation 1, job 1, epoch 0, consumer 0.
SESSION = (9, 1, 1, 0, 0)
LIMITS = Limits(rows_each=4, splits_least=1, parcel_bytes=1, checkpoint_elements=1, least_s=0)


class House:
    """A broker, and a worker that does at once what is wanted while `working`."""

    def __init__(
        self, dataset: Dataset, *, limits: Limits = LIMITS, incarnation: int = 1, book: Book | None = None
    ) -> None:
        self.graph, self.seed = dataset.resolved, dataset.seed
        self.broker = Broker(
            incarnation=incarnation, decode=lambda data: self.graph, limits=limits, book=book or Book()
        )
        self.working = True
        self.wants: dict[int, Want] = {}
        self.attempts = 0
        self.replies: list[Reply] = []
        self.facts: list[Any] = []
        self.computed: list[tuple[int, int]] = []  #: First positions and depths of what was computed.

    def tell(self, event: Any) -> list[Action]:
        """One event, and whatever the worker does about it."""
        actions = self.broker.handle(event)
        self._note(actions)
        while self.working and self.wants:
            self.work_once()
        return actions

    def work_once(self) -> None:
        """The worker does what was wanted first."""
        self._work(self.wants.pop(min(self.wants)))

    def say(self, message: Message, peer: str = "client") -> list[Message]:
        """A client says something; what it is answered."""
        before = len(self.replies)
        self.tell(FromClient(peer, message))
        return [each.message for each in self.replies[before:]]

    def _note(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Reply():
                    self.replies.append(action)
                case Record(fact):
                    self.facts.append(fact)
                case Ask(Want() as want):
                    self.wants[want.split] = want
                case Ask(Release(split)):
                    self.wants.pop(split, None)

    def _work(self, want: Want) -> None:
        self.attempts += 1
        self._note(self.broker.handle(Granted(want.split, self.attempts, "worker")))
        segment = segment_of(self.graph, want.work.segment)
        for piece in execute(segment, want.work, want.payload, self.seed, want.epoch, Appetite(elements=2)):
            layout = piece.block.layout.to_data() if piece.block is not None else None
            error = to_data(piece.error) if piece.error is not None else None
            message = Pieces(want.split, self.attempts, piece.first, piece.next, piece.last, layout, error)
            message = replace(message, left_out=piece.left_out, ignored=piece.ignored, tags=piece.width)
            buffers = [np.ascontiguousarray(each).tobytes() for each in piece_buffers(piece, want.work)]
            self.computed.append((piece.first, want.depth))
            self._note(self.broker.handle(FromWorker("worker", message, buffers)))
            if want.work.stop is not None and piece.next >= want.work.stop:
                break  # the worker knows by itself that the split is done

    def open(self, session: Session = SESSION, cursor: int | None = None) -> list[Message]:
        """A client of this generation registers and opens the epoch."""
        generation, incarnation, job, epoch, consumer = session
        self.say(REGISTER)
        return self.say(Open(incarnation, job, generation, epoch, cursor, consumer))

    def delivered(self, peer: str | None = None) -> list[tuple[int, Any]]:
        """Numbers and values of all elements that went out, in that order; with a peer, to that one."""
        found: list[tuple[int, Any]] = []
        for reply in self.replies:
            if peer not in (None, reply.peer):
                continue
            if isinstance(reply.message, Deliver) and reply.block is not None:
                assert reply.message.layout is not None
                block = block_from(reply.message.layout, reply.block.buffer)
                found += [(reply.message.first + row, block.element(row)) for row in range(block.rows)]
        return found


def dataset_of(count: int = 12) -> Dataset:
    return Dataset.range(count).map(lambda x: x * x).with_options(Options(seed=5))


def squares(first: int, end: int) -> list[tuple[int, int]]:
    return [(i, i * i) for i in range(first, end)]


def shuffled() -> Dataset:
    return Dataset.range(40).map(lambda x: x * x).shuffle(8, seed=3).with_options(Options(seed=5))


def consume(house: House, session: Session, first: int, end: int) -> None:
    """A loop takes elements one by one; each is acknowledged when it comes for the next."""
    for number in range(first, end):
        house.say(Next(session, number, number, until=number + 1))
        house.tell(Tick(house.broker.now + 1.0))
