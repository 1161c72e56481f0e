"""Generating: what a user's generator gives, checked against what it said it would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .blocks import BlockBuilder
from .declaring import apart, declaration, fitted
from .errors import HeadraceError, InvalidArgumentError, PoisonError
from .flat import INSIDE
from .functions import UserFunction, failure
from .nodes import Generator
from .ownership import own
from .place import Path
from .readers import Chunk, failed, nothing
from .seeds import generators
from .segment import Watch, place
from .structure import Structure, as_component, flatten, restack
from .work import BEHIND, Appetite, Work

__all__ = ["generated", "generator"]


def generator(call: Any, types: Any, shapes: Any, args: Any, signature: Any) -> Generator:
    """What `from_generator` was given, as a node."""
    if not callable(call):
        raise InvalidArgumentError(
            f"from_generator needs a function that returns an iterable, not {type(call).__name__}: "
            "give the function itself, which is called anew for each pass"
        )
    bound = partial(call, *map(as_component, args)) if args else call
    function = UserFunction.of(bound, "from_generator")
    declared = declaration(types, shapes, signature)
    return Generator(function) if declared is None else Generator(function, *declared)


def generated(
    leaf: Generator, path: Path, work: Work, seed: int, epoch: int, appetite: Appetite, watch: Watch | None
) -> Iterator[Chunk]:
    """The elements of a generator that is begun anew and run to where the work starts, in portions.

    An element that is not what was declared is a failure in its place. Where the function itself fails, nothing is
    behind it.
    """
    run = _Run(leaf, path, work, appetite, watch)
    random = generators(seed, epoch, path)
    try:
        run.tell()
        made = iter(leaf.function((), lambda: random(work.origin, 0)))
    except BaseException as error:
        yield run.failure(error)
        return
    yield from run.chunks(made)


@dataclass(slots=True)
class _Run:
    leaf: Generator
    path: Path
    work: Work
    appetite: Appetite
    watch: Watch | None
    at: int = 0  #: How many elements came, failed ones too.
    only: frozenset[int] | None = field(init=False)
    builder: BlockBuilder = field(default_factory=BlockBuilder)
    offsets: list[int] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.only = None if self.work.only is None else frozenset(self.work.only)

    def chunks(self, made: Iterator[Any]) -> Iterator[Chunk]:
        """The elements from where the work starts."""
        while self.work.stop is None or self.at < self.work.stop:
            try:
                self.tell()
                value = next(made)
            except StopIteration:
                break
            except BaseException as error:
                yield from self._flush(self.at)
                yield self.failure(error)
                return
            at, self.at = self.at, self.at + 1
            if self._wanted(at):
                yield from self._take(value, at)
            if self._full():
                yield from self._flush(self.at)
            del value
        yield from self._flush(self.at)

    def tell(self) -> None:
        """Say that the next element is being made, and refuse to make one that cost workers before."""
        position = self.at | INSIDE
        if self.watch is not None:
            self.watch(position)
        for each in self.work.poison:
            if each.position == position:
                raise PoisonError(f"{self.leaf.function.name} for element {self.at:,}", each.strikes, each.cause)

    def failure(self, error: BaseException) -> Chunk:
        """The end, and why."""
        if isinstance(error, KeyboardInterrupt):
            raise error
        told = failure(self.leaf.function, error)
        return failed(place(told, self.leaf.function.name, f"element {self.at:,}"), BEHIND)

    def _wanted(self, at: int) -> bool:
        return at >= self.work.start and (self.only is None or at in self.only)

    def _take(self, value: Any, at: int) -> Iterator[Chunk]:
        try:
            components, structure = self._element(value)
        except HeadraceError as error:
            yield from self._flush(at)
            yield failed(place(error, self.leaf.function.name, f"element {at:,}"), at + 1)
            return
        if not self.builder.add(components, structure):
            yield from self._flush(at)
            self.builder.add(components, structure)
        self.offsets.append(at)

    def _element(self, value: Any) -> tuple[list[Any], Structure]:
        """Components that nobody else holds, as they were declared."""
        leaf = self.leaf
        if leaf.structure is None or leaf.shapes is None or leaf.dtypes is None:
            components, structure = flatten(restack(value))
        else:
            structure = leaf.structure
            parts = zip(structure.names(), apart(value, structure), leaf.shapes, leaf.dtypes, strict=True)
            components = [fitted(f"component {name}", *each) for name, *each in parts]
        own(components)
        return components, structure

    def _full(self) -> bool:
        if len(self.offsets) >= self.appetite.elements or self.builder.nbytes >= self.appetite.nbytes:
            return True
        return time.monotonic() - self.since >= self.appetite.seconds

    def _flush(self, end: int) -> Iterator[Chunk]:
        """What was collected before a position; where there is nothing, that time passed."""
        end = max(end, self.work.start)
        if self.offsets:
            yield Chunk(self.builder.build(), np.array(self.offsets, np.int64), end)
        else:
            yield nothing(end)
        self.offsets, self.since = [], time.monotonic()
