"""Work: what a lease names, and the pieces that come of it.

A unit of work covers a run of input positions: rows of an array, bytes of a file's uncompressed
content, or elements handed along. Its pieces cover it without gap, in order, so that whoever collects
them knows what is missing from positions alone, whatever a filter left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import Block
from .columns import Allocate
from .errors import HeadraceError, MalformedMessage, ResourceExhaustedError
from .limits import Limits, limits
from .lineage import Identities
from .views import View, positions_of, rows_of

__all__ = [
    "BEHIND",
    "ELEMENT_BYTES",
    "STATE_BYTES",
    "STATE_ROOM",
    "Appetite",
    "Payload",
    "Piece",
    "Poison",
    "Work",
    "identities",
    "size_of",
    "too_large",
]


#: What one element may take, a batch too, where nobody set another limit: it must fit a message.
ELEMENT_BYTES = Limits().element_bytes

#: What the state of a sequential function may take: it goes from worker to worker, and into checkpoints.
STATE_BYTES = 1 << 20
#: And as it is carried, with what tells its structure.
STATE_ROOM = STATE_BYTES + (64 << 10)

#: A position behind any content. A piece that ends here says that the rest of its file cannot be read.
BEHIND = 1 << 62


@dataclass(frozen=True, slots=True)
class Poison:
    """The element at a position cost so many workers, and how."""

    position: int
    strikes: int
    cause: str


@dataclass(frozen=True, slots=True)
class Work:
    """One split of one segment's input."""

    segment: tuple[int, ...]  #: The path of the segment's last operator.
    origin: int  #: Of all its elements, unless they are handed along with origins of their own.
    start: int  #: The first input position.
    stop: int | None  #: One past the last; None where only reading tells.
    path: str = ""  #: The file, where there is one.
    only: tuple[int, ...] | None = None  #: Just the elements at these positions, to fill buffers again.
    poison: tuple[Poison, ...] = ()  #: Elements that are not to be executed, but fail.
    paths: tuple[tuple[int, str], ...] = ()  #: Of elements handed along, the file of each origin, to name in errors.
    view: View = ()  #: Which row of the leaf stands at each position, where that is not the position itself.
    turns: bool = False  #: Consumed in turn with others like it, so that none of them should be far ahead.
    ruled: tuple[tuple[int, int], ...] = ()  #: From position to position, what is not to be computed, but fails.
    since: int | None = None  #: To which position the state of a sequential function belongs, where it is one.

    def after(self, position: int) -> Work:
        """The rest of it, from a position on."""
        return self if position == self.start else replace(self, start=position)

    def whole(self) -> Work:
        """All of the input that it is a part of: by what elements of its origin are made again."""
        return Work(self.segment, self.origin, 0, None, self.path, view=self.view)

    def offsets(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Of the elements at these positions; not for work on elements that are handed along."""
        return rows_of(self.view, positions) if self.view else positions

    def positions(self, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where elements of these offsets stand, were the work the whole input; -1 for what is not in the view."""
        return positions_of(self.view, offsets) if self.view else offsets

    def offset_at(self, position: int) -> int:
        """`offsets` of one."""
        return int(self.offsets(np.array([position]))[0]) if self.view else position

    def position_of(self, offset: int) -> int:
        """`positions` of one."""
        return int(self.positions(np.array([offset]))[0]) if self.view else offset

    def to_data(self) -> list[Any]:
        """As plain data, for a message."""
        only = None if self.only is None else list(self.only)
        poison = [[each.position, each.strikes, each.cause] for each in self.poison]
        where = [list(self.segment), self.origin, self.start, self.stop, self.path]
        return [*where, only, poison, self.paths, self.view, self.turns, self.ruled, self.since]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> Work:
        """Back from `to_data`.

        Raises:
            MalformedMessage: what is no work.
        """
        try:
            return cls._from_data(*data)
        except (TypeError, ValueError) as error:
            raise MalformedMessage(f"work that is none: {error}") from error

    @classmethod
    def _from_data(
        cls,
        segment: Any,
        origin: Any,
        start: Any,
        stop: Any,
        path: Any,
        only: Any,
        poison: Any,
        paths: Any,
        view: Any,
        turns: Any,
        ruled: Any,
        since: Any,
    ) -> Work:
        positions = None if only is None else _places(only)
        ends = _places([start, BEHIND if stop is None else stop])
        named = tuple((_whole(origin), _text(path)) for origin, path in paths)
        poisoned = tuple(Poison(_place(position), _place(strikes), _text(cause)) for position, strikes, cause in poison)
        stages = tuple(tuple(map(_whole, stage)) for stage in view)
        if any(len(each) not in (2, 3) for each in stages) or type(turns) is not bool or ends[0] > ends[1]:
            raise ValueError("its fields are none")
        if since is not None and _place(since) > ends[0]:
            raise ValueError("a state from behind its start")
        failing = tuple((_place(first), _place(end)) for first, end in ruled)
        place = (_places(segment), _whole(origin), start, stop, _text(path), positions)
        return cls(*place, poisoned, named, stages, turns, failing, since)


def _whole(value: Any) -> int:
    """A hash, or another number of up to 64 bits."""
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise ValueError(f"{value!r:.30} where a number belongs")
    return value


def _place(value: Any) -> int:
    """A position."""
    if _whole(value) > BEHIND:
        raise ValueError(f"{value} where a position belongs")
    return int(value)


def _places(values: Any) -> tuple[int, ...]:
    return tuple(map(_place, values))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.30} where a text belongs")
    return value


@dataclass(slots=True, eq=False)
class Piece:
    """What came of the input positions from `first` to before `next`: elements, one failure, or nothing."""

    first: int
    next: int
    block: Block | None = None
    identities: Identities | None = None
    positions: npt.NDArray[np.int64] | None = None  #: At which each element begins in the input.
    error: HeadraceError | None = None
    last: bool = False  #: Whether the input ends at `next`.
    left_out: int = 0  #: How many elements predicates left out,
    gaps: npt.NDArray[np.int64] | None = None  #: and how many directly before each that came, and behind the last.
    ignored: bool = False  #: Whether the failure is dropped by the segment itself.
    state: bytes | None = None  #: That of a sequential function behind it.
    tags: npt.NDArray[np.int64] | None = None  #: What functions say of each element (see `tags`), one column each.

    @property
    def nbytes(self) -> int:
        """Of its elements, and the state behind them."""
        return (self.block.nbytes if self.block is not None else 0) + len(self.state or b"")

    @property
    def width(self) -> int:
        """How many tags each element has."""
        return 0 if self.tags is None else self.tags.shape[1]


@dataclass(slots=True)
class Appetite:
    """How much to put into one piece: it ends at whichever comes first."""

    elements: int = 1 << 16
    nbytes: int = 1 << 20
    seconds: float = 0.02
    allocate: Allocate | None = None  #: Where the block of a piece is to lie.


@dataclass(slots=True)
class Payload:
    """Elements handed along with work, who they are, and the state of a sequential function before them."""

    block: Block
    identities: Identities
    state: bytes = b""  #: Nothing is the first state.


def identities(origin: int, offsets: Any) -> Identities:
    """Identities of elements of one origin."""
    found = np.empty((len(offsets), 2), np.uint64)
    found[:, 0] = origin
    found[:, 1] = offsets
    return found


def size_of(component: Any) -> int:
    """Bytes of one component; of an array of strings, those of its references."""
    return len(component) if isinstance(component, bytes) else int(component.nbytes)


def too_large(nbytes: int) -> ResourceExhaustedError | None:
    """The error for an element, or a batch, of so many bytes, if that is too much."""
    most = limits().element_bytes
    if nbytes <= most:
        return None
    return ResourceExhaustedError(
        f"an element takes {nbytes / 2**20:,.0f} MiB, and {most / 2**20:,.0f} MiB are the most for one element or "
        "batch: make it smaller in a map before, or use a smaller batch_size"
    )
