"""Facts: all that a server must know after its own death, and how each of them is written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeAlias, get_origin, get_type_hints

import msgpack

from .broker import book
from .broker.book import Book
from .coordinator import strikes
from .coordinator.strikes import Strikes
from .pipeline.errors import MalformedMessage

__all__ = ["FACTS", "Fact", "Memory", "from_bytes", "to_bytes"]

Fact: TypeAlias = book.Fact | strikes.Fact

#: By name, as they are told apart on disk.
FACTS: dict[str, type[Any]] = {kind.__name__: kind for kind in Fact.__args__}
#: Whether each field is a tuple, which MessagePack gives back as a list.
_TUPLES = {
    name: [get_origin(get_type_hints(kind)[each.name]) is tuple for each in fields(kind)]
    for name, kind in FACTS.items()
}
#: File names may hold bytes that are no text; Python carries them as lone surrogates, and so do we.
_NAMES = "surrogateescape"


@dataclass(slots=True)
class Memory:
    """What facts say, all together: the broker's book and the coordinator's strikes."""

    book: Book = field(default_factory=Book)
    strikes: Strikes = field(default_factory=Strikes)

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> Self:
        """What these facts say, in this order."""
        memory = cls()
        for fact in facts:
            memory.apply(fact)
        return memory

    def apply(self, fact: Fact) -> None:
        """Let a fact be so."""
        if isinstance(fact, strikes.Fact):
            self.strikes.apply(fact)
        else:
            self.book.apply(fact)

    def facts(self) -> list[Fact]:
        """The fewest facts that rebuild this."""
        return [*self.book.facts(), *self.strikes.facts()]


def to_bytes(fact: Fact) -> bytes:
    """A fact in MessagePack, as a list of its class name and fields.

    >>> from headrace.broker.book import Closed
    >>> from_bytes(to_bytes(Closed(3)))
    Closed(job=3)
    """
    packed: bytes = msgpack.packb(
        [type(fact).__name__, *(getattr(fact, f.name) for f in fields(fact))], unicode_errors=_NAMES
    )
    return packed


def from_bytes(data: bytes) -> Fact:
    """The fact that `to_bytes` wrote.

    Raises:
        MalformedMessage: bytes that are no fact.
    """
    try:
        name, *values = msgpack.unpackb(data, unicode_errors=_NAMES, strict_map_key=False)
        tuples = _TUPLES[name]
        given = [tuple(value) if wanted else value for value, wanted in zip(values, tuples, strict=True)]
        fact: Fact = FACTS[name](*given)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise MalformedMessage(f"not a fact: {type(error).__name__}: {error}") from error
    return fact
