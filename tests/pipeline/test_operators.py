"""Operators: pulled in any portions, with pauses, saved and set up again at any cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgpack
import numpy as np
import pytest

from headrace.pipeline.blocks import Block
from headrace.pipeline.errors import InvalidArgumentError, MalformedMessage
from headrace.pipeline.operators.batch import BatchOperator
from headrace.pipeline.operators.concatenate import ConcatenateOperator
from headrace.pipeline.operators.counting import RepeatOperator, ShardOperator, SkipOperator, TakeOperator
from headrace.pipeline.operators.enumerate import EnumerateOperator
from headrace.pipeline.operators.protocol import Failed, Find, Keep, Operator, Pulled, Signal, State
from headrace.pipeline.operators.shuffle import ShuffleOperator
from headrace.pipeline.operators.zip import ZipOperator
from headrace.pipeline.store import Handles, Store
from headrace.pipeline.structure import Structure
from headrace.pipeline.work import identities

Make: TypeAlias = Callable[[Operator, Store], Operator]


@dataclass(slots=True)
class Source(Operator):
    """Integers up to `stop`, with a pause before each multiple of `pause` and a failure at each of `failures`."""

    store: Store
    stop: int
    pause: int = 0
    failures: tuple[int, ...] = ()
    at: int = 0
    paused: bool = False
    portion: int = 7

    def pull(self, limit: int) -> Pulled:
        if self.pause and self.at % self.pause == 0 and not self.paused and self.at < self.stop:
            self.paused = True
            return Signal.PENDING
        self.paused = False
        if self.at in self.failures:
            self.at += 1
            return Failed(InvalidArgumentError(str(self.at - 1)))
        if self.at >= self.stop:
            return Signal.END
        ends = [self.at + min(limit, self.portion), self.stop, *(each for each in self.failures if each > self.at)]
        if self.pause:
            ends.append((self.at // self.pause + 1) * self.pause)
        start, self.at = self.at, min(ends)
        block = Block.of_elements([np.int64(i) for i in range(start, self.at)])
        return self.store.add(block, identities(0, range(start, self.at)))

    def close(self) -> None:
        self.at = self.stop

    def snapshot(self, keep: Keep) -> State:
        return {"at": self.at, "paused": self.paused}

    def restore(self, state: State, find: Find) -> None:
        self.at, self.paused = state["at"], state["paused"]


PAIR = Structure("tuple", (), (Structure(), Structure()))
MAKES: dict[str, Make] = {
    "shuffle": lambda source, store: ShuffleOperator(source, store, 8, 5, 1 << 30, 8),
    "large shuffle": lambda source, store: ShuffleOperator(source, store, 100, 5, 1 << 30, 100),
    "batch": lambda source, store: BatchOperator(source, store, 3, False),
    "batch without remainder": lambda source, store: BatchOperator(source, store, 3, True),
    "take": lambda source, store: TakeOperator(source, store, 11),
    "skip": lambda source, store: SkipOperator(source, store, 11),
    "take of a shuffle": lambda source, store: TakeOperator(MAKES["shuffle"](source, store), store, 9),
    "shard": lambda source, store: ShardOperator(source, store, 4, 2),
    "enumerate": lambda source, store: EnumerateOperator(source, store, 100),
    "zip": lambda source, store: ZipOperator([source, Source(store, 25, portion=4)], store, PAIR),
    "zip behind": lambda source, store: ZipOperator([Source(store, 40, 3, (7, 9), portion=5), source], store, PAIR),
    "concatenate": lambda source, store: ConcatenateOperator(lambda i: (source, Source(store, 5, 2))[i], 2),
    "batch of a shuffle": lambda source, store: BatchOperator(MAKES["shuffle"](source, store), store, 4, False),
    "skip of a take": lambda source, store: SkipOperator(TakeOperator(source, store, 20), store, 5),
}


def step(operator: Operator, store: Store, limit: int) -> list[Any]:
    """What one pull gives, as plain values; [] for a pause, [None] at the end."""
    got = operator.pull(limit)
    if isinstance(got, Failed):
        return [str(got.error)]
    if isinstance(got, Signal):
        return [None] if got is Signal.END else []
    assert 1 <= len(got) <= limit
    values = [tuple(map(int, each)) if isinstance(each, tuple) else each.tolist() for each in store.gather(got)]
    store.release(got)
    return values


def drained(operator: Operator, store: Store, limit: int) -> list[Any]:
    got: list[Any] = []
    while not got or got[-1] is not None:
        got += step(operator, store, limit)
    return got[:-1]


def fresh(make: Make, **source: Any) -> tuple[Operator, Store]:
    store = Store()
    return make(Source(store, 30, **source), store), store


def moved(operator: Operator, store: Store, make: Make, **source: Any) -> tuple[Operator, Store]:
    """A copy in a store of its own, from a snapshot that went over a wire; elements are made again from offsets."""
    data = msgpack.packb(operator.snapshot(lambda handles, *_: store.identities(handles)[:, 1].tolist()))
    other, new = fresh(make, **source)

    def find(offsets: list[int]) -> Handles:
        if not offsets:
            return np.empty(0, np.int64)
        return new.add(Block.of_elements([np.int64(i) for i in offsets]), identities(0, offsets))

    other.restore(msgpack.unpackb(data), find)
    return other, new


@pytest.mark.parametrize("name", MAKES)
@pytest.mark.parametrize("source", [{}, {"pause": 4}, {"failures": (0, 5, 6, 17)}, {"pause": 3, "failures": (4, 29)}])
def test_what_comes_does_not_depend_on_portions_or_pauses(name: str, source: dict[str, Any]) -> None:
    expected = None
    for limit in (1, 2, 5, 100):
        for portion in (1, 7, 50):
            operator, store = fresh(MAKES[name], portion=portion, **source)
            got = drained(operator, store, limit)
            expected = expected or got
            # A shuffle raises a failure when it meets it; how many were drawn by then is not part of the promise.
            assert _comparable(name, got) == _comparable(name, expected)
            operator.close()
            assert len(store) == 0


def _comparable(name: str, got: list[Any]) -> list[Any]:
    return [each for each in got if not isinstance(each, str)] if "shuffle" in name else got


@pytest.mark.parametrize("name", MAKES)
@pytest.mark.parametrize("source", [{}, {"pause": 4}, {"failures": (5, 6, 17)}])
@pytest.mark.parametrize("limit", [1, 3, 64])
def test_a_restored_operator_goes_on_identically_from_every_cut(name: str, source: dict[str, Any], limit: int) -> None:
    operator, store = fresh(MAKES[name], **source)
    given: list[Any] = []
    while not given or given[-1] is not None:
        copy, its_store = moved(operator, store, MAKES[name], **source)
        its_rest = drained(copy, its_store, limit)
        copy.close()
        copy.close()
        assert len(its_store) == 0
        whole, whole_store = fresh(MAKES[name], **source)
        assert _comparable(name, given + its_rest) == _comparable(name, drained(whole, whole_store, limit))
        given += step(operator, store, limit)
    operator.close()
    assert len(store) == 0


def repeat(store: Store, passes: int, sizes: list[int]) -> RepeatOperator:
    return RepeatOperator(lambda number: Source(store, sizes[min(number, len(sizes) - 1)]), passes)


@pytest.mark.parametrize(
    ("passes", "sizes", "expected"),
    [(3, [2], [0, 1] * 3), (-1, [2, 0], [0, 1]), (3, [1, 0, 1], [0, 0]), (0, [1], []), (-1, [0], [])],
)
def test_repeat_builds_its_input_anew_for_each_pass(passes: int, sizes: list[int], expected: list[int]) -> None:
    store = Store()
    assert drained(repeat(store, passes, sizes), store, 4) == expected


@pytest.mark.parametrize("cut", range(8))
def test_a_restored_repeat_goes_on_in_its_pass(cut: int) -> None:
    store = Store()
    operator = repeat(store, 3, [3, 2, 1])
    whole = drained(repeat(store, 3, [3, 2, 1]), store, 1)
    given = [each for _ in range(cut) for each in step(operator, store, 1) if each is not None]
    copy = repeat(store, 3, [3, 2, 1])
    copy.restore(msgpack.unpackb(msgpack.packb(operator.snapshot(lambda handles, *_: handles.tolist()))), np.array)
    assert given + drained(copy, store, 1) == whole


def test_a_snapshot_of_a_shuffle_that_cannot_be_is_refused() -> None:
    operator, _ = fresh(MAKES["shuffle"])
    state = {"source": {"at": 0, "paused": False}, "drawn": 9, "taken": 3, "ended": True, "checked": True, "held": []}
    with pytest.raises(MalformedMessage, match="drew 9 of 3"):
        operator.restore(state, lambda offsets: np.array(offsets, np.int64))


def test_a_closed_operator_may_be_closed_again() -> None:
    for make in MAKES.values():
        operator, store = fresh(make)
        step(operator, store, 2)
        operator.close()
        operator.close()
        assert len(store) == 0
