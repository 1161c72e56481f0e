"""A training script, played: its lives, one after another, and what they must have had in all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from headrace.client.machine import ClientSession, Go, Parcel, Received, Say, Stand, Take, Tick
from headrace.pipeline.errors import FailedPreconditionError
from headrace.pipeline.messages import Message
from headrace.pipeline.pieces import block_from
from headrace.pipeline.token import Token

from .reference import in_short, plain
from .weather import Lost

__all__ = ["Life", "Saved", "Trainer", "share"]

#: What one step of a training loop gets: the element, and whether it is its own and does not just fill up a round.
Step: TypeAlias = "tuple[Any, bool]"


def share(elements: Sequence[Any], consumer: int, consumers: int, even: str) -> list[Step]:
    """What one of several consumers gets of an epoch's elements.

    >>> share("abcdefg", 1, 3, "drop")
    [('b', True), ('e', True)]
    >>> share("abcdefg", 1, 3, "pad")
    [('b', True), ('e', True), ('g', False)]
    """
    rounds, rest = divmod(len(elements), consumers)
    full = [(each, True) for each in elements[consumer : rounds * consumers : consumers]]
    if not rest or even == "drop":
        return full
    last = elements[rounds * consumers :]
    return [*full, (last[consumer], True) if consumer < rest else (last[0], False)]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a script saved with its model: so many elements of an epoch are done with, and a checkpoint before that."""

    epoch: int
    element: int
    state: bytes

    @property
    def position(self) -> bytes:
        """As a server is told."""
        return Token(fingerprint={}, seed=0, epoch=self.epoch, element=self.element, state=self.state).position()


@dataclass(eq=False)
class Life:
    """One process of a training script."""

    session: ClientSession
    epoch: int = -1
    cursor: int | None = None  #: Number of the element that comes next; None before the server said it.
    over: bool = False
    saving: bool = False  #: Whether it waits to be told where it stands.

    @property
    def name(self) -> str:
        return self.session.hello.name


@dataclass
class Trainer:
    """Takes elements, thinks for a while, goes on to the next epoch; another life goes on where the last one was."""

    elements: Sequence[Sequence[Any]]  #: Of each epoch, for all consumers together.
    consumer: int
    consumers: int
    even: str
    enlist: Callable[[], ClientSession]  #: The session of a new life.
    done_with: Callable[[int], Mapping[int, int]]  #: Elements that the disk says a life is done with, by epoch.
    think_s: float = 0.03
    leaves_at: tuple[int, int] | None = None  #: Before this epoch and element it is done with the job.
    agreed: list[Saved] = field(default_factory=list)  #: What all scripts of the job are to load, the last one.
    saved: list[Saved] = field(default_factory=list)
    life: Life = field(init=False)
    begun: bool = False
    seen: list[int] = field(default_factory=list)  #: Elements that some life has had, by epoch.
    done: bool = False
    parting: list[Say] = field(default_factory=list)  #: What it said last.
    crashes: int = 0
    loads: int = 0
    cut_until: float = 0.0

    def __post_init__(self) -> None:
        self.seen = [0] * len(self.elements)

    def expected(self, epoch: int, base: int = 0) -> list[Step]:
        """What it gets of an epoch, from element `base` on."""
        return share(self.elements[epoch][base:], self.consumer, self.consumers, self.even)

    def begin(self, now: float) -> list[Say]:
        """A new life, which goes on where the last one was, or where all agreed to."""
        self.life, self.begun = Life(self.enlist()), True
        said = self.life.session.handle(Tick(now))
        return said + (self.load() if self.agreed else self.life.session.handle(Go(-1)))

    def load(self) -> list[Say]:
        """Go on with what was saved; whatever came behind that is void."""
        token = self.agreed[-1]
        self.loads += 1
        self.done = self.life.saving = False
        self.life.epoch, self.life.cursor = -1, None
        self.seen[token.epoch :] = [0] * len(self.seen[token.epoch :])
        return self.life.session.handle(Go(token.epoch, token=token.position))

    def save(self) -> list[Say]:
        """Ask where it stands, and take nothing until that is known."""
        session = self.life.session
        if session.session is None or self.done or self.life.over or session.finished:
            return []
        self.life.saving = True
        return session.handle(Stand())

    def _note(self) -> bool:
        """Whether it waits to be told where it stands."""
        session, standing = self.life.session, self.life.session.standing
        if self.life.saving and standing is not None and session.epoch is not None:
            taken = session.base + self.consumers * session.taken
            # The last round may be filled up: the server knows that where it is the one that did so.
            if standing.element not in (taken, min(taken, len(self.elements[session.epoch]))):
                raise Lost(
                    f"{session.taken} of {self.consumers} taken from {session.base}, and the token says {standing}"
                )
            self.life.saving = False
            self.saved.append(Saved(session.epoch, standing.element, standing.state))
        return self.life.saving

    def crash(self) -> None:
        """The end of this life."""
        self.life.over = True
        self.crashes += 1

    def leave(self) -> list[Say]:
        """The end of this life in good order, and of the job for this consumer. It is said until it must be known."""
        self.done = self.life.over = True
        self.parting = self.parting or self.life.session.close()
        return self.parting

    def reached(self, peer: str, now: float) -> bool:
        """Whether what is sent to this peer arrives here."""
        return self.begun and self.life.name == peer and not self.life.over and now >= self.cut_until

    def hear(self, message: Message, buffer: Any) -> list[Say]:
        """The server said something."""
        return self.life.session.handle(Received(message, buffer))

    def tick(self, now: float) -> list[Say]:
        """Time passes."""
        return self.life.session.handle(Tick(now))

    @property
    def idle(self) -> bool:
        """Whether it waits for the server."""
        return self.life.session.ready is None and not self.life.session.finished

    def turn(self, now: float) -> list[Say]:
        """One turn of the training loop: an element, or the end of an epoch, if it is there."""
        session = self.life.session
        said = self.tick(now)
        if session.refused is not None:
            if not (self.agreed and isinstance(session.refused, FailedPreconditionError)):
                raise Lost(f"the client gives up: {session.refused}")
            return said + self.load()
        if self.done or self._note():
            return said
        if (parcel := session.ready) is not None:
            self._check(parcel)
            if self.leaves_at == (self.life.epoch, self.life.cursor):
                return said + self.leave()
            said += session.handle(Take(1))
        elif session.finished and session.epoch is not None:
            said += self._finish(session.epoch)
        return said

    def _check(self, parcel: Parcel) -> None:
        life, epoch, number = self.life, self.life.session.epoch, parcel.first + parcel.skip
        assert epoch is not None
        if (life.epoch, life.cursor) != (epoch, number) and (life.epoch == epoch or number > self.seen[epoch]):
            raise Lost(f"epoch {epoch}: element {number} came, {life.cursor} was next, {self.seen} were seen")
        if number < (least := self.done_with(self.life.session.generation).get(epoch, 0)):
            raise Lost(f"epoch {epoch}: element {number} came again, {least} were acknowledged")
        step = _step(parcel)
        expected = self.expected(epoch, life.session.base)
        if number >= len(expected) or step != expected[number]:
            raise Lost(f"epoch {epoch}, element {number} is {step}")
        life.epoch, life.cursor = epoch, number + 1
        self.seen[epoch] = max(self.seen[epoch], number + 1)

    def _finish(self, epoch: int) -> list[Say]:
        expected = self.expected(epoch, self.life.session.base)
        if self.seen[epoch] != len(expected):
            raise Lost(f"epoch {epoch} ended after {self.seen[epoch]} of {len(expected)}")
        said = self.life.session.handle(Take(0))
        if epoch + 1 == len(self.elements):
            self.done = True
            return said
        self.life.epoch, self.life.cursor = epoch + 1, 0
        return said + self.life.session.handle(Go(epoch + 1))


def _step(parcel: Parcel) -> Step:
    """The element that a loop gets."""
    if parcel.error is not None:
        return in_short(parcel.error), parcel.mask
    assert parcel.layout is not None
    return plain(block_from(parcel.layout, parcel.buffer).element(parcel.skip)), parcel.mask
