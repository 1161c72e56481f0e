"""Flat: a dataset made of each element handed along, and all that it gives, in order.

An input position is the number of the outer element times GRAIN plus how much came of it before. Whoever goes
on in the middle of an outer element has its dataset computed again, and leaves out what came before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from .errors import HeadraceError, InvalidArgumentError, PoisonError
from .functions import failure
from .nodes import FlatMap, Interleave, Node
from .operators.protocol import Failed, Operator, Signal
from .place import Path
from .readers import Chunk, among, failed, nothing, rows_of
from .resolve import resolve
from .seeds import derive, generators
from .segment import Watch, describe, place
from .sources import seed_of
from .store import Handles, Identities, Store
from .work import Appetite, Payload, Work, identities

__all__ = ["GRAIN", "INSIDE", "Flat", "Inside", "inner_origin"]

#: Input positions of one outer element.
GRAIN = 1 << 40
#: Set in what is told of an element inside: the rest is a name of it, not a position.
INSIDE = 1 << 39

#: Told of each element that a function inside sees: a number that names it, and its name in words. It may raise.
Inside: TypeAlias = Callable[[int, Callable[[], str]], None]


class Compute(Protocol):
    """From a graph to an operator that gives its elements."""

    def __call__(
        self, node: Node, store: Store, seed: int, epoch: int, folder: str, inside: Inside | None, nested: bool
    ) -> Operator:
        """The operator."""


def inner_origin(path: Path, outer: Any) -> int:
    """The origin of all that the operator at a path makes of one element."""
    return derive("flat", list(path), list(outer))


@dataclass(slots=True)
class Flat:
    """The elements of the datasets that a function makes of elements handed along."""

    leaf: FlatMap | Interleave
    path: Path
    work: Work
    payload: Payload
    seed: int
    epoch: int
    appetite: Appetite
    watch: Watch | None
    compute: Compute
    store: Store = field(default_factory=Store)
    position: int = 0  #: All before it was given or collected.
    #: With their positions, origins, and what files were read for them: those of each dataset have the same origins.
    parts: list[tuple[Handles, Any, int, dict[int, str]]] = field(default_factory=list)
    elements: int = 0
    nbytes: int = 0
    each: int = 0  #: Bytes of an inner element, learnt.
    since: float = field(default_factory=time.monotonic)
    generator: Callable[[int, int], np.random.Generator] = field(init=False)
    only: Any = None  #: The positions that are wanted, in order, where not all are.

    def chunks(self) -> Iterator[Chunk]:
        """All of it, from where the work starts, in portions that end where the appetite does."""
        self.generator = generators(self.seed, self.epoch, self.path)
        self.position = self.work.start
        self.only = None if self.work.only is None else np.array(self.work.only, np.int64)
        while self.position < self.payload.block.rows * GRAIN:
            row, before = divmod(self.position, GRAIN)
            try:
                operator = self._open(row)
            except HeadraceError as error:
                yield from self._flush()
                self.position = (row + 1) * GRAIN
                yield failed(error, self.position)
            else:
                yield from self._drain(operator, row, before)
        yield from self._flush()

    def _open(self, row: int) -> Operator:
        """The dataset that the function makes of one element, ready to be pulled."""
        origin, offset = self.payload.identities[row].tolist()
        function, inside = self.leaf.function, self._inside(row)
        try:
            if inside is not None:
                inside(0, lambda: describe(self.work, origin, offset))
            element = rows_of(self.payload.block, row, row + 1).element(0)
            made = function(element, lambda: self.generator(origin, offset))
            node = getattr(made, "node", None)
            if not isinstance(node, Node):
                raise InvalidArgumentError(f"{function.name} must return a Dataset, not {type(made).__name__}")
            node = resolve(node, self.leaf.folder)
            own = seed_of(node)
            self.store.paths = {}
            seed = derive("nested", self.seed if own is None else own, list(self.path), origin, offset) >> 1
            return self.compute(node, self.store, seed, self.epoch, self.leaf.folder, inside, nested=True)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            told = failure(function, error)
            raise place(told, function.name, describe(self.work, origin, offset)) from told.__cause__

    def _inside(self, row: int) -> Inside | None:
        """Tells what a worker is executing, and refuses to execute what cost workers before."""
        watch, poison = self.watch, {each.position: each for each in self.work.poison}
        if watch is None:
            return None

        def inside(key: int, name: Callable[[], str]) -> None:
            position = row * GRAIN + INSIDE + key % INSIDE
            watch(position)
            if position in poison:
                raise PoisonError(name(), poison[position].strikes, poison[position].cause)

        return inside

    def _drain(self, operator: Operator, row: int, before: int) -> Iterator[Chunk]:
        """What one dataset gives, but for so many that came before."""
        origin = inner_origin(self.path, self.payload.identities[row].tolist())
        last = self._last(row)
        try:
            while self.position <= last:
                got = operator.pull(min(before, self._limit()) if before else self._limit())
                if got is Signal.END:
                    break
                if before and got is not Signal.PENDING:
                    before -= self._leave_out(got)
                elif isinstance(got, Failed):
                    yield from self._flush()
                    self.position += 1
                    yield failed(self._placed(got.error, row), self.position)
                elif isinstance(got, np.ndarray):
                    self._collect(got, origin)
                if self._full():
                    yield from self._flush()
        finally:
            operator.close()
        self.position = (row + 1) * GRAIN

    def _last(self, row: int) -> int:
        """The last position that is wanted of an element."""
        end = (row + 1) * GRAIN
        if self.only is None:
            return end
        before = int(np.searchsorted(self.only, end))
        return int(self.only[before - 1]) if before else -1

    def _placed(self, error: HeadraceError, row: int) -> HeadraceError:
        """Most know where they belong; of a batch, say, this is told."""
        origin, offset = self.payload.identities[row].tolist()
        return place(error, self.leaf.function.name, describe(self.work, origin, offset))

    def _limit(self) -> int:
        """How many to ask for at once."""
        room = (self.appetite.nbytes - self.nbytes) // self.each if self.each else 1
        return max(1, min(self.appetite.elements - self.elements, room))

    def _leave_out(self, got: Handles | Failed | Signal) -> int:
        if not isinstance(got, np.ndarray):
            return 1
        self.store.release(got)
        return len(got)

    def _collect(self, got: Handles, origin: int) -> None:
        at = np.arange(self.position, self.position + len(got), dtype=np.int64)
        self.position += len(got)
        if self.only is not None:
            wanted = among(self.only, at)
            self.store.release(got[~wanted])
            got, at = got[wanted], at[wanted]
        if not len(got):
            return
        nbytes = self.store.nbytes_of(got)
        self.parts.append((got, at, origin, self.store.paths))
        self.each = max(1, nbytes // len(got))
        self.nbytes += nbytes
        self.elements += len(got)

    def _full(self) -> bool:
        if self.elements >= self.appetite.elements or self.nbytes >= self.appetite.nbytes:
            return True
        return time.monotonic() - self.since >= self.appetite.seconds

    def _flush(self) -> Iterator[Chunk]:
        """What was collected, as chunks; where there is nothing, that time passed."""
        parts, self.parts = self.parts, []
        if not parts:
            yield nothing(self.position)
        else:
            handles = np.concatenate([got for got, *_ in parts])
            who = np.concatenate([identities(of, at % GRAIN) for _, at, of, _ in parts])
            offsets = np.concatenate([at for _, at, *_ in parts])
            paths = [files for got, *_, files in parts for _ in got]
            while len(handles):
                count = self.store.together(handles)
                end = int(offsets[count]) if count < len(offsets) else self.position
                yield self._chunk(handles[:count], who[:count], offsets[:count], end, paths[:count])
                handles, who, offsets, paths = handles[count:], who[count:], offsets[count:], paths[count:]
        self.elements = self.nbytes = 0
        self.since = time.monotonic()

    def _chunk(self, handles: Handles, who: Identities, offsets: Any, end: int, paths: Sequence[Any]) -> Chunk:
        names = self._names(self.store.identities(handles), offsets, paths)
        block = self.store.whole(handles) or self.store.gather(handles)
        self.store.release(handles)
        return Chunk(block, offsets, end, who, names)

    def _names(self, inner: Identities, offsets: Any, paths: Sequence[dict[int, str]]) -> Callable[[int], str]:
        """From a row to the file and record inside, or else to which of which outer element it is."""

        def name(row: int) -> str:
            origin, offset = inner[row].tolist()
            if (path := paths[row].get(origin)) is not None:
                return f"the record at byte {offset:,} of {path}"
            outer, count = divmod(int(offsets[row]), GRAIN)
            return f"element {count:,} of what {self.leaf.function.name} made of {self._outer(outer)}"

        return name

    def _outer(self, row: int) -> str:
        origin, offset = self.payload.identities[row].tolist()
        return describe(self.work, origin, offset)
