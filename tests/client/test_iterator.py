"""The iterator over a wire whose other end is the test: what it says to the server, and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import zmq

from headrace.client import iterator
from headrace.client.iterator import CLOSE_TRIES, ServiceIterator
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.errors import InvalidArgumentError, to_data
from headrace.pipeline.frames import from_frames, to_frames
from headrace.pipeline.messages import (
    VERSION,
    Bye,
    Close,
    Deliver,
    Hello,
    Message,
    Next,
    Open,
    Opened,
    Register,
    Registered,
    Session,
    Welcome,
)

GRAPH = Dataset.range(9).node
ERROR = to_data(InvalidArgumentError("as planned"))


@dataclass
class Clock:
    """Stands still until it is told to go on."""

    now: float = 100.0

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return 9


@dataclass
class Wire:
    """The iterator's socket, with a server behind it that answers at once. Each of its elements is an error."""

    address: str = "ipc:///nowhere"
    patience_s: float = 30.0
    gone: str | None = None
    said: list[Message] = field(default_factory=list)
    coming: deque[list[zmq.Frame]] = field(default_factory=deque)
    sent: int = 0
    closes: int = 0
    deaf: int = 0  #: How many words that the client is done are lost.

    def trouble(self) -> str | None:
        return None

    def open(self, name: str) -> zmq.Socket[bytes]:
        return cast("zmq.Socket[bytes]", self)

    def send_multipart(self, frames: Sequence[Any], *_: Any, **__: Any) -> None:
        message, _buffers = from_frames(frames)
        self.said.append(message)
        match message:
            case Hello():
                self.answer(Welcome(1, 1.0))
            case Register(key):
                self.answer(Registered(key, 4))
            case Open(_, job, generation, epoch):
                self.answer(Opened((generation, 1, job, epoch, 0), 0))
            case Next(session, until=until):
                self.deliver(session, until)
            case Close():
                self.closes += 1
                if self.closes > self.deaf:
                    self.answer(Bye())

    def deliver(self, session: Session, until: int) -> None:
        for number in range(self.sent, until):
            self.answer(Deliver(session, number, 1, None, 7, ERROR))
        self.sent = max(self.sent, until)

    def answer(self, message: Message) -> None:
        self.coming.append([zmq.Frame(each) for each in to_frames(message)])

    def recv_multipart(self, *_: Any, **__: Any) -> list[zmq.Frame]:
        if not self.coming:
            raise zmq.Again
        return self.coming.popleft()

    def poll(self, *_: Any) -> int:
        return len(self.coming)

    def close(self, **_: Any) -> None:
        """There is nothing to close."""


def test_what_came_during_a_long_step_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, wire = Clock(), Wire()
    monkeypatch.setattr(iterator, "time", clock)
    hello = Hello(VERSION, "client", "c", 1, {})
    with ServiceIterator(wire, hello, Register("key", b"graph", 5), {}, window=2, batched=False, graph=GRAPH) as errors:
        for _ in range(6):
            with pytest.raises(InvalidArgumentError, match="as planned"):
                next(errors)
            clock.now += 5.0
    asked = [each for each in wire.said if isinstance(each, Next)]
    assert [each.again for each in asked] == [True] + [False] * (len(asked) - 1), "the first one opens the epoch"
    assert [each.until for each in asked] == [2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(("deaf", "said"), [(0, 1), (2, 3), (100, CLOSE_TRIES)])
def test_a_client_says_that_it_is_done_until_it_is_heard_but_not_for_ever(deaf: int, said: int) -> None:
    wire = Wire(deaf=deaf)
    hello = Hello(VERSION, "client", "c", 1, {})
    errors = ServiceIterator(wire, hello, Register("key", b"graph", 5), {}, window=2, batched=False, graph=GRAPH)
    with pytest.raises(InvalidArgumentError, match="as planned"):
        next(errors)
    errors.close()
    errors.close()
    assert sum(isinstance(each, Close) for each in wire.said) == said


def test_where_its_server_has_ended_a_client_says_nothing_twice() -> None:
    wire = Wire(deaf=100)
    hello = Hello(VERSION, "client", "c", 1, {})
    errors = ServiceIterator(wire, hello, Register("key", b"graph", 5), {}, window=2, batched=False, graph=GRAPH)
    with pytest.raises(InvalidArgumentError, match="as planned"):
        next(errors)
    wire.gone = "it has ended"
    errors.close()
    assert sum(isinstance(each, Close) for each in wire.said) == 1
