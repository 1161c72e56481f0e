"""Scanning: what a function makes of a state and one element after the other.

A call that fails leaves the state as it was. Each chunk tells the state behind it, so that another process can go on
there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .accumulating import Accumulator, packed, state_given, unpacked
from .blocks import BlockBuilder
from .errors import HeadraceError, InvalidArgumentError, MalformedMessage, PoisonError, ResourceExhaustedError
from .functions import UserFunction, failure
from .nodes import Node, Scan
from .ownership import own
from .place import Path
from .readers import Chunk, failed, rows_of
from .ruling import failed_before
from .seeds import generators
from .segment import Watch, describe, place
from .sources import from_tensors
from .structure import Structure, flatten, restack
from .work import STATE_BYTES, Appetite, Payload, Work, size_of, too_large

__all__ = ["scan", "scanned"]


def scan(source: Node, initial_state: Any, call: Any) -> Scan:
    """What `scan` was given, as a node.

    Raises:
        InvalidArgumentError: a state of no component, or no function.
        ResourceExhaustedError: a state that is too large.
    """
    components, structure = state_given(initial_state)
    _check_size("initial_state", components)
    arrays = from_tensors(structure.pack(components)).arrays
    state = tuple(each for each in arrays if isinstance(each, np.ndarray))  # none of them is in a file
    return Scan(source, UserFunction.of(call, "scan"), structure, state)


def _check_size(what: str, components: list[Any]) -> None:
    nbytes = sum(_size(each) for each in components)
    if nbytes > STATE_BYTES:
        raise ResourceExhaustedError(
            f"{what} takes {nbytes:,} bytes, and a state goes from worker to worker, and into checkpoints: "
            f"{STATE_BYTES:,} are the most"
        )


def _size(component: Any) -> int:
    if isinstance(component, np.ndarray) and component.dtype == object:
        return sum(map(len, component.reshape(-1)))
    return size_of(component)


def scanned(
    leaf: Scan,
    path: Path,
    work: Work,
    payload: Payload,
    seed: int,
    epoch: int,
    appetite: Appetite,
    watch: Watch | None,
) -> Iterator[Chunk]:
    """What is made of elements handed along, from where the work starts, in portions that end where the appetite does.

    The state that came along belongs to where the work has it from, which may be before its start.
    """
    state = Accumulator([array[0] for array in leaf.arrays], leaf.structure, leaf.function.name)
    stop = payload.block.rows if work.stop is None else work.stop
    try:
        if payload.state:
            components, structure = unpacked(payload.state)
            state.check(components, structure)
            state.components = components
    except HeadraceError as error:
        yield failed(MalformedMessage(f"a state that is not of {leaf.function.name}: {error}"), stop)
        return
    yield from _Run(leaf, path, work, payload, appetite, watch, state, generators(seed, epoch, path)).chunks(stop)


@dataclass(slots=True)
class _Run:
    leaf: Scan
    path: Path
    work: Work
    payload: Payload
    appetite: Appetite
    watch: Watch | None
    state: Accumulator
    random: Any
    builder: BlockBuilder = field(default_factory=BlockBuilder)
    rows: list[int] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def chunks(self, stop: int) -> Iterator[Chunk]:
        """All of it."""
        begin = self.work.start if self.work.since is None else self.work.since
        ruled = {at for first, end in self.work.ruled for at in range(max(begin, first), min(end, stop))}
        # A copy, because a function may write into what it is given.
        elements = iter(rows_of(self.payload.block, begin, stop)) if stop > begin else iter(())
        for row, element in enumerate(elements, begin):
            if row in ruled:
                yield from self._failed(row, failed_before(row + 1))
                continue
            try:
                state, components, structure = self._call(row, element)
            except HeadraceError as error:
                yield from self._failed(row, failed(error, row + 1))
                continue
            if row >= self.work.start and not self.builder.add(components, structure):
                yield from self._flush(row)
                self.builder.add(components, structure)
            self.state.components = state
            if row >= self.work.start:
                self.rows.append(row)
            if self._full():
                yield from self._flush(row + 1)
        yield from self._flush(stop)

    def _call(self, row: int, element: Any) -> tuple[list[Any], list[Any], Structure]:
        """The next state, and what comes out."""
        function = self.leaf.function
        origin, offset = self.payload.identities[row].tolist()
        try:
            self._tell(row)
            rng = {"rng": self.random(origin, offset)} if function.wants_rng else {}
            result = restack(function.call(self.state.copy(), element, **rng))
            if type(result) is not tuple or len(result) != 2:
                raise InvalidArgumentError(
                    f"{function.name} must return a pair, the next state and an output, not {type(result).__name__}"
                )
            state = self.state.next(result[0])
            _check_size(f"the state that {function.name} returned", state)
            components, structure = flatten(restack(result[1]))
            del result
            own(components)
            if large := too_large(sum(map(size_of, components))):
                raise large
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            told = failure(function, error)
            raise place(told, function.name, describe(self.work, origin, offset)) from told.__cause__
        return state, components, structure

    def _tell(self, row: int) -> None:
        """Say what is being executed, and refuse what cost workers before."""
        if self.watch is not None:
            self.watch(row)
        for each in self.work.poison:
            if each.position == row:
                name = describe(self.work, *self.payload.identities[row].tolist())
                raise PoisonError(name, each.strikes, each.cause)

    def _failed(self, row: int, chunk: Chunk) -> Iterator[Chunk]:
        """What came before, and the failure of an element, if it belongs to the work."""
        if row >= self.work.start:
            yield from self._flush(row)
            chunk.state = self._packed()
            yield chunk

    def _packed(self) -> bytes:
        return packed(self.state.components, self.state.structure)

    def _full(self) -> bool:
        if len(self.rows) >= self.appetite.elements or self.builder.nbytes >= self.appetite.nbytes:
            return True
        return bool(self.rows) and time.monotonic() - self.since >= self.appetite.seconds

    def _flush(self, end: int) -> Iterator[Chunk]:
        """What was collected, and the state behind it."""
        if self.rows:
            who = self.payload.identities[self.rows]
            block = self.builder.build()
            yield Chunk(block, np.array(self.rows, np.int64), end, who, state=self._packed())
        self.rows, self.since = [], time.monotonic()
