"""The consumers of one job, played by hand: each asks, takes and acknowledges as a client does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headrace.broker.book import Book
from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.messages import Close, Deliver, Ended, Message, Next, Open, Opened, Refused, Register, Waiting

from .house import LIMITS, House

__all__ = ["Crew"]


@dataclass
class Crew:
    """A house whose job has several consumers, each a peer of its own."""

    dataset: Dataset
    consumers: int = 3
    even: str = "drop"
    limits: Limits = LIMITS
    incarnation: int = 1
    book: Book | None = None
    generation: int = 9
    house: House = field(init=False)
    sessions: dict[int, Any] = field(default_factory=dict)
    cursors: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.house = House(self.dataset, limits=self.limits, incarnation=self.incarnation, book=self.book)
        self.house.say(self.register)

    @property
    def register(self) -> Register:
        return Register("job:train", b"graph", 5, "", "train", self.consumers, self.even)

    @property
    def job(self) -> int:
        return self.house.broker.book.numbers["job:train"]

    def open(
        self, consumer: int, epoch: int = -1, generation: int | None = None, cursor: int | None = None
    ) -> list[Message]:
        """A consumer opens an epoch; in the answer's session it then speaks."""
        message = Open(self.incarnation, self.job, generation or self.generation, epoch, cursor, consumer)
        answers = self.house.say(message, peer_of(consumer))
        for answer in answers:
            if isinstance(answer, Opened):
                self.sessions[consumer], self.cursors[consumer] = answer.session, answer.cursor
        return answers

    def open_all(self, epoch: int = -1) -> None:
        for consumer in range(self.consumers):
            self.open(consumer, epoch)

    def received(self, consumer: int) -> int:
        """How many of its elements are there, in the session at hand."""
        came = (each for each in self.told(consumer) if isinstance(each, Deliver))
        ends = [each.first + each.count for each in came if each.session == self.sessions[consumer]]
        return max([self.cursors[consumer], *ends])

    def ask(self, consumer: int, until: int, done: int | None = None) -> list[Message]:
        """It asks for its elements before `until`, and is done with those before `done`, if not with all it has."""
        had = self.received(consumer)
        acknowledged = had if done is None else done
        return self.house.say(Next(self.sessions[consumer], acknowledged, had, until), peer_of(consumer))

    def why(self, consumer: int) -> str:
        """Why nothing comes."""
        had = self.received(consumer)
        again = Next(self.sessions[consumer], had, had, had + 1, again=True)
        (told,) = self.house.say(again, peer_of(consumer))
        assert isinstance(told, Waiting)
        return told.reason

    def leave(self, consumer: int) -> None:
        self.house.say(Close(self.job, self.sessions[consumer][0], consumer), peer_of(consumer))

    def had(self, consumer: int) -> list[tuple[int, Any]]:
        """Numbers and values of all that was sent to a consumer."""
        return self.house.delivered(peer_of(consumer))

    def values(self, consumer: int) -> list[Any]:
        return [value for _, value in self.had(consumer)]

    def ends(self, consumer: int) -> list[Ended]:
        return [each for each in self.told(consumer) if isinstance(each, Ended)]

    def told(self, consumer: int) -> list[Message]:
        return [each.message for each in self.house.replies if each.peer == peer_of(consumer)]

    def refusals(self, consumer: int) -> list[str]:
        return [str(each.error["args"][0]) for each in self.told(consumer) if isinstance(each, Refused)]


def peer_of(consumer: int) -> str:
    return f"client-{consumer}"
