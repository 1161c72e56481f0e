"""A segment: a reader and the stateless operators behind it, run on a split, element after element.

This is all that workers compute, and the in-process executor computes it with the same lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from .blocks import BlockBuilder
from .errors import HeadraceError, InvalidArgumentError, PoisonError
from .functions import UserFunction, failure
from .nodes import Configured, Filter, Lines, Map, Node, Prefetch, Range, Records, Rows
from .ownership import own
from .place import Path, Place, node_at
from .readers import Chunk, read
from .seeds import generators
from .store import Identities
from .structure import Structure, flatten, restack
from .work import Appetite, Payload, Piece, Poison, Work, identities, size_of, too_large

__all__ = ["Segment", "Watch", "execute", "segment_at", "segment_of"]

#: Told before each element: its position. For whoever must know on what a worker died.
Watch = Callable[[int], None]
_Flat: TypeAlias = "tuple[list[Any], Structure]"


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One function of a segment."""

    function: UserFunction
    keeps: bool  #: Whether it is a predicate.
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A leaf, or None where elements are handed along, and the functions behind it."""

    path: Path
    leaf: Node | None
    input: Node | None  #: What feeds it: file names for a reader, a stateful operator where elements are handed along.
    steps: tuple[Step, ...]


def segment_at(node: Node, branch: Path = ()) -> Segment:
    """The segment that ends at a node: everything stateless below it, down to a leaf or a stateful operator."""
    steps: list[Step] = []
    here = Place(branch=branch)
    path = here.path(node)
    while isinstance(node, Map | Filter | Configured | Prefetch):
        if isinstance(node, Map | Filter):
            steps.append(Step(node.function, isinstance(node, Filter), here.path(node)))
        node = node.source
    steps.reverse()
    if isinstance(node, Records | Lines):
        return Segment(path, node, node.filenames, tuple(steps))
    if isinstance(node, Rows | Range):
        return Segment(path, node, None, tuple(steps))
    return Segment(path, None, node, tuple(steps))


def segment_of(graph: Node, path: Path) -> Segment:
    """The segment whose last operator has this path."""
    return segment_at(node_at(graph, path), path[:-1])


def execute(
    segment: Segment,
    work: Work,
    payload: Payload | None,
    seed: int,
    epoch: int,
    appetite: Appetite,
    watch: Watch | None = None,
) -> Iterator[Piece]:
    """The pieces of a unit of work, in order; the last one says that it is the last.

    `appetite` may be changed between pieces. What fails is a piece of its own, and the next goes on behind it.
    """
    run = _Run(segment, work, seed, epoch, appetite, watch)
    position = work.start
    for chunk in read(segment.leaf, work, payload):
        if chunk.error is not None:
            yield Piece(position, chunk.next, error=chunk.error)
        elif segment.steps or work.poison:
            yield from run.apply(chunk, position)
        else:
            yield run.whole(chunk, position)
        position = chunk.next
    yield Piece(position, position, last=True)


@dataclass(slots=True)
class _Run:
    segment: Segment
    work: Work
    seed: int
    epoch: int
    appetite: Appetite
    watch: Watch | None
    calls: list[tuple[Step, Callable[[int, int], np.random.Generator]]] = field(init=False)
    poison: dict[int, Poison] = field(init=False)

    def __post_init__(self) -> None:
        self.poison = {each.position: each for each in self.work.poison}
        self.calls = [(step, generators(self.seed, self.epoch, step.path)) for step in self.segment.steps]

    def whole(self, chunk: Chunk, first: int) -> Piece:
        """A chunk that no function looks at."""
        if not len(chunk.offsets):
            return Piece(first, chunk.next)
        if error := too_large(chunk.block.nbytes):  # a chunk of so many bytes is one element
            return Piece(first, chunk.next, error=_place(error, self.work, self._identities(chunk)[0], "reading"))
        return Piece(first, chunk.next, chunk.block, self._identities(chunk), chunk.offsets)

    def _identities(self, chunk: Chunk) -> Identities:
        if chunk.identities is not None:
            return chunk.identities
        return identities(self.work.origin, chunk.offsets)

    def apply(self, chunk: Chunk, first: int) -> Iterator[Piece]:
        """The chunk's elements through the functions, in pieces that end where the appetite does."""
        who = self._identities(chunk)
        starts = chunk.offsets.tolist()
        ends = [*starts[1:], chunk.next]
        collected = _Collected(first, who)
        for row, value in enumerate(chunk.block):
            at, end = starts[row], ends[row]
            try:
                found = self._element(value, at, who[row])
            except HeadraceError as error:
                yield from collected.piece(at)
                yield Piece(at, end, error=error)
                collected = _Collected(end, who)
                continue
            if found is not None and not collected.add(found, row, at):
                yield from collected.piece(at)
                collected = _Collected(at, who)
                collected.add(found, row, at)
            if collected.full(self.appetite):
                yield from collected.piece(end)
                collected = _Collected(end, who)
        yield from collected.piece(chunk.next)

    def _element(self, value: Any, at: int, who: Any) -> _Flat | None:
        """One element's components, which nobody else holds, and structure; None where a predicate leaves it out."""
        if self.watch is not None:
            self.watch(at)
        if at in self.poison:
            raise PoisonError(
                describe(self.work, int(who[0]), int(who[1])), self.poison[at].strikes, self.poison[at].cause
            )
        flat: _Flat | None = None
        for step, generator in self.calls:
            if flat is not None:
                value, flat = flat[1].pack(flat[0]), None
            try:
                result = step.function(value, lambda: generator(int(who[0]), int(who[1])))  # noqa: B023
                if not step.keeps:
                    flat = flatten(restack(result))
                elif not _truth(result, step.function):
                    return None
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                told = failure(step.function, error)
                raise _place(told, self.work, who, step.function.name) from told.__cause__
            del result
            if flat is not None:
                own(flat[0])
        if flat is None:
            flat = flatten(value)
            own(flat[0])
        if large := too_large(sum(map(size_of, flat[0]))):
            raise _place(large, self.work, who, self.calls[-1][0].function.name if self.calls else "reading")
        return flat


class _Collected:
    """Elements on their way into a piece."""

    def __init__(self, first: int, who: Identities) -> None:
        self.first, self.who = first, who
        self.builder = BlockBuilder()
        self.rows: list[int] = []
        self.at: list[int] = []
        self.since = time.monotonic()

    def add(self, found: _Flat, row: int, at: int) -> bool:
        if not self.builder.add(*found):
            return False
        self.rows.append(row)
        self.at.append(at)
        return True

    def full(self, appetite: Appetite) -> bool:
        """Whether to end here; also where nothing was kept for long, so that progress is seen."""
        if len(self.rows) >= appetite.elements or self.builder.nbytes >= appetite.nbytes:
            return True
        return time.monotonic() - self.since >= appetite.seconds

    def piece(self, end: int) -> Iterator[Piece]:
        if self.rows:
            block = self.builder.build()
            yield Piece(self.first, end, block, self.who[self.rows], np.array(self.at, np.int64))
        elif end > self.first:
            yield Piece(self.first, end)


def _truth(result: Any, function: UserFunction) -> bool:
    if isinstance(result, bool | np.bool_):
        return bool(result)
    if isinstance(result, np.ndarray) and result.shape == () and result.dtype == np.bool_:
        return bool(result)
    shape = getattr(result, "shape", "")
    raise InvalidArgumentError(
        f"{function.name} must return one boolean, not {type(result).__name__}{f' of shape {shape}' if shape else ''}: "
        "compare, as in `x > 0`, or wrap it in bool()"
    )


def describe(work: Work, origin: int, offset: int) -> str:
    """In words, which element, from its identity, which does not depend on how the work was divided."""
    path = work.path or dict(work.paths).get(origin)
    return f"the record at byte {offset:,} of {path}" if path else f"element {offset:,}"


def _place(error: HeadraceError, work: Work, who: Any, operator: str) -> HeadraceError:
    if error.where is None:
        error.where = f"{operator}, {describe(work, int(who[0]), int(who[1]))}"
    return error
