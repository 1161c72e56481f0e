"""A segment: a reader and the stateless operators behind it, which are run element after element."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from .collecting import Collected
from .columnwise import OnColumn, on_column, through
from .cutting import cut_at
from .element_records import taken_apart
from .errors import HeadraceError, PoisonError
from .functions import UserFunction, failure
from .leaves import Countable, countable, one_for_one
from .nodes import (
    Cache,
    Configured,
    Decoded,
    Enumerate,
    FileLeaf,
    Filter,
    FlatMap,
    Generator,
    IgnoreErrors,
    Interleave,
    Map,
    Node,
    Prefetch,
    Records,
    Rows,
    Scan,
    Tagged,
    Unbatch,
)
from .ownership import own
from .place import Path, Place, is_fixed, node_at
from .readers import Chunk
from .ruling import ruled
from .seeds import generators
from .store import Identities
from .structure import Structure, flatten, restack
from .tags import KINDS, SIZE, tag_of, truth
from .work import Appetite, Piece, Poison, Work, identities, size_of, too_large

__all__ = ["Segment", "Watch", "describe", "place", "run_steps", "segment_at", "segment_of"]

#: Told before each element: its position. For whoever must know on what a worker died.
Watch = Callable[[int], None]
_Flat: TypeAlias = "tuple[list[Any], Structure]"
#: What becomes a step.
_Step: TypeAlias = Map | Decoded | Filter | Tagged | Enumerate
#: Kinds of steps, beside those of tags.
_MAP, _FILTER, _TAKEN_APART = "map", "filter", "taken apart"


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One function of a segment, or the number that goes before each element."""

    function: UserFunction
    kind: str  #: What becomes of its result: the element, whether it stays, or a tag (see `tags`).
    path: Path
    start: int | None = None  #: Of the element at position 0, where elements are numbered.


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A leaf, or None where elements are handed along, and the functions behind it.

    An operator that makes any number of elements of each one handed along is a leaf, too.
    """

    path: Path
    leaf: Node | None
    input: Node | None  #: What feeds it: file names for a reader, any operator where elements are handed along.
    steps: tuple[Step, ...]
    rows: Countable | None = None  #: Of a leaf in memory, which of its rows.
    forgiven: int | None = None  #: What fails before so many of its steps are done is ignored, where something is.
    warns: bool = False  #: Whether that is to be said.
    fixed: bool = False  #: Whether it is below a cache: in the first epoch, whatever epoch is at hand.

    @property
    def flat(self) -> bool:
        """Whether each element handed along gives any number of others."""
        return isinstance(self.leaf, FlatMap | Interleave | Unbatch)

    @property
    def reads(self) -> bool:
        """Whether its leaf finds its elements by reading on, in files or what a function gives."""
        return isinstance(self.leaf, FileLeaf | Generator)

    @property
    def spread(self) -> bool:
        """Whether its leaf is read by one worker at a time and its functions are run by all, a hop later.

        That is worth it where something is made of each element. A predicate or a tag alone is not.
        """
        return self.reads and cut_at(self.leaf) is None and any(step.kind == _MAP for step in self.steps)

    @property
    def leaf_path(self) -> Path:
        """The path of the leaf."""
        assert self.leaf is not None, "no leaf"
        return (*self.path[:-1], self.leaf.height)

    @property
    def tags(self) -> int:
        """How many tags each element gets."""
        return sum(step.kind in KINDS for step in self.steps)


def segment_at(node: Node, branch: Path = (), fixed: bool = False) -> Segment:
    """The segment that ends at a node: everything stateless below it, down to a leaf or a stateful operator.

    One that ends at an interleave gives the elements of single datasets; it is the operator that merges them. One that
    ends at a cache gives what is in its file, which work names.
    """
    steps: list[Step] = []
    here, last = Place(branch=branch), node
    path = here.path(node)
    if isinstance(node, Cache):  # what reads its file
        return Segment(path, _RECORDS, None, (Step(_DECODE, _TAKEN_APART, path),))
    behind: int | None = None  # steps behind the last operator that ignores errors
    warns = False
    while (rows := countable(node)) is None and _is_step(node):
        if isinstance(node, IgnoreErrors):
            behind = len(steps) if behind is None else behind
            warns = warns or node.log_warning
        elif not isinstance(node, Configured | Prefetch):
            steps.append(_step(node, here.path(node)))
        node = node.source
    if rows is not None and rows.items is not None:
        steps.append(_step(rows.items, here.path(rows.items)))
    steps.reverse()
    leaf, source = _start(node, last) if rows is None else (rows.leaf, None)
    forgiven = None if behind is None else len(steps) - behind
    return Segment(path, leaf, source, tuple(steps), rows, forgiven, warns, fixed)


def _start(node: Node, last: Node) -> tuple[Node | None, Node | None]:
    """The leaf of a segment whose steps end at a node, and what feeds it."""
    if isinstance(node, FileLeaf):
        return node, node.filenames
    if isinstance(node, Generator):
        return node, None
    if isinstance(node, FlatMap | Unbatch) or (isinstance(node, Interleave | Scan) and node is last):
        return node, node.source
    return None, node


def _is_step(node: Node) -> TypeGuard[_Step | Configured | IgnoreErrors | Prefetch]:
    """Whether what a node does depends on one element alone. A number does where the leaf says which it is."""
    if isinstance(node, Enumerate):
        return one_for_one(node.source)
    return isinstance(node, Map | Decoded | Filter | Tagged | Configured | IgnoreErrors | Prefetch)


def _step(node: _Step, path: Path) -> Step:
    if isinstance(node, Enumerate):
        return Step(_NUMBER, _MAP, path, node.start)
    if isinstance(node, Decoded):
        return Step(_DECODE, _TAKEN_APART, path)
    if isinstance(node, Tagged):
        return Step(node.function, node.kind, path)
    return Step(node.function, _FILTER if isinstance(node, Filter) else _MAP, path)


def _numbered(number: int, value: Any) -> tuple[Any, Any]:
    return np.int64(number), value


_NUMBER = UserFunction(_numbered, "enumerate", False)
_DECODE = UserFunction(taken_apart, "decoding", False)
_RECORDS = Records(Rows(Structure(), (np.empty(0, object),)), "")


def segment_of(graph: Node, path: Path) -> Segment:
    """The segment whose last operator has this path."""
    return segment_at(node_at(graph, path), path[:-1], is_fixed(graph, path))


def run_steps(
    segment: Segment,
    chunks: Iterable[Chunk],
    work: Work,
    seed: int,
    epoch: int,
    appetite: Appetite,
    watch: Watch | None,
) -> Iterator[Piece]:
    """The pieces of a unit of work, in order, from what its leaf gave; the last one says that it is the last.

    `appetite` may be changed between pieces. What fails is a piece of its own, and the next goes on behind it.
    """
    run = _Run(segment, work, seed, epoch, appetite, watch)
    position, ignored = work.start, segment.forgiven is not None
    sequential = isinstance(segment.leaf, Scan)  # what it is not to compute leaves its state alone
    for chunk in ruled(chunks, work) if work.ruled and not sequential else chunks:
        if chunk.error is not None:
            yield Piece(position, chunk.next, error=chunk.error, ignored=ignored, state=chunk.state)
        elif not len(chunk.offsets):
            yield Piece(position, chunk.next)
        elif segment.steps or ((work.poison or too_large(chunk.block.nbytes)) and not sequential):
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
    chunk: Chunk = field(init=False)  #: That at hand.
    step: int = 0  #: How many of the functions have seen the element at hand.
    tags: list[int] = field(default_factory=list)  #: What they said of it.
    alike: bool = False  #: Whether elements of the chunk stay where they are, and get tags alone.
    columnwise: list[OnColumn | int] = field(default_factory=list)  #: The first steps, where they take whole columns,
    ahead: int = 0  #: and how many of them have seen all of the chunk.
    large: bool = False  #: Whether something in the chunk may be too large to be handed on as it was read.

    def __post_init__(self) -> None:
        self.poison = {each.position: each for each in self.work.poison}
        self.calls = [(step, generators(self.seed, self.epoch, step.path)) for step in self.segment.steps]
        for step in self.segment.steps:
            apart = _MAP, _TAKEN_APART
            taken = step.start if step.start is not None else on_column(step.function) if step.kind in apart else None
            if taken is None or self.poison:
                break
            self.columnwise.append(taken)

    def whole(self, chunk: Chunk, first: int) -> Piece:
        """A chunk that no function looks at."""
        if error := too_large(chunk.block.nbytes):  # a chunk of so many bytes is one element
            self.chunk = chunk
            told = self._place(error, 0, "reading")
            return Piece(first, chunk.next, error=told, ignored=self._is_ignored(), state=chunk.state)
        return Piece(first, chunk.next, chunk.block, self._identities(chunk), chunk.offsets, state=chunk.state)

    def _is_ignored(self) -> bool:
        """Whether what fails here is dropped further on."""
        return self.segment.forgiven is not None and self.step <= self.segment.forgiven

    def _place(self, error: HeadraceError, row: int, operator: str) -> HeadraceError:
        return place(error, operator, self._name(row))

    def _name(self, row: int) -> str:
        """What to call an element of the chunk at hand."""
        if self.chunk.names is not None:
            return self.chunk.names(row)
        origin, offset = self._identities(self.chunk)[row].tolist()
        return describe(self.work, origin, offset)

    def _identities(self, chunk: Chunk) -> Identities:
        if chunk.identities is not None:
            return chunk.identities
        return identities(self.work.origin, self.work.offsets(chunk.offsets))

    def apply(self, chunk: Chunk, first: int) -> Iterator[Piece]:
        """The chunk's elements through the functions, in pieces that end where the appetite does."""
        self.large = (self.segment.spread or not self.calls) and too_large(chunk.block.nbytes) is not None
        self.chunk, who = self._advanced(chunk), self._identities(chunk)
        if self.ahead == len(self.calls) > 0:
            yield self.whole(self.chunk, first)
            return
        chunk = self.chunk
        # Arrays could be kept by a function, and written into later.
        self.alike = len(self.calls) == self.segment.tags and not any(each.rank for each in chunk.block.columns)
        starts = chunk.offsets.tolist()
        ends = [*starts[1:], chunk.next]
        collected = self._collected(first, who)
        for row, value in enumerate(chunk.block):
            at, end = starts[row], ends[row]
            try:
                found = self._element(value, row, at, who[row])
            except HeadraceError as error:
                yield from collected.piece(at)
                yield Piece(at, end, error=error, ignored=self._is_ignored())
                collected = self._collected(end, who)
                continue
            if found is None:
                collected.left_out += 1
            elif not collected.add(found, row, at, self.tags):
                yield from collected.piece(at)
                collected = self._collected(at, who)
                collected.add(found, row, at, self.tags)
            if collected.full():
                yield from collected.piece(end)
                collected = self._collected(end, who)
        yield from collected.piece(chunk.next)

    def _advanced(self, chunk: Chunk) -> Chunk:
        """The chunk behind the functions that take whole columns, if they take this one."""
        self.ahead = 0
        if not self.columnwise or self.large:
            return chunk
        if self.watch is not None:
            self.watch(int(chunk.offsets[0]))
        last = len(self.columnwise) == len(self.calls)
        block = through(chunk.block, chunk.offsets, self.columnwise, self.appetite.allocate if last else None)
        if block is None:
            return chunk
        self.ahead = len(self.columnwise)
        return replace(chunk, block=block)

    def _collected(self, first: int, who: Identities) -> Collected:
        return Collected(first, who, self.appetite, self.chunk.block if self.alike else None)

    def _element(self, value: Any, row: int, at: int, who: Any) -> _Flat | None:
        """One element's components, which nobody else holds, and structure; None where a predicate leaves it out."""
        self.step, self.tags = self.ahead, []
        if self.watch is not None:
            self.watch(at)
        if at in self.poison:
            raise PoisonError(self._name(row), self.poison[at].strikes, self.poison[at].cause)
        if self.large and (large := too_large(sum(map(size_of, flatten(value)[0])))):
            raise self._place(large, row, "reading")
        flat: _Flat | None = None
        for step, generator in self.calls[self.ahead :]:
            self.step += 1
            if flat is not None:
                value = flat[1].pack(flat[0])
            given = np.int64(self.tags[-1]) if step.kind == SIZE else value
            try:
                if step.start is None:
                    result = step.function(given, lambda: generator(int(who[0]), int(who[1])))  # noqa: B023
                else:
                    result = _numbered(step.start + at, given)
                if step.kind == _MAP:
                    flat = flatten(restack(result))
                elif step.kind == _TAKEN_APART:
                    flat = result
                elif step.kind in KINDS:
                    self.tags.append(tag_of(step.kind, result, step.function))
                elif not truth(result, step.function):
                    return None
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                told = failure(step.function, error)
                raise self._place(told, row, step.function.name) from told.__cause__
            del result, given
            if flat is not None:
                value = None  # or else we would seem to be somebody else who holds the arrays
                own(flat[0])
        if self.alike and self.chunk.block.rows > 1:
            return _IN_ITS_BLOCK
        if flat is None:
            flat = flatten(value)
            own(flat[0])
        if large := too_large(sum(map(size_of, flat[0]))):
            raise self._place(large, row, self.calls[-1][0].function.name if self.calls else "reading")
        return flat


#: Stands for an element that stays in the block where it lies.
_IN_ITS_BLOCK: _Flat = ([], Structure())


def describe(work: Work, origin: int, offset: int) -> str:
    """In words, which element, from its identity, which does not depend on how the work was divided."""
    path = work.path or dict(work.paths).get(origin)
    return f"the record at byte {offset:,} of {path}" if path else f"element {offset:,}"


def place(error: HeadraceError, operator: str, element: str) -> HeadraceError:
    """An error that knows where it belongs, if it did not know before."""
    if error.where is None:
        error.where = f"{operator}, {element}"
    return error
