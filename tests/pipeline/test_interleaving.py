"""The interleave operator: streams opened ahead, closed when done with, saved and set up again at any cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import pytest

from headrace.pipeline.blocks import Block
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.operators.interleave import InterleaveOperator
from headrace.pipeline.operators.protocol import Failed, Find, Keep, Operator, Pulled, Signal, State
from headrace.pipeline.store import Handles, Store
from headrace.pipeline.work import identities

#: How long the dataset of each outer element is.
LENGTHS = (3, 0, 5, 1, 4, 2, 0, 3)


@dataclass(slots=True)
class Stream(Operator):
    """Numbers from `start`; every third pull is a pause where there are pauses, and `failing` fails."""

    store: Store
    at: int
    stop: int
    pauses: bool = False
    failing: int = -1
    pulls: int = 0
    closed: bool = False

    def pull(self, limit: int) -> Pulled:
        assert not self.closed
        self.pulls += 1
        if self.at >= self.stop:
            return Signal.END
        if self.pauses and self.pulls % 3 == 1:
            return Signal.PENDING
        self.at += 1
        if self.at - 1 == self.failing:
            return Failed(InvalidArgumentError(f"{self.failing} failed"))
        return self.store.add(Block.of_elements([np.int64(self.at - 1)]), identities(0, [self.at - 1]))

    def close(self) -> None:
        self.closed = True

    def snapshot(self, keep: Keep) -> State:
        return {"at": self.at, "stop": self.stop, "pulls": self.pulls}

    def restore(self, state: State, find: Find) -> None:
        self.at, self.stop, self.pulls = state["at"], state["stop"], state["pulls"]


@dataclass
class Bench:
    """An operator over streams that are numbered by their outer element."""

    cycle: int
    block: int
    eager: int
    pauses: bool
    failing: int = -1

    def __post_init__(self) -> None:
        self.store = Store()
        self.streams: list[Stream] = []
        source = Stream(self.store, 0, len(LENGTHS), self.pauses)
        self.operator = InterleaveOperator(source, self.store, self.open, self.cycle, self.block, self.eager)

    def open(self, inputs: Handles) -> Operator:
        outer = [int(each) for each in self.store.gather(inputs)] if len(inputs) else [0]
        self.store.release(inputs)
        first = 100 * outer[0]
        self.streams.append(Stream(self.store, first, first + LENGTHS[outer[0]], self.pauses, self.failing))
        return self.streams[-1]

    def step(self, limit: int) -> list[Any]:
        got = self.operator.pull(limit)
        if isinstance(got, Failed):
            return [str(got.error)]
        if isinstance(got, Signal):
            return [None] if got is Signal.END else []
        assert 1 <= len(got) <= limit
        values = [each.tolist() for each in self.store.gather(got)]
        self.store.release(got)
        return values

    def drained(self, limit: int) -> list[Any]:
        got: list[Any] = []
        while not got or got[-1] is not None:
            got += self.step(limit)
        return got[:-1]


def turns(cycle: int, block: int) -> list[int]:
    """What tf.data gives: the loop of its interleave, over lists."""
    waiting = [[100 * i + k for k in range(length)] for i, length in enumerate(LENGTHS)]
    slots: list[list[int] | None] = [None] * cycle
    found: list[int] = []
    turn = given = 0
    while waiting or any(slot is not None for slot in slots):
        slot, ends = slots[turn], False
        if slot:
            found.append(slot.pop(0))
            given += 1
            ends = given == block
        elif slot is None and waiting:
            slots[turn] = waiting.pop(0)
        else:
            slots[turn], ends = None, True
        if ends:
            turn, given = (turn + 1) % cycle, 0
    return found


@pytest.mark.parametrize("cycle", [1, 2, 3, 16])
@pytest.mark.parametrize("block", [1, 2, 7])
@pytest.mark.parametrize("pauses", [False, True])
def test_what_comes_does_not_depend_on_portions_pauses_or_what_is_open_ahead(
    cycle: int, block: int, pauses: bool
) -> None:
    for limit in (1, 2, 5, 100):
        for eager in (0, 1, 4, 40):
            bench = Bench(cycle, block, eager, pauses)
            assert bench.drained(limit) == turns(cycle, block)
            bench.operator.close()
            assert len(bench.store) == 0
            assert all(stream.closed for stream in bench.streams)


@pytest.mark.parametrize(("cycle", "block"), [(2, 1), (3, 2), (16, 1)])
@pytest.mark.parametrize("eager", [0, 2])
@pytest.mark.parametrize("failing", [-1, 200, 203, 401])
def test_a_restored_operator_goes_on_identically_from_every_cut(
    cycle: int, block: int, eager: int, failing: int
) -> None:
    whole = Bench(cycle, block, eager, True, failing).drained(3)
    bench, given = Bench(cycle, block, eager, True, failing), list[Any]()
    while not given or given[-1] is not None:
        copy = Bench(cycle, block, eager, True, failing)
        state = bench.operator.snapshot(lambda handles, *_: pytest.fail("it holds no elements"))
        copy.operator.restore(msgpack.unpackb(msgpack.packb(state)), lambda data: pytest.fail("it holds none"))
        assert given + copy.drained(3) == whole
        copy.operator.close()
        assert len(copy.store) == 0
        given += bench.step(3)


def test_streams_are_opened_ahead_but_no_more_than_asked_for() -> None:
    bench = Bench(cycle=4, block=1, eager=3, pauses=False)
    bench.step(1)
    assert len(bench.streams) == 3
    lazy = Bench(cycle=4, block=1, eager=0, pauses=False)
    lazy.step(1)
    assert len(lazy.streams) == 1


def test_closing_in_the_middle_closes_all_streams() -> None:
    bench = Bench(cycle=3, block=1, eager=8, pauses=False)
    bench.step(2)
    bench.operator.close()
    bench.operator.close()
    assert all(stream.closed for stream in bench.streams)
    assert len(bench.store) == 0


def test_a_failed_element_leaves_its_block_as_it_is() -> None:
    bench = Bench(cycle=2, block=2, eager=0, pauses=False, failing=1)
    assert bench.drained(1)[:5] == [0, "1 failed", 2, 200, 201]
