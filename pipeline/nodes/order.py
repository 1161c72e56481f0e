"""What changes which elements come, how often, and in what order."""

from __future__ import annotations

from dataclasses import dataclass

from ..structure import Structure
from .node import Node

__all__ = ["Concatenate", "Configured", "Enumerate", "Prefetch", "Repeat", "Shard", "Shuffle", "Skip", "Take", "Zip"]


@dataclass(frozen=True, slots=True, eq=False)
class Shuffle(Node):
    """Elements drawn at random from a window of the next `size`."""

    source: Node
    size: int
    seed: int | None = None
    reshuffle: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Repeat(Node):
    """The input `count` times over; -1 is for ever."""

    source: Node
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Take(Node):
    """The first `count` elements; -1 is all."""

    source: Node
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Skip(Node):
    """All but the first `count` elements; -1 is none."""

    source: Node
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Shard(Node):
    """Of every `count` elements the one at `index`."""

    source: Node
    count: int
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Enumerate(Node):
    """Each element behind its number, counted from `start`."""

    source: Node
    start: int


@dataclass(frozen=True, slots=True, eq=False)
class Zip(Node):
    """One element of each input together, nested as `structure` says, until one of them ends."""

    sources: tuple[Node, ...]
    structure: Structure  #: Its leaves stand for the inputs.


@dataclass(frozen=True, slots=True, eq=False)
class Concatenate(Node):
    """One input behind the other."""

    sources: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prefetch(Node):
    """The same elements; `size` says how many may wait ready, -1 leaves it to us."""

    source: Node
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Configured(Node):
    """The same elements under other options."""

    source: Node
    seed: int | None = None
    buffer_bytes: int | None = None
    on_error: str | None = None  #: "raise", "skip", or the path of a file that tells what was skipped.
    error_budget: int | None = None
