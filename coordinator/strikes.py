"""Strikes: elements during whose execution workers were lost. Facts change them, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from ..pipeline.flat import GRAIN, INSIDE
from ..pipeline.orders import Want
from ..pipeline.work import BEHIND

__all__ = ["MOST", "Cleared", "Element", "Fact", "Forgiven", "Strikes", "Struck", "element_at"]

#: Workers lost while one element was executing after which it is called poison.
MOST = 3
#: So much is kept of what each was lost to, in characters.
CAUSE = 500


class Element(NamedTuple):
    """Who an element is in one epoch of one job, however its input is divided: a split's number and rows change."""

    job: int
    epoch: int
    segment: tuple[int, ...]
    origin: int
    offset: int
    within: int = 0  #: What of it, where it gives any number of others.

    def struck(self, cause: str) -> Struck:
        """One more loss of it."""
        return Struck(*self[:5], cause, self.within)


@dataclass(frozen=True, slots=True)
class Struck:
    """A worker was lost while it executed an element, and how."""

    job: int
    epoch: int
    segment: tuple[int, ...]
    origin: int
    offset: int
    cause: str
    within: int = 0


@dataclass(frozen=True, slots=True)
class Forgiven:
    """An element came through: it was bad luck."""

    job: int
    epoch: int
    segment: tuple[int, ...]
    origin: int
    offset: int
    within: int = 0


@dataclass(frozen=True, slots=True)
class Cleared:
    """All epochs of a job before `before` are over; all of them at all, where that is None."""

    job: int
    before: int | None


Fact: TypeAlias = Struck | Forgiven | Cleared


@dataclass(slots=True)
class Strikes:
    """What each loss of an element was put down to, in order. Replaying all facts gives the strikes that wrote them."""

    causes: dict[Element, list[str]] = field(default_factory=dict)

    def apply(self, fact: Fact) -> None:
        """Let a fact be so."""
        match fact:
            case Struck(job, epoch, segment, origin, offset, cause, within):
                self.causes.setdefault(Element(job, epoch, segment, origin, offset, within), []).append(cause)
            case Forgiven(job, epoch, segment, origin, offset, within):
                self.causes.pop(Element(job, epoch, segment, origin, offset, within), None)
            case Cleared(job, before):
                self.causes = {each: them for each, them in self.causes.items() if not _over(each, job, before)}

    def facts(self) -> list[Fact]:
        """The fewest facts that rebuild this."""
        return [element.struck(cause) for element, causes in self.causes.items() for cause in causes]

    def over(self, job: int, before: int | None) -> bool:
        """Whether anything is known of these epochs."""
        return any(_over(each, job, before) for each in self.causes)

    def within(self, want: Want) -> Iterator[tuple[int, Element, list[str]]]:
        """Elements of a split that cost workers: at which position each stands, and the causes."""
        if not self.causes:
            return
        work = want.work
        places = {}
        if want.payload is not None:
            places = {(origin, offset): row for row, (origin, offset) in enumerate(want.payload.identities.tolist())}
        for element, causes in self.causes.items():
            if element[:3] != (want.job, want.epoch, work.segment):
                continue
            if want.payload is not None:
                row = places.get((element.origin, element.offset), -1)
                position = row * _grain(want) + element.within if row >= 0 else -1
            else:
                position = work.position_of(element.offset) if element.origin == work.origin else -1
            if _executes(want, position):
                yield position, element, causes


def _over(element: Element, job: int, before: int | None) -> bool:
    return element.job == job and (before is None or element.epoch < before)


def _executes(want: Want, position: int) -> bool:
    """Whether a split has an element at a position that is still to be executed."""
    work = want.work
    if position >= 0 and position & INSIDE:
        return position // GRAIN >= work.start // GRAIN  # on the way to those that are wanted, however few they are
    stop = BEHIND if work.stop is None else work.stop
    return work.start <= position < stop and (work.only is None or position in work.only)


def element_at(want: Want, position: int) -> Element | None:
    """Who stands at a position of a split; None where nobody can."""
    if not _executes(want, position):
        return None
    origin, offset = want.work.origin, want.work.offset_at(position)
    within = 0
    if want.payload is not None:
        row, within = divmod(position, _grain(want))
        if row >= len(want.payload.identities):
            return None
        origin, offset = want.payload.identities[row].tolist()
    return Element(want.job, want.epoch, want.work.segment, origin, offset, within)


def _grain(want: Want) -> int:
    """How many input positions each element that is handed along has."""
    assert want.payload is not None, "nothing is handed along"
    return max(1, (want.work.stop or 0) // max(1, len(want.payload.identities)))
