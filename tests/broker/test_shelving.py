"""What a run asks of folders where elements are kept, and sends there."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace.broker.shelving import RunShelves
from headrace.pipeline.building import build
from headrace.pipeline.errors import FileError, MalformedMessage
from headrace.pipeline.execution import settings
from headrace.pipeline.manifest import Manifest, Shard, shard_file
from headrace.pipeline.operators.protocol import Failed, Operator, Signal
from headrace.pipeline.orders import Scan, Shelve
from headrace.pipeline.resolve import resolve
from headrace.pipeline.store import Store


@pytest.fixture
def shelves() -> RunShelves:
    return RunShelves(7, count(20), [])


def snapshot(shelves: RunShelves) -> tuple[Operator, str]:
    """An operator over three numbers, and its folder."""
    node: Any = resolve(hr.Dataset.range(3).snapshot("kept").node)
    to = settings(node, Store(), 0, 0, "/data", shelves=shelves)
    return build(node, to), f"/data/kept/{node.digest}"


def test_nothing_comes_before_it_is_known_what_is_kept(shelves: RunShelves) -> None:
    operator, folder = snapshot(shelves)
    assert operator.pull(2) is operator.pull(2) is Signal.PENDING
    assert shelves.orders == [Scan(7, folder, "shelf")]
    shelves.answer(folder, ())
    got = operator.pull(2)
    assert isinstance(got, np.ndarray)
    assert len(got) == 2


def test_what_passes_is_sent_to_be_kept_and_that_it_was_all(shelves: RunShelves) -> None:
    operator, folder = snapshot(shelves)
    operator.pull(1)
    shelves.answer(folder, ())
    while not isinstance(operator.pull(2), Signal):
        pass
    first, second, end = shelves.kept
    assert (len(first.records), len(second.records), first.shards) == (2, 1, (0, 0))
    assert end == Shelve(7, 20, folder, "", ended=True)
    operator.close()
    assert shelves.taken()[-1] is end
    assert shelves.taken() == []


def test_what_is_closed_before_its_end_is_not_kept(shelves: RunShelves) -> None:
    operator, folder = snapshot(shelves)
    operator.pull(1)
    shelves.answer(folder, ())
    operator.pull(1)
    operator.close()
    assert shelves.kept[-1] == Shelve(7, 20, folder, "", ended=False)


def test_a_folder_that_must_not_be_used_fails_once_and_nothing_is_sent(shelves: RunShelves) -> None:
    operator, folder = snapshot(shelves)
    operator.pull(1)
    shelves.answer(folder, (None,))
    failed = operator.pull(3)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, FileError)
    assert "server.roots" in str(failed.error)
    got = operator.pull(3)
    assert isinstance(got, np.ndarray)
    assert len(got) == 3
    assert shelves.kept == []


def test_what_is_kept_is_read_under_its_names(shelves: RunShelves) -> None:
    operator, folder = snapshot(shelves)
    operator.pull(1)
    shelves.answer(folder, Manifest("", None, (Shard(4, shard_file(9, 4), 3),)).to_numbers())
    assert operator.pull(1) is Signal.PENDING  # the names are asked for by themselves
    assert shelves.orders == [Scan(7, folder, "shelf")] * 2
    shelves.answer(folder, ())
    failed = operator.pull(1)
    assert isinstance(failed, Failed)
    assert "is there no more" in str(failed.error)
    assert operator.pull(1) is Signal.END


@pytest.mark.parametrize(
    "state",
    [
        {"given": -1, "reading": False, "source": {}},
        {"given": 0, "reading": 1, "source": {}},
        {"given": 0, "reading": True, "source": {"feed": {"names": {"files": ["a"], "at": 0}}}},
        {"given": 0, "reading": True, "source": {"feed": {"names": {"files": [b"a"], "at": 2}}}},
        {"given": 0, "reading": True, "source": {"feed": {"names": {"files": None, "at": -1}}}},
    ],
)
def test_a_damaged_state_is_refused(shelves: RunShelves, state: Any) -> None:
    with pytest.raises(MalformedMessage):
        snapshot(shelves)[0].restore(state, lambda kept: np.empty(0, np.int64))
