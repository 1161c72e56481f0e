"""Batches in memory that the client shares: what a training loop may have written into is not sent again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from headrace.broker.machine import Broker, FromClient, FromWorker, Reply, Tick
from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.execution import execute
from headrace.pipeline.messages import Deliver, Message, Next, Open, Pieces, Register
from headrace.pipeline.nodes import Node
from headrace.pipeline.orders import Granted, Want
from headrace.pipeline.pieces import block_from, piece_buffers
from headrace.pipeline.segment import segment_of
from headrace.pipeline.work import Appetite

LIMITS = Limits(rows_each=4, splits_least=1, parcel_bytes=1, checkpoint_elements=4, least_s=0)


class Desk:
    """A broker whose client shares memory with it, and a worker that does at once what is wanted."""

    def __init__(self, graph: Node) -> None:
        self.graph, self.asked, self.computed = graph, list[tuple[str, int]](), 0
        self.broker = Broker(incarnation=1, decode=lambda data: graph, limits=LIMITS, allocate=self._allocate)
        self.attempts = 0

    def _allocate(self, peer: str, nbytes: int) -> npt.NDArray[Any]:
        self.asked.append((peer, nbytes))
        return np.empty(nbytes, np.uint8)

    def say(self, message: Message, peer: str = "client") -> list[Reply]:
        return self._run(FromClient(peer, message))

    def _run(self, event: Any) -> list[Reply]:
        actions, replies = self.broker.handle(event), []
        for action in actions:
            if isinstance(action, Reply):
                replies.append(action)
            elif isinstance(order := getattr(action, "order", None), Want):
                replies += self._work(order)
        return replies

    def _work(self, want: Want) -> list[Reply]:
        self.attempts += 1
        attempt, replies = self.attempts, self._run(Granted(want.split, self.attempts, "worker"))
        for piece in execute(segment_of(self.graph, want.work.segment), want.work, None, 0, 0, Appetite(elements=2)):
            layout = piece.block.layout.to_data() if piece.block is not None else None
            message = Pieces(want.split, attempt, piece.first, piece.next, piece.last, layout)
            buffers = [np.ascontiguousarray(each).tobytes() for each in piece_buffers(piece, want.work)]
            self.computed += piece.block.rows if piece.block is not None else 0
            replies += self._run(FromWorker("worker", message, buffers))
            if want.work.stop is not None and piece.next >= want.work.stop:
                break
        return replies

    def open(self, generation: int, cursor: int | None = None, peer: str = "client") -> None:
        self.say(Register("key", b"graph", 5), peer)
        self.say(Open(1, 1, generation, 0, cursor), peer)


def values(replies: list[Reply]) -> list[int]:
    found = []
    for reply in replies:
        if isinstance(reply.message, Deliver) and reply.block is not None:
            assert reply.message.layout is not None
            block = block_from(reply.message.layout, reply.block.buffer)
            found += [int(np.sum(block.element(row))) for row in range(block.rows)]
    return found


def scribble(replies: list[Reply]) -> None:
    """What a training loop may do with what it got."""
    for reply in replies:
        if reply.block is not None:
            reply.block.buffer[...] = 255


@pytest.fixture(params=["elements", "batches"])
def desk(request: pytest.FixtureRequest) -> Desk:
    dataset = Dataset.range(12).map(lambda x: x * x)
    if request.param == "batches":
        dataset = dataset.batch(1)
    return Desk(dataset.with_options(Options(seed=5)).resolved)


def test_what_is_delivered_is_gathered_into_memory_that_its_client_shares(desk: Desk) -> None:
    desk.open(9, peer="anna")
    replies = desk.say(Next((9, 1, 1, 0, 0), 0, 0, 3), "anna")
    assert values(replies) == [0, 1, 4]
    assert all(reply.block is not None and reply.block.lent for reply in replies)
    assert {peer for peer, _ in desk.asked} == {"anna"}


def test_another_life_of_the_client_gets_what_the_first_one_wrote_into_as_it_was(desk: Desk) -> None:
    desk.open(9)
    scribble(desk.say(Next((9, 1, 1, 0, 0), 0, 0, 3)))
    scribble(desk.say(Next((9, 1, 1, 0, 0), 2, 3, 5)))
    desk.open(10, peer="another")
    assert values(desk.say(Next((10, 1, 1, 0, 0), 2, 2, 12), "another")) == [x * x for x in range(2, 12)]


def test_the_same_client_is_sent_what_it_lacks_again_and_nothing_is_computed_again(desk: Desk) -> None:
    desk.open(9)
    scribble(desk.say(Next((9, 1, 1, 0, 0), 0, 0, 3)))
    desk.say(Next((9, 1, 1, 0, 0), 2, 3, 12))  # lost
    desk.broker.handle(Tick(1.0))
    computed = desk.computed
    assert values(desk.say(Next((9, 1, 1, 0, 0), 2, 3, 12, again=True))) == [x * x for x in range(3, 12)]
    assert desk.computed == computed == 12


def test_another_life_of_the_client_costs_nothing_where_all_was_acknowledged(desk: Desk) -> None:
    desk.open(9)
    scribble(desk.say(Next((9, 1, 1, 0, 0), 0, 0, 3)))
    desk.say(Next((9, 1, 1, 0, 0), 3, 3, 3))
    desk.open(10)
    assert values(desk.say(Next((10, 1, 1, 0, 0), 3, 3, 12))) == [x * x for x in range(3, 12)]
    assert desk.computed == 12
