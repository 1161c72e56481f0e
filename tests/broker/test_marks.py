"""Marks: what is leased out ahead is told by where its input stood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace import Dataset
from headrace.broker import marks
from headrace.broker.marks import Marks
from headrace.pipeline.feeds import HandedFeed
from headrace.pipeline.held import Kept
from tests.players import LOCAL, SHARED, played


def noisy(x: Any, rng: np.random.Generator) -> Any:
    return x * 1000 + rng.integers(1000)


def fussy(x: Any) -> Any:
    if np.sum(x) % 7 == 3:
        raise ValueError(f"bad {x}")
    return x


def some(x: Any) -> Dataset:
    return Dataset.range(int(np.sum(x)) % 5).map(noisy)


PIPELINES = {
    "batches": Dataset.range(90).map(fussy).shuffle(9).batch(3).map(noisy).shuffle(4),
    "behind one another": Dataset.range(90).shuffle(9).map(noisy).shuffle(5).map(fussy).batch(2).map(noisy),
    "any number of others": Dataset.range(60).shuffle(9).flat_map(some).shuffle(5).map(noisy).batch(2),
    "failing before": Dataset.range(60).batch(2).shuffle(4).map(fussy).padded_batch(3).map(noisy),
}


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks are used however little is under way."""
    monkeypatch.setattr(marks, "LITTLE", 0)
    monkeypatch.setattr(marks, "FAR", 1 << 40)


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("after", [LOCAL, SHARED], ids=["local", "lanes"])
def test_what_was_under_way_comes_again(name: str, after: bool) -> None:
    dataset = PIPELINES[name]
    whole = played(dataset).take()
    one, given, used = played(dataset, SHARED, 1), list[Any](), 0
    while len(given) < len(whole):
        given += one.take(5)
        state = one.saved()
        used += "'skip': 0" not in str(state) or one.lanes == []
        two = played(dataset, after, len(given))
        two.restore(state)
        assert given + two.take() == whole
        assert len(two.store) == 0
    assert used, "something was under way"


def under_way() -> Any:
    """What is said of a stream of which some is under way."""
    player = played(PIPELINES["batches"], SHARED)
    player.take(3)
    while player.work():
        pass
    assert sum(len(each.lanes) for each in player.lanes if each.marks is not None) > 1
    return player.saved()["operator"]["source"]


def test_what_is_under_way_is_not_told_where_it_is_much() -> None:
    assert under_way()["lanes"] == []


def test_what_is_under_way_is_told_itself_where_it_is_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "LITTLE", 1 << 20)
    state = under_way()
    assert (len(state["lanes"]) > 1, state["feed"]["skip"]) == (True, 0)


def test_a_mark_far_back_is_not_gone_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "FAR", 0)
    assert len(under_way()["lanes"]) > 1


class Numbers:
    """Stands for what feeds a feed: its snapshots say how often they were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def snapshot(self, keep: Any) -> Any:
        self.taken += 1
        return {"taken": self.taken, "held": keep(np.empty(0, np.int64))}


def test_the_newest_mark_that_is_not_too_far_on_counts() -> None:
    player = played(PIPELINES["batches"])
    feed = HandedFeed((1,), Numbers(), player.store)  # type: ignore[arg-type]
    made = Marks(feed)
    for given in (0, 10, 20):
        feed.given = given
        made.take(told=100)
        made.take(told=100)  # none is due before the next snapshot
        made.due = True
    told = made.state(15, 2, 100, lambda kept, *_: isinstance(kept, Kept))
    assert told == {"source": {"taken": 2, "held": True}, "rest": True, "skip": 5, "within": 2, "branch": [0, 0]}
    assert made.state(20, 0, 100, lambda *_: None)["skip"] == 0  # type: ignore[index]
    assert made.state(19, 0, 100, lambda *_: None) is None, "it was let go"
