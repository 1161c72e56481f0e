"""Tokens: an iteration in this process goes on, from any element, as if it had never stopped."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import warnings
from base64 import b85decode, b85encode
from collections.abc import Callable, Iterator
from dataclasses import fields
from inspect import isabstract
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
import headrace.pipeline
from headrace import Dataset
from headrace.pipeline import local_run
from headrace.pipeline.errors import HeadraceError, MalformedMessage
from headrace.pipeline.operators.protocol import Operator
from headrace.pipeline.operators.shelf import ShelfOperator
from headrace.pipeline.operators.snapshot import SnapshotOperator
from headrace.pipeline.token import FORMAT, Token

Outcomes = Callable[[Iterator[Any]], list[Any]]
Same = Callable[[Any, Any], None]

RECORDS = ["tests/data/tfrecord/small.tfrecord", "tests/data/tfrecord/small.tfrecord"]


def fails_at_sevens(x: Any) -> Any:
    if x % 7 == 3:
        raise ValueError(f"{x} is bad")
    return x


def noisy(x: Any, rng: np.random.Generator) -> Any:
    return x * 1000 + rng.integers(1000)


def summed(state: Any, x: Any, rng: np.random.Generator) -> Any:
    state += (x, rng.integers(10))
    if x % 7 == 3:
        raise ValueError(f"{x} is bad")
    return state, (x, state.sum())


def letters(x: Any) -> Any:
    return {"n": np.full(int(x) % 5, x), "s": b"ab" * int(x % 3)}


def alternating(x: Any) -> Any:
    return (x, x) if x % 4 == 1 else x


#: Every operator is in one of them, most stand behind others that hold elements.
PIPELINES: dict[str, Callable[[], Dataset]] = {
    "map": lambda: Dataset.range(50).map(noisy),
    "shuffle": lambda: Dataset.range(60).map(noisy).shuffle(16),
    "shuffle of a filter": lambda: Dataset.range(60).filter(lambda x: bool(x % 3)).shuffle(9).batch(4),
    "failures": lambda: Dataset.range(40).map(fails_at_sevens).shuffle(6).batch(3),
    "failures ignored": lambda: Dataset.range(40).map(fails_at_sevens).shuffle(6).ignore_errors().batch(3),
    "failures left out": lambda: (
        Dataset.range(40).map(fails_at_sevens).shuffle(6).batch(3).with_options(hr.Options(on_error="skip"))
    ),
    "take and skip": lambda: Dataset.range(60).shuffle(8).skip(5).take(31).shuffle(3),
    "shard": lambda: Dataset.range(60).shuffle(8).shard(3, 1),
    "repeat": lambda: Dataset.range(9).shuffle(4).repeat(4).batch(5),
    "records": lambda: hr.TFRecordDataset(RECORDS).shuffle(3).repeat(3).enumerate(),
    "lines": lambda: hr.TextLineDataset(["pyproject.toml", "LICENSE"]).map(len).shuffle(20).take(45),
    "enumerate": lambda: Dataset.range(40).filter(lambda x: bool(x % 2)).enumerate().shuffle(7).batch(2),
    "zip": lambda: Dataset.zip(Dataset.range(30).shuffle(5), Dataset.range(50).filter(lambda x: bool(x % 5))).shuffle(
        4
    ),
    "concatenate": lambda: Dataset.range(12).shuffle(5).concatenate(Dataset.range(20, 30).map(noisy)).batch(3),
    "padded batches": lambda: Dataset.range(30).map(letters).shuffle(5).padded_batch(4),
    "a second segment": lambda: Dataset.range(40).shuffle(8).map(noisy).shuffle(5).batch(3),
    "batches of batches": lambda: Dataset.range(60).batch(3).shuffle(4).map(lambda b: b + 1).batch(2),
    "unbatch": lambda: Dataset.range(48).shuffle(7).batch(6).unbatch().shuffle(5),
    "flat_map": lambda: Dataset.range(9).shuffle(3).flat_map(lambda n: Dataset.range(n).map(noisy)).batch(4),
    "interleave": lambda: (
        Dataset.range(8)
        .interleave(lambda n: Dataset.range(n + 1).map(lambda x: x + 10 * n), cycle_length=3, block_length=2)
        .shuffle(4)
        .batch(2)
    ),
    "two structures": lambda: Dataset.range(30).map(alternating).shuffle(6),
    "generator": lambda: Dataset.from_generator(lambda: iter(range(30))).shuffle(6).batch(4),
    "indexable": lambda: Dataset.from_indexable([(i, str(i)) for i in range(40)]).shuffle(40).shard(2, 1).batch(3),
    "counter": lambda: Dataset.counter(5).shuffle(4).take(30),
    "random": lambda: Dataset.random(3, True).take(7).repeat(3).shuffle(5).batch(2),
    "take_while": lambda: Dataset.range(60).shuffle(9).take_while(lambda x: x < 50).shuffle(4),
    "buckets": lambda: (
        Dataset.range(40).map(fails_at_sevens).bucket_by_sequence_length(lambda x: x % 5, [2, 3], [2, 3, 4]).shuffle(3)
    ),
    "rejection_resample": lambda: (
        Dataset.range(40).map(fails_at_sevens).rejection_resample(lambda x: x % 3 // 2, [1, 1]).shuffle(3)
    ),
    "choose": lambda: Dataset.choose_from_datasets(
        [Dataset.range(9).shuffle(4), Dataset.range(50, 90).map(fails_at_sevens).shuffle(5)],
        Dataset.range(3).repeat(12).shuffle(3),
        stop_on_empty_dataset=False,
    ).batch(2),
    "sample": lambda: Dataset.sample_from_datasets(
        [Dataset.range(9).map(noisy), Dataset.range(50, 70).shuffle(5), Dataset.range(100, 103)], [0.3, 0.6, 0.1], 5
    ),
    "sample by vectors": lambda: Dataset.sample_from_datasets(
        [Dataset.range(9).map(noisy), Dataset.range(50, 70).shuffle(5)],
        Dataset.random(4).map(lambda x: np.array([x % 3, x % 2])),
        rerandomize_each_iteration=True,
    ).take(25),
    "window": lambda: (
        Dataset.range(20).map(fails_at_sevens).window(3, 2).shuffle(3).flat_map(lambda w: w.shuffle(2).batch(2))
    ),
    "group_by_window": lambda: (
        Dataset.range(22).group_by_window(lambda x: x % 4, lambda _, w: w.batch(2), 3).shuffle(3)
    ),
    "unique": lambda: Dataset.range(60).shuffle(9).map(lambda x: str(x % 17)).unique().enumerate().shuffle(3),
    "unique numbers": lambda: Dataset.range(40).map(fails_at_sevens).map(lambda x: x % 11).unique().batch(2),
    "rebatch": lambda: Dataset.range(40).shuffle(7).batch(6).rebatch([0, 3, 1]).shuffle(3),
    "ragged": lambda: Dataset.range(24).map(lambda x: np.full(x % 4, x)).shuffle(5).ragged_batch(3).shuffle(3).batch(2),
    "sparse": lambda: (
        Dataset.range(24).map(lambda x: np.full(x % 4, x)).shuffle(5).sparse_batch(3, [4]).shuffle(3).batch(2)
    ),
    "cache": lambda: (
        Dataset.range(14).shuffle(4).map(fails_at_sevens).map(noisy).cache().shuffle(5).repeat(2).map(noisy)
    ),
    "cache of a cache": lambda: Dataset.range(9).map(noisy).cache().repeat(2).batch(4).cache().shuffle(3).unbatch(),
    "asserted": lambda: Dataset.range(20).shuffle(5).assert_cardinality(21).batch(3),
    "scan": lambda: Dataset.range(40).shuffle(7).scan(np.zeros(2, np.int64), summed).repeat(2).shuffle(5).batch(2),
    "list_files": lambda: Dataset.list_files("tests/data/images/*.jpg").map(len).shuffle(4),
}


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint before whatever is pulled."""
    monkeypatch.setattr(local_run, "LEAST_S", 0)
    monkeypatch.setattr(local_run, "SHARE", 0)


def ahead(iterator: Iterator[Any], count: int) -> list[Any]:
    """So many elements or errors."""
    found: list[Any] = []
    for _ in range(count):
        try:
            found.append(next(iterator))
        except HeadraceError as error:
            found.append((type(error), str(error)))
    return found


def saved(token: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from a file."""
    again: dict[str, Any] = json.loads(json.dumps(token))
    return again


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("name", PIPELINES)
def test_an_iteration_goes_on_from_every_element(name: str, outcomes: Outcomes, same: Same) -> None:
    dataset = PIPELINES[name]().with_options(hr.Options(seed=4))
    expected = outcomes(dataset.iterate(1))
    checkpoints = 0
    for at in range(len(expected) + 1):
        first = dataset.iterate(1)
        before = ahead(first, at)
        token = saved(first.state_dict())
        checkpoints += bool(token["state"])
        second = PIPELINES[name]().with_options(hr.Options(seed=4)).iterate(0)
        second.load_state_dict(token)
        assert second.epoch == 1
        same(before + outcomes(second), expected)
    assert checkpoints


@pytest.mark.parametrize("name", ["shuffle", "repeat", "records", "zip"])
def test_without_a_checkpoint_the_epoch_is_played_from_its_start(name: str, outcomes: Outcomes, same: Same) -> None:
    dataset = PIPELINES[name]().with_options(hr.Options(seed=4))
    expected = outcomes(dataset.iterate(0))
    for at in (0, 1, len(expected) // 2, len(expected)):
        first = dataset.iterate(0)
        before = ahead(first, at)
        assert first.state_dict()["state"] == ""
        second = dataset.iterate(3)
        second.load_state_dict(saved(first.state_dict()))
        same(before + outcomes(second), expected)


def _subclasses(kind: Any) -> set[Any]:
    return {kind}.union(*map(_subclasses, kind.__subclasses__()))


def _within(value: Any) -> Iterator[Any]:
    """The classes of all operators that one is made of."""
    if isinstance(value, Operator):
        yield type(value)
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _within(each)
    if isinstance(value, Operator) or type(value).__name__.endswith("Feed"):
        for name in (each.name for each in fields(value)):
            yield from _within(getattr(value, name, None))


def test_every_operator_can_be_saved_and_is_in_a_pipeline_above() -> None:
    for module in pkgutil.walk_packages(headrace.pipeline.__path__, "headrace.pipeline."):
        importlib.import_module(module.name)
    ours = {each for each in _subclasses(Operator) if each.__module__.startswith("headrace.pipeline.operators")}
    seen: set[Any] = set()
    for make in PIPELINES.values():
        iterator = make().iterate(0)
        ahead(iterator, 1)
        seen |= set(_within(iterator._run.operator))
    elsewhere = {SnapshotOperator, ShelfOperator}  # these need a folder: test_snapshot.py goes on behind each element
    missing = {each for each in ours if not isabstract(each)} - seen - elsewhere
    assert not missing, f"no pipeline above, and so no test of resuming, has {missing}"
    for each in seen:
        own = [kind for kind in each.__mro__ if kind.__name__ not in ("Operator", "Unary")]
        named = {name for kind in own for name in vars(kind)}
        assert {"snapshot", "restore"} <= named or {"own_state", "set_own_state"} <= named, each


@pytest.mark.usefixtures("often")
def test_a_token_says_nothing_of_content_and_is_plain_data() -> None:
    iterator = iter(hr.TextLineDataset("LICENSE").shuffle(50).batch(5))
    ahead(iterator, 4)
    token = iterator.state_dict()
    assert sorted(token) == ["element", "ended", "epoch", "fingerprint", "headrace", "seed", "state"]
    assert (token["headrace"], token["epoch"], token["element"], token["ended"]) == (FORMAT, 0, 4, False)
    assert b"Apache" not in b85decode(token["state"])
    assert json.loads(json.dumps(token)) == token


def test_the_state_after_the_end_is_that_of_an_ended_iterator() -> None:
    dataset = Dataset.range(5).shuffle(5)
    iterator = iter(dataset)
    list(iterator)
    token = iterator.state_dict()
    assert (token["ended"], token["element"]) == (True, 5)
    again = Dataset.range(5).shuffle(5).iterate(7)
    again.load_state_dict(token)
    assert list(again) == []
    assert again.state_dict() == token


def test_the_pass_after_a_loaded_one_is_the_next() -> None:
    one, other = Dataset.range(20).shuffle(20), Dataset.range(20).shuffle(20)
    passes = [list(one) for _ in range(4)]
    iterator = one.iterate(2)
    token = (ahead(iterator, 3), iterator.state_dict())[1]
    resumed = iter(other)
    resumed.load_state_dict(token)  # it brings the seed that `one` drew
    assert list(resumed) == passes[2][3:]
    assert list(other) == passes[3]


def test_a_token_is_loaded_at_any_time() -> None:
    iterator = iter(Dataset.range(10))
    ahead(iterator, 2)
    token = iterator.state_dict()
    ahead(iterator, 5)
    iterator.load_state_dict(token)
    assert [int(each) for each in iterator] == list(range(2, 10))
    iterator.load_state_dict(token)
    assert next(iterator) == 2


ONE = Dataset.range(10).map(noisy).batch(4).with_options(hr.Options(seed=1))
OTHERS = {
    "token: batch(4), here: batch(5)": Dataset.range(10).map(noisy).batch(5),
    "token: batch(4), here: batch(4, drop_remainder=True)": Dataset.range(10).map(noisy).batch(4, drop_remainder=True),
    "token: batch(4), here: shuffle(3)": Dataset.range(10).map(noisy).batch(4).shuffle(3),
    "token: map(noisy), here: filter(noisy)": Dataset.range(10).filter(noisy).batch(4),
    "token: range(0, 10, step=1), here: range(0, 11, step=1)": Dataset.range(11).map(noisy).batch(4),
    "here: from_tensor_slices(10 rows)": Dataset.from_tensor_slices(np.arange(10)).map(noisy).batch(4),
    "token: Options(seed=1), here: Options(seed=2)": ONE.with_options(hr.Options(seed=2)),
}


@pytest.mark.parametrize("told", OTHERS)
def test_a_token_of_another_pipeline_is_refused_by_what_differs(told: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="of another pipeline") as raised:
        iter(OTHERS[told]).load_state_dict(iter(ONE).state_dict())
    assert told in str(raised.value)


def test_other_rows_of_the_same_number_are_another_pipeline() -> None:
    token = iter(Dataset.from_tensor_slices([1, 2, 3])).state_dict()
    with pytest.raises(hr.InvalidArgumentError, match="with other arguments or contents"):
        iter(Dataset.from_tensor_slices([1, 2, 4])).load_state_dict(token)


def test_what_changes_no_element_may_differ() -> None:
    token = iter(ONE.prefetch(4)).state_dict()
    again = iter(ONE.with_options(hr.Options(buffer_bytes=1 << 20)).prefetch(9))
    again.load_state_dict(token)
    assert len(list(again)) == 3


def test_a_changed_function_warns_and_is_used() -> None:
    iterator = iter(Dataset.range(6).map(lambda x: x + 1))
    ahead(iterator, 2)
    again = iter(Dataset.range(6).map(lambda x: x + 100))
    with pytest.warns(hr.FunctionChangedWarning, match=r"map\(<lambda>\) changed since the state was saved") as warned:
        again.load_state_dict(iterator.state_dict())
    assert warned[0].filename == __file__
    assert [int(each) for each in again] == [102, 103, 104, 105]


def test_a_function_that_drops_more_than_it_did_may_end_the_epoch_early() -> None:
    iterator = iter(Dataset.range(20).filter(lambda x: bool(x % 2)))
    ahead(iterator, 9)
    again = iter(Dataset.range(20).filter(lambda x: bool(x % 3 == 0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.FunctionChangedWarning)
        with pytest.raises(hr.FailedPreconditionError, match="after 9 elements of epoch 0, which has only 7"):
            again.load_state_dict(iterator.state_dict())
    assert next(again) == 0  # a token that cannot be loaded changes nothing


@pytest.mark.usefixtures("often")
class TestFiles:
    """What a token needs of files."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where names are relative to, with two files of a hundred lines."""
        folder = tmp_path / "here"
        (folder / "data").mkdir(parents=True)
        for name in "ab":
            (folder / "data" / name).write_text("".join(f"{name}{i}\n" for i in range(100)))
        monkeypatch.chdir(folder)
        return folder

    @staticmethod
    def pipeline(prefix: str = "") -> Dataset:
        return hr.TextLineDataset([f"{prefix}data/a", f"{prefix}data/b"]).shuffle(4, seed=5).batch(4)

    def test_one_that_changed_is_refused_by_name(self, folder: Path) -> None:
        iterator = self.pipeline().iterate(0)
        ahead(iterator, 10)
        token = iterator.state_dict()
        (folder / "data" / "a").write_text("".join(f"a{i}\n" for i in range(101)))
        with pytest.raises(hr.FailedPreconditionError, match="data/a has 395 bytes, and had 390"):
            self.pipeline().iterate(0).load_state_dict(token)
        content = (folder / "data" / "a").read_text()[:390]
        (folder / "data" / "a").write_text(content.replace("a99", "a9x"))
        with pytest.raises(hr.FailedPreconditionError, match="data/a has other content"):
            self.pipeline().iterate(0).load_state_dict(token)

    def test_one_that_is_gone_is_refused_by_name(self, folder: Path) -> None:
        iterator = self.pipeline().iterate(0)
        ahead(iterator, 10)
        token = iterator.state_dict()
        (folder / "data" / "a").unlink()
        with pytest.raises(hr.FailedPreconditionError, match="data/a cannot be read: No such file"):
            self.pipeline().iterate(0).load_state_dict(token)

    def test_one_that_was_read_before_and_is_not_needed_may_change(self, folder: Path) -> None:
        expected = list(self.pipeline().iterate(0))
        iterator = self.pipeline().iterate(0)
        ahead(iterator, 45)
        token = iterator.state_dict()
        (folder / "data" / "a").write_text("")
        again = self.pipeline().iterate(0)
        again.load_state_dict(token)
        assert [list(each) for each in again] == [list(each) for each in expected[45:]]

    def test_a_touched_file_is_the_same(self, folder: Path) -> None:
        iterator = self.pipeline().iterate(0)
        ahead(iterator, 10)
        token = iterator.state_dict()
        os.utime(folder / "data" / "a", (0, 0))
        again = self.pipeline().iterate(0)
        again.load_state_dict(token)
        assert len(list(again)) == 40

    def test_relative_names_are_found_below_another_folder(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = list(self.pipeline().iterate(0))
        iterator = self.pipeline().iterate(0)
        ahead(iterator, 10)
        token = iterator.state_dict()
        folder.rename(tmp_path / "there")
        monkeypatch.chdir(tmp_path / "there")
        again = self.pipeline().iterate(0)
        again.load_state_dict(token)
        rest = list(again)
        assert [list(each) for each in rest] == [list(each) for each in expected[10:]]

    def test_names_from_the_root_stay_where_they_are(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        iterator = self.pipeline(f"{folder}/").iterate(0)
        ahead(iterator, 10)
        token = iterator.state_dict()
        monkeypatch.chdir(tmp_path)
        again = self.pipeline(f"{folder}/").iterate(0)
        again.load_state_dict(token)
        assert len(list(again)) == 40


SCRIPT = """
import sys, msgpack, headrace as hr
def noisy(x, rng): return x * 1000 + rng.integers(1000)
dataset = hr.Dataset.range(40).map(noisy).filter(lambda x: x % 3 in {0, 1}).shuffle(9).batch(2)
iterator = iter(dataset)
if sys.argv[1] == "save":
    got = [next(iterator).tolist() for _ in range(5)]
    print(msgpack.packb([iterator.state_dict(), got + [each.tolist() for each in iterator]]).hex())
else:
    iterator.load_state_dict(msgpack.unpackb(bytes.fromhex(sys.argv[2]))[0])
    print(msgpack.packb([each.tolist() for each in iterator]).hex())
"""


def test_a_token_goes_on_in_another_process_under_another_hash_seed() -> None:
    def run(seed: str, *arguments: str) -> Any:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONWARNINGS": "error"}
        command = [sys.executable, "-c", SCRIPT, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=100)
        return msgpack.unpackb(bytes.fromhex(done.stdout.decode()))

    token, expected = run("1", "save")
    assert run("2", "load", msgpack.packb([token]).hex()) == expected[5:]


WRONG: dict[str, tuple[Any, str]] = {
    "no dict": (3, "this is no state of a headrace iterator"),
    "another dict": ({"epoch": 3}, "this is no state of a headrace iterator"),
    "a later format": ({"headrace": 3}, "of format 3, and this headrace reads 2"),
    "a loader's": ({"headrace": 1}, "of format 1, and this headrace reads 2"),
    "a number as text": ({"headrace": 2, "fingerprint": {}, "seed": "1"}, "seed is str, not int"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_token_is_refused(name: str) -> None:
    data, told = WRONG[name]
    with pytest.raises(hr.InvalidArgumentError, match=told):
        iter(Dataset.range(3)).load_state_dict(data)


@pytest.mark.parametrize(
    ("name", "value"), [("element", -1), ("epoch", 1 << 63), ("state", b"bytes"), ("state", '"'), ("ended", 1)]
)
def test_fields_out_of_place_are_refused(name: str, value: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError):
        Token.from_dict({**iter(Dataset.range(3)).state_dict(), name: value})


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    "name", ["shuffle", "lines", "zip", "interleave", "padded batches", "choose", "rebatch", "scan"]
)
def test_a_damaged_state_is_a_typed_error_or_goes_on(name: str) -> None:
    dataset = PIPELINES[name]().with_options(hr.Options(seed=4))
    iterator = dataset.iterate(0)
    ahead(iterator, 8)
    token = iterator.state_dict()
    state = b85decode(token["state"])

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, len(state) - 1), st.binary(min_size=0, max_size=3), st.integers(0, 3))
    def damaged(at: int, put: bytes, taken: int) -> None:
        broken = {**token, "state": b85encode(state[:at] + put + state[at + taken :]).decode()}
        try:
            again = dataset.iterate(0)
            again.load_state_dict(broken)
            ahead(again, 100)
        except (HeadraceError, StopIteration):
            pass

    damaged()


def test_a_checkpoint_after_the_element_is_refused() -> None:
    state = b85encode(msgpack.packb({"cursor": 5, "checksum": 0, "operator": {}})).decode()
    token = {**iter(Dataset.range(3)).state_dict(), "state": state}
    with pytest.raises(MalformedMessage, match="of element 0 with a checkpoint of 5"):
        iter(Dataset.range(3)).load_state_dict(token)
