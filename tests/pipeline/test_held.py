"""Held elements as plain data: whatever operators hold at any moment can be told, little of it, and computed again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace import Dataset
from headrace.pipeline import held, replanning
from headrace.pipeline.errors import HeadraceError, MalformedMessage
from headrace.pipeline.held import MOST, Held, Keeper
from headrace.pipeline.operators.protocol import Signal
from headrace.pipeline.records import TFRecordWriter
from headrace.pipeline.recovery import Recovered
from headrace.pipeline.store import Store
from tests.players import MODES, SHARED, Player, played

COUNT = 40


def noisy(x: Any, rng: np.random.Generator) -> Any:
    """Another result for each operator, pass and element: a wrong identity shows."""
    return x * 1000 + rng.integers(1000)


def odd(x: Any) -> bool:
    return bool(np.sum(x) % 3 != 1)


def ragged(x: Any) -> Any:
    return np.full(1 + int(x) % 4, x)


def some(x: Any) -> Dataset:
    """Up to four elements, in an order of their own."""
    return Dataset.range(int(np.sum(x)) % 5).shuffle(3).map(lambda y: y + 10 * np.sum(x)).map(noisy)


def files(folder: Path) -> list[str]:
    paths = [str(folder / f"{i}.tfrecord") for i in range(3)]
    for i, path in enumerate(paths):
        with TFRecordWriter(path) as writer:
            for k in range(12):
                writer.write(bytes(range((i + k) % 7)) + b"%d of %d" % (k, i))
    return paths


RANGE = Dataset.range(COUNT)
PIPELINES: dict[str, Callable[[list[str]], Dataset]] = {
    "shuffle.map.batch": lambda _: RANGE.shuffle(9).map(noisy).batch(4),
    "batch.map.shuffle": lambda _: RANGE.batch(3).map(noisy).shuffle(7),
    "batch.shuffle": lambda _: RANGE.map(noisy).shuffle(11).batch(3).shuffle(5),
    "padded_batch.map": lambda _: RANGE.map(ragged).padded_batch(3, padding_values=np.int64(-1)).map(noisy).shuffle(6),
    "padded_batch.shuffle": lambda _: RANGE.map(ragged).shuffle(8).padded_batch(4).shuffle(5).unbatch().shuffle(6),
    "zip of maps": lambda _: Dataset.zip(
        RANGE.shuffle(9).map(noisy), (RANGE.map(noisy).batch(2).map(noisy), RANGE.enumerate())
    ).shuffle(6),
    "flat_map.shuffle.batch": lambda _: RANGE.shuffle(4).flat_map(some).shuffle(9).batch(3),
    "interleave.map.batch": lambda _: RANGE.shuffle(4).interleave(some, 3, 2).map(noisy).batch(3),
    "interleave.shuffle": lambda _: RANGE.batch(2).interleave(some, 4).shuffle(12).enumerate().shuffle(4),
    "rows of ragged batches": lambda _: RANGE.map(ragged).ragged_batch(4).unbatch().map(noisy).shuffle(6),
    "unbatch.shuffle": lambda _: RANGE.map(noisy).batch(5).unbatch().map(noisy).shuffle(13),
    "repeat.shuffle.map.filter.batch": lambda _: RANGE.repeat(2).shuffle(9).map(noisy).filter(odd).batch(4),
    "concatenate": lambda _: RANGE.map(noisy).concatenate(RANGE.shuffle(5).map(noisy)).shuffle(15).batch(4),
    "concatenate of what is made otherwise": lambda _: (
        RANGE.batch(2).unbatch().concatenate(RANGE.shuffle(4).map(noisy)).concatenate(RANGE).batch(7).shuffle(4)
    ),
    "hops of hops": lambda _: (
        RANGE.shuffle(5).map(noisy).shuffle(4).filter(odd).batch(2).map(noisy).flat_map(some).shuffle(6).map(noisy)
    ),
    "a stack of hops of stacks": lambda _: (
        RANGE.batch(2).map(noisy).shuffle(4).padded_batch(3).map(noisy).shuffle(3).unbatch().batch(2).shuffle(3)
    ),
    "smaller than their making": lambda _: (
        Dataset.range(300).batch(30).map(np.sum).repeat(3).shuffle(7).map(noisy).batch(2).shuffle(3)
    ),
    "strings of files": lambda paths: (
        hr.TFRecordDataset(paths).shuffle(9).map(lambda r: r + b"!").batch(2).shuffle(4).unbatch().shuffle(5)
    ),
    "interleaved files": lambda paths: hr.TFRecordDataset(paths, num_parallel_reads=2).shuffle(9).batch(2).map(len),
    "a generator": lambda _: Dataset.from_generator(lambda: iter(range(COUNT))).shuffle(9).map(noisy).batch(3),
    "views": lambda _: RANGE.shard(3, 1).skip(2).shuffle(5).enumerate(start=3).map(lambda n, x: (n, x + 1)),
}


@pytest.fixture(params=PIPELINES)
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return PIPELINES[request.param](files(tmp_path))


@pytest.mark.parametrize(("before", "after"), MODES, ids=["local, lanes, local", "lanes"])
def test_whatever_is_held_the_rest_is_the_same(dataset: Dataset, before: bool, after: bool) -> None:
    whole = played(dataset).take()
    cut, second = sorted(np.random.default_rng(len(whole) + before).integers(0, len(whole) + 1, 2).tolist())
    one, two, three = played(dataset, before, 1), played(dataset, after, 2), played(dataset, before, 3)
    given = one.take(cut)
    two.restore(one.saved())
    given += two.take(second - cut)
    three.restore(two.saved())
    assert given + three.take() == whole, f"saved at {cut} and at {second}"
    assert len(three.store) == 0, "all that was held was let go"


def test_what_was_just_set_up_says_the_same_again(dataset: Dataset) -> None:
    one, two = played(dataset), played(dataset)
    one.take(5)
    state = one.saved()
    two.restore(state)
    again = two.saved()
    assert (again["operator"], again["held"]["count"]) == (state["operator"], state["held"]["count"])


def test_just_what_is_needed_is_computed_again() -> None:
    dataset = RANGE.repeat(5).map(noisy).shuffle(10).map(noisy).batch(2).map(noisy)
    one, two = played(dataset, SHARED, look_ahead=1), played(dataset, SHARED, look_ahead=1)
    one.take(50)
    state = one.saved()
    two.restore(state)
    assert two.computed <= 3 * state["held"]["count"], "each was computed once in each segment"


def test_an_element_that_is_held_twice_is_computed_once_and_copied() -> None:
    """What an element gave is held, and so is the element, from which more is to come."""
    dataset = RANGE.batch(2).flat_map(lambda batch: Dataset.range(30).map(lambda x: x + batch[0])).shuffle(12)
    whole = played(dataset).take()
    one, two = played(dataset, most=3), played(dataset)
    given = one.take(31)
    state = one.saved()
    two.restore(state)
    assert given + two.take() == whole


def test_much_is_computed_again_some_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(replanning, "PART", 2)
    monkeypatch.setattr(replanning, "PART_FROM_START", 3)
    for name in ("strings of files", "flat_map.shuffle.batch", "a generator"):
        dataset = PIPELINES[name](files(tmp_path))
        whole, one, two = played(dataset).take(), played(dataset), played(dataset)
        given = one.take(4)
        two.restore(one.saved())
        assert given + two.take() == whole, name


def recovered(player: Player, state: Any) -> Recovered:
    """What came of it, once all has come that comes."""
    found = Recovered(state["held"], player.graph, player.store, player.again)
    while found.pull(8) is not Signal.END:
        player.work()
    return found


def test_a_file_that_changed_does_not_give_all_of_it(tmp_path: Path) -> None:
    paths = files(tmp_path)
    dataset = PIPELINES["strings of files"](paths)
    one = played(dataset)
    one.take(3)
    state = one.saved()
    Path(paths[0]).write_bytes(b"")
    assert not recovered(played(dataset), state).complete


def test_what_was_found_is_handed_out_once() -> None:
    one, two = played(RANGE.shuffle(5)), played(RANGE.shuffle(5))
    one.take(3)
    found = recovered(two, one.saved())
    assert len(found.find(0)) == 4
    with pytest.raises(MalformedMessage, match="twice"):
        found.find(0)
    with pytest.raises(MalformedMessage, match="number 9"):
        found.find(9)


# How much it takes.

WINDOW = 65_536
LARGEST = 64 << 10


def size_of(state: Any) -> int:
    return len(msgpack.packb(state))


@pytest.fixture(scope="module", params=["equal", "varying"])
def examples(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Records as large as Criteo's: 13 floats, and 26 numbers that take one to five bytes."""
    random = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("examples")
    paths = [str(folder / f"{i}.tfrecord") for i in range(2)]
    for path in paths:
        numbers = random.zipf(1.3, (70_000, 26)).clip(1, 1 << 31)
        varying = np.ceil((np.log2(numbers) + 0.5) / 7).clip(1, 5).sum(axis=1).astype(int)
        with TFRecordWriter(path) as writer:
            for each in varying.tolist():
                writer.write(b"e" * (180 + (each if request.param == "varying" else 50)))
    return paths


def test_a_large_shuffle_of_a_range_takes_next_to_nothing() -> None:
    player = played(Dataset.range(400_000).shuffle(WINDOW), most=50_000)
    for wanted in (1, 150_000, 200_000):
        skip(player, wanted)
        state = player.saved()
        assert (state["held"]["count"] > 30_000, size_of(state) < 1000) == (True, True)


def test_a_large_shuffle_of_records_takes_less_than_64_kib(examples: list[str]) -> None:
    player = played(hr.TFRecordDataset(examples).shuffle(WINDOW).batch(512), most=20)
    for wanted in (1, 60, 80):
        skip(player, wanted)
        assert size_of(player.saved()) < LARGEST


def test_what_is_leased_out_ahead_behind_it_takes_no_more(examples: list[str]) -> None:
    dataset = hr.TFRecordDataset(examples).shuffle(WINDOW).batch(512).map(lambda batch: batch)
    player = played(dataset, SHARED, every=1 << 20, look_ahead=12, most=8, piece=1 << 16)
    for _ in range(8):
        skip(player, 10)
        state = player.saved()
    assert player.store.nbytes > 2 * WINDOW * 180, "as much is under way as the shuffle holds"
    assert size_of(state) < LARGEST
    again = played(dataset, SHARED, every=1 << 20, look_ahead=2, most=8, piece=1 << 16)
    again.restore(state)
    assert again.take(2) == player.take(2)


def skip(player: Player, wanted: int) -> None:
    """Leave so many elements out."""
    while wanted:
        got = player.operator.pull(min(wanted, player.most))
        if got is Signal.PENDING:
            player.work()
        else:
            assert isinstance(got, np.ndarray)
            player.store.release(got)
            wanted -= len(got)


# Whatever bytes come.


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, Dataset]]:
    """Checkpoints that tell of everything there is."""
    paths = files(tmp_path_factory.mktemp("told"))
    out = []
    for name in ("a stack of hops of stacks", "zip of maps", "smaller than their making", "strings of files",
                 "concatenate of what is made otherwise", "interleave.shuffle", "views"):  # fmt: skip
        dataset = PIPELINES[name](paths)
        player = played(dataset)
        player.take(4)
        out.append((player.saved(), dataset))
    return out


def kinds(tree: Any) -> set[str]:
    found = {tree[0]} if isinstance(tree[0], str) else set()
    return found.union(*(kinds(each) for each in tree if isinstance(each, list) and each))


def test_these_tell_of_everything_there_is(told: list[tuple[Any, Dataset]]) -> None:
    everything = {"leaf", "numbers", "joined", "folded", "hopped", "flat", "mixed", "itself"}
    assert set().union(*(kinds(state["held"]["runs"]) for state, _ in told)) >= everything


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in plain data something stands."""
    yield path
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from places(data[key], (*path, key))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=20),
    st.lists(st.integers(0, 1 << 40), max_size=4),
    st.just({}),
)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_is_told_instead_is_refused_or_does_not_come(
    told: list[tuple[Any, Dataset]], data: st.DataObject
) -> None:
    state, dataset = told[data.draw(st.integers(0, len(told) - 1))]
    other = copy.deepcopy(state["held"])
    *path, last = data.draw(st.sampled_from([each for each in places(other) if each]))
    parent = other
    for key in path:
        parent = parent[key]
    old = parent[last]
    if isinstance(old, bytes) and old and data.draw(st.booleans()):
        changed = bytearray(old)
        changed[data.draw(st.integers(0, len(old) - 1))] ^= data.draw(st.integers(1, 255))
        parent[last] = bytes(changed)
    else:
        parent[last] = data.draw(JUNK)
    with suppress(HeadraceError):  # it said what is wrong
        recovered(played(dataset), {"held": other})


def test_more_than_can_be_held_is_refused_before_memory_is_taken_for_it() -> None:
    store = Store()
    keeper = Keeper(store)
    keeper.keep(np.empty(0, np.int64))
    data = keeper.to_data()
    data["runs"][0][1][1] = MOST + 1
    with pytest.raises(MalformedMessage, match="are the most"):
        Held.of(data)


def test_more_than_is_read_back_is_not_told_either(monkeypatch: pytest.MonkeyPatch) -> None:
    player = played(RANGE.batch(2).shuffle(4))
    player.take(2)
    state = player.saved()
    told = MOST - read_back(state).left
    monkeypatch.setattr(held, "MOST", told)
    assert player.saved() == state
    monkeypatch.setattr(held, "MOST", told - 1)
    with pytest.raises(hr.ResourceExhaustedError, match=f"{told} elements"):
        player.saved()


def read_back(state: Any) -> Held:
    return Held.of(state["held"])


def test_a_window_that_would_be_played_for_ever_is_refused() -> None:
    data = {"works": [], "runs": [[[10, 7, 1 << 60, 1 << 60, False], ["leaf", 0, [], [0, b""], [b"", b"", b""]]]]}
    with pytest.raises(MalformedMessage, match="shuffle that drew"):
        Held.of(data)


def test_rows_that_a_leaf_does_not_have_are_refused() -> None:
    one = played(Dataset.range(1000).shuffle(400))
    one.take(3)
    state = one.saved()
    fewer = played(Dataset.range(300).shuffle(400))
    with pytest.raises(MalformedMessage, match="rows"):
        recovered(fewer, state)


def test_a_segment_that_a_graph_does_not_have_is_refused() -> None:
    one = played(RANGE.batch(2).map(noisy).shuffle(4))
    one.take(3)
    with pytest.raises(MalformedMessage, match=r"at \[|handed along|nothing"):
        recovered(played(RANGE.shuffle(4)), one.saved())
