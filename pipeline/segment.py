"""A segment: a reader and the stateless operators behind it, run on a split, element after element.

This is all that workers compute, and the in-process executor computes it with the same lines.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Block, BlockBuilder
from .errors import HeadraceError, InvalidArgumentError, PoisonError
from .functions import UserFunction, failure
from .nodes import Configured, Filter, Lines, Map, Node, Prefetch, Range, Records, Rows
from .readers import Chunk, read
from .seeds import generators
from .structure import flatten, restack
from .work import Appetite, Payload, Piece, Work, identities

__all__ = ["Segment", "Watch", "execute", "segment_at"]

#: Told before each element: its position. For whoever must know on what a worker died.
Watch = Callable[[int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One function of a segment."""

    function: UserFunction
    keeps: bool  #: Whether it is a predicate.
    path: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A leaf, or None where elements are handed along, and the functions behind it."""

    path: tuple[int, ...]
    leaf: Node | None
    input: Node | None  #: What feeds it: file names for a reader, a stateful operator where elements are handed along.
    steps: tuple[Step, ...]


def segment_at(node: Node, branch: tuple[int, ...] = ()) -> Segment:
    """The segment that ends at a node: everything stateless below it, down to a leaf or a stateful operator."""
    steps: list[Step] = []
    path = (*branch, node.height)
    while isinstance(node, Map | Filter | Configured | Prefetch):
        if isinstance(node, Map | Filter):
            steps.append(Step(node.function, isinstance(node, Filter), (*branch, node.height)))
        node = node.source
    steps.reverse()
    if isinstance(node, Records | Lines):
        return Segment(path, node, node.filenames, tuple(steps))
    if isinstance(node, Rows | Range):
        return Segment(path, node, None, tuple(steps))
    return Segment(path, None, node, tuple(steps))


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
            yield Piece(position, chunk.next, error=_place(chunk.error, work, position, "reading"))
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

    def whole(self, chunk: Chunk, first: int) -> Piece:
        """A chunk that no function looks at."""
        if not len(chunk.offsets):
            return Piece(first, chunk.next)
        return Piece(first, chunk.next, chunk.block, self._identities(chunk), chunk.offsets)

    def _identities(self, chunk: Chunk) -> Any:
        if chunk.identities is not None:
            return chunk.identities
        return identities(self.work.origin, chunk.offsets)

    def apply(self, chunk: Chunk, first: int) -> Iterator[Piece]:
        """The chunk's elements through the functions, in pieces that end where the appetite does."""
        call = [(step, generators(self.seed, self.epoch, step.path)) for step in self.segment.steps]
        who = self._identities(chunk)
        ends = [*chunk.offsets[1:].tolist(), chunk.next]
        collected = _Collected(first)
        for row, end in enumerate(ends):
            at = int(chunk.offsets[row])
            try:
                found = self._element(chunk, row, at, call, who[row])
            except HeadraceError as error:
                yield from collected.piece(at)
                yield Piece(at, end, error=error)
                collected = _Collected(end)
                continue
            if found is not None and not collected.add(found, who[row], at):
                yield from collected.piece(at)
                collected = _Collected(at)
                collected.add(found, who[row], at)
            if collected.full(self.appetite):
                yield from collected.piece(end)
                collected = _Collected(end)
        yield from collected.piece(chunk.next)

    def _element(self, chunk: Chunk, row: int, at: int, call: Any, who: Any) -> Any:
        """One element's components and structure; None where a predicate leaves it out."""
        if self.watch is not None:
            self.watch(at)
        if at in self.work.poison:
            raise PoisonError(describe(self.work, at), 3, "killed, or longer than a lease without an answer")
        value = chunk.block.element(row)
        flat = None
        for number, (step, generator) in enumerate(call):
            if number:
                value = flat[1].pack(_own(flat[0])) if flat is not None else value
            try:
                result = step.function(value, lambda: generator(int(who[0]), int(who[1])))  # noqa: B023
                if step.keeps:
                    if not _truth(result, step.function):
                        return None
                    continue
                flat = flatten(restack(result))
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt | GeneratorExit):
                    raise
                told = failure(step.function, error)
                raise _place(told, self.work, at, step.function.name) from told.__cause__
        return flat if flat is not None else flatten(value)


class _Collected:
    """Elements on their way into a piece."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.builder = BlockBuilder()
        self.who: list[Any] = []
        self.at: list[int] = []
        self.since = time.monotonic()

    def add(self, found: Any, who: Any, at: int) -> bool:
        components, structure = found
        del found
        if not self.builder.add(_own(components), structure):
            return False
        self.who.append(who)
        self.at.append(at)
        return True

    def full(self, appetite: Appetite) -> bool:
        """Whether to end here; also where nothing was kept for long, so that progress is seen."""
        if len(self.builder) >= appetite.elements or self.builder.nbytes >= appetite.nbytes:
            return True
        return time.monotonic() - self.since >= appetite.seconds

    def piece(self, end: int) -> Iterator[Piece]:
        if len(self.builder):
            block = self.builder.build()
            yield Piece(self.first, end, block, np.array(self.who, np.uint64).reshape(-1, 2), np.array(self.at, np.int64))
        elif end > self.first:
            yield Piece(self.first, end)


def _references(components: list[Any], number: int) -> int:
    return sys.getrefcount(components[number])


def _base_references(components: list[Any], number: int) -> int:
    return sys.getrefcount(components[number].base)


#: What the two give where nothing but the list holds the array, or nothing but its view holds the memory.
_SOLE = _references([np.empty(1)], 0)
_SOLE_BASE = _base_references([np.empty(2)[:1]], 0)


def _own(components: list[Any]) -> list[Any]:
    """The components, arrays copied unless nobody else holds them: a function may hand out one buffer again and again."""
    return [each if _owned(components, i) else each.copy() for i, each in enumerate(components)]


def _owned(components: list[Any], number: int) -> bool:
    # The caller's loop holds one reference more than the list does.
    component = components[number]
    if not isinstance(component, np.ndarray):
        return True
    base = component.base
    del component
    if base is None:
        return _references(components, number) <= _SOLE + 1
    if not isinstance(base, np.ndarray) or base.base is not None:
        return False
    del base
    return _base_references(components, number) <= _SOLE_BASE


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


def describe(work: Work, at: int) -> str:
    """In words, which element."""
    if work.path:
        return f"the record at byte {at:,} of {work.path}"
    return f"element {at:,}"


def _place(error: HeadraceError, work: Work, at: int, operator: str) -> HeadraceError:
    if error.where is None:
        error.where = f"{operator}, {describe(work, at)}"
    return error
