"""Fingerprints: equal for what does the same, told apart by what differs."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import google_crc32c
import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.code import code_digest, content
from headrace.pipeline.ends import END_BYTES, ends_of
from headrace.pipeline.fingerprint import TOLD, compare, fingerprint

SOURCE = """
LIMIT = {limit}
CALLS = 0

def small(x):
    return x < LIMIT

def even(x):
    global CALLS
    CALLS += 1
    return x % 2 == 0 and small(x) and x in {{"a", "b", 4}}

class Scale:
    def __init__(self, by):
        self.by = by
    def __call__(self, x):
        return x * self.by
"""


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., ModuleType]:
    """`module(source, **values)`: a module of the user's, loaded anew from a file of its own."""
    count = iter(range(100))

    def load(source: str = SOURCE, **values: Any) -> ModuleType:
        path = tmp_path / f"mine_{next(count)}.py"
        path.write_text(source.format(**values) if values else source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return load


Load = Callable[..., ModuleType]


def test_a_function_is_the_same_wherever_it_stands_in_its_file(module: Load) -> None:
    assert code_digest(module(limit=3).even) == code_digest(module("\n\n# moved\n\n" + SOURCE, limit=3).even)


def test_a_constant_that_it_uses_is_part_of_it(module: Load) -> None:
    assert code_digest(module(limit=3).even) != code_digest(module(limit=4).even)


def test_a_function_that_it_calls_is_part_of_it(module: Load) -> None:
    other = SOURCE.replace("x < LIMIT", "x <= LIMIT")
    assert code_digest(module(limit=3).even) != code_digest(module(other, limit=3).even)


def test_what_it_counts_itself_is_not_part_of_it(module: Load) -> None:
    mine = module(limit=3)
    before = code_digest(mine.even)
    mine.even(4)
    assert mine.CALLS == 1
    assert code_digest(mine.even) == before


def test_what_it_closes_over_is_part_of_it() -> None:
    def adding(n: Any) -> Callable[[Any], Any]:
        return lambda x: x + n

    assert code_digest(adding(1)) == code_digest(adding(1))
    others = [1, 2, 1.0, "1", (1,), [1], {"a": 1}, np.int64(1), np.ones(3), np.ones(4), None, adding(1), adding(2)]
    assert len({code_digest(adding(each)) for each in others}) == len(others)


def test_nested_functions_defaults_and_bound_values_are_part_of_it(module: Load) -> None:
    scale = module(limit=1).Scale
    assert code_digest(scale(2)) == code_digest(scale(2)) != code_digest(scale(3))
    assert code_digest(scale(2).__call__) != code_digest(scale(3).__call__)
    power = functools.partial(pow, 2)
    assert code_digest(power) != code_digest(functools.partial(pow, 3))

    def with_default(x: int, n: int = 1) -> int:
        return x + n

    before = code_digest(with_default)
    with_default.__defaults__ = (2,)
    assert code_digest(with_default) != before
    assert code_digest(lambda x: [y + 1 for y in x]) != code_digest(lambda x: [y + 2 for y in x])


def test_what_refers_to_itself_has_a_digest() -> None:
    def factorial(n: int) -> int:
        return n * factorial(n - 1) if n else 1

    itself: list[Any] = [factorial]
    itself.append(itself)
    assert code_digest(factorial) == code_digest(factorial)
    assert len(code_digest(lambda: itself)) == 16


def test_installed_functions_count_by_name() -> None:
    assert code_digest(np.square) != code_digest(np.sqrt)
    assert code_digest(os.path.join) == code_digest(os.path.join)


SCRIPT = """
import headrace as hr
from headrace.pipeline.fingerprint import fingerprint
FEATURES = frozenset(["image", "label", "name"])
def keep(record):
    return record[:1] in {b"a", b"b", b"c"} and FEATURES
dataset = hr.TextLineDataset("a").filter(keep).shuffle(9).batch(2)
print(fingerprint(dataset.node))
"""


def test_all_processes_agree_whatever_their_hash_seed() -> None:
    told = set()
    for seed in ("0", "1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, check=True)
        told.add(done.stdout)
    assert len(told) == 1


def test_under_another_python_code_is_not_compared() -> None:
    here = fingerprint(Dataset.range(3).map(lambda x: x + 1).node)
    there = fingerprint(Dataset.range(3).map(lambda x: x + 2).node)
    assert compare(there, here) == ["map(<lambda>)"]
    assert compare({**there, "python": "3.99"}, here) == []


def test_arguments_that_nobody_set_may_be_added_by_later_versions() -> None:
    words = [each[0] for each in fingerprint(Dataset.range(4).shuffle(3).batch(2).prefetch(1).node)["operators"]]
    assert words == ["batch(2)", "shuffle(3)", "range(0, 4, step=1)"]


def test_the_folder_of_nested_names_is_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.range(3).flat_map(Dataset.range)
    here = fingerprint(Dataset(dataset.node).resolved)
    monkeypatch.chdir(tmp_path)
    assert fingerprint(Dataset(dataset.node).resolved) == here


def test_branches_are_told_apart_by_where_they_stand() -> None:
    a, b, c = (Dataset.range(n) for n in (1, 2, 3))
    shapes = [Dataset.zip(a, Dataset.zip(b, c)), Dataset.zip(Dataset.zip(a, b), c), Dataset.zip(a, b, c)]
    tokens = [fingerprint(each.node) for each in shapes]
    for one in tokens:
        for other in tokens:
            if one is other:
                assert compare(one, other) == []
            else:
                with pytest.raises(hr.InvalidArgumentError, match="another pipeline"):
                    compare(one, other)


def test_of_very_many_operators_the_first_are_told_and_all_count() -> None:
    def concatenated(last: int) -> Dataset:
        found = Dataset.range(1)
        for n in range(TOLD):
            found = found.concatenate(Dataset.range(n))
        return found.concatenate(Dataset.range(last))

    here = fingerprint(concatenated(5).node)
    assert len(here["operators"]) == TOLD
    assert compare(here, fingerprint(concatenated(5).node)) == []
    with pytest.raises(hr.InvalidArgumentError, match="another pipeline"):
        compare(here, fingerprint(concatenated(6).node))


@pytest.mark.parametrize("junk", [None, [], {}, {"operators": 3}, {"operators": [["batch", 1]]}, {"operators": [3]}])
def test_what_is_no_fingerprint_is_refused(junk: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="holds no fingerprint"):
        compare(junk, fingerprint(Dataset.range(1).node))


def test_every_byte_of_an_array_counts() -> None:
    array = np.arange(10_000, dtype=np.int32)
    changed = array.copy()
    changed[7777] += 1
    assert content(array) == content(array.copy()) != content(changed)
    assert content(array)[3] == google_crc32c.value(array.tobytes())
    assert content(np.array([b"ab", b"c"], object)) != content(np.array([b"a", b"bc"], object))
    assert content(array.reshape(100, 100)) != content(array)


@pytest.mark.parametrize("size", [0, 1, END_BYTES, 2 * END_BYTES, 2 * END_BYTES + 1, 5 * END_BYTES])
def test_the_ends_of_a_file_are_its_size_and_the_sum_of_both_ends(tmp_path: Path, size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "a").write_bytes(data)
    ends = data if size <= 2 * END_BYTES else data[:END_BYTES] + data[-END_BYTES:]
    assert ends_of(str(tmp_path / "a")) == (size, google_crc32c.value(ends))
