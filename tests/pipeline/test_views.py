"""Views: which rows come, in what order, forwards and back; permutations that need no memory."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.pipeline import views
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.leaves import countable, one_for_one
from headrace.pipeline.views import View, positions_of, rows_of

KEYS = (0, 1, 2**63, 2**64 - 1)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 4096, views.TABLE, views.TABLE + 1, 100_003])
@pytest.mark.parametrize("key", KEYS)
def test_a_permutation_has_every_row_once_and_leads_back(key: int, count: int) -> None:
    view = ((key, count),)
    rows = rows_of(view, np.arange(count))
    assert np.array_equal(np.sort(rows), np.arange(count))
    assert np.array_equal(positions_of(view, rows), np.arange(count))


def test_other_keys_give_other_permutations() -> None:
    for count in (50, 100_000):
        orders = {tuple(rows_of(((key, count),), np.arange(20)).tolist()) for key in range(20)}
        assert len(orders) == 20


def test_a_permutation_of_more_rows_than_fit_memory_is_looked_up_in_places() -> None:
    view = ((7, 1 << 61),)
    places = np.array([0, 1, 1 << 60, (1 << 61) - 1])
    rows = rows_of(view, places)
    assert len(set(rows.tolist())) == 4
    assert ((rows >= 0) & (rows < 1 << 61)).all()
    assert np.array_equal(positions_of(view, rows), places)


@pytest.mark.parametrize("table", [True, False])
def test_every_order_of_a_few_rows_is_as_likely_as_another(table: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not table:
        monkeypatch.setattr(views, "TABLE", 0)
    keys = np.random.default_rng(1).integers(0, 1 << 63, 2400)
    found, counts = np.unique([rows_of(((int(key), 4),), np.arange(4)) for key in keys], axis=0, return_counts=True)
    assert len(found) == 24
    # 23 degrees of freedom: a fair one is above 49.7 once in a thousand times, and these keys are fixed.
    assert float(((counts - 100.0) ** 2 / 100).sum()) < 49.7


def test_places_of_a_large_permutation_look_independent_of_the_rows() -> None:
    rows = rows_of(((5, 1_000_000),), np.arange(20_000))
    assert abs(np.corrcoef(np.arange(20_000), rows)[0, 1]) < 0.03
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.03
    tenths = np.bincount(rows // 100_000, minlength=10)
    assert float(((tenths - 2000.0) ** 2 / 2000).sum()) < 27.9  # 9 degrees of freedom, one in a thousand


VIEWS: list[View] = [
    (),
    ((0, 1, 5),),
    ((3, 2, 4),),
    ((9, -1, 10),),
    ((1, 1, 9), (77, 9), (2, 3, 2)),
    ((5, 10), (0, 4, 3), (6, 3)),
]


@pytest.mark.parametrize("view", VIEWS)
def test_rows_outside_a_view_have_no_position(view: View) -> None:
    count = view[-1][-1] if view else 10
    rows = rows_of(view, np.arange(count)) if view else np.arange(count)
    expected = np.full(10, -1)
    expected[rows] = np.arange(count)
    assert np.array_equal(positions_of(view, np.arange(10)), expected)


def view_of(dataset: Dataset) -> tuple[View, int] | None:
    found = countable(dataset.node)
    return None if found is None else found.view(lambda shuffle: 42)


def test_cuts_become_one_stage_and_shuffles_one_each() -> None:
    items, numbers = Dataset.from_indexable(range(100)), Dataset.range(100)
    assert view_of(numbers.prefetch(1)) == ((), 100)
    assert view_of(numbers.skip(3).take(50).shard(7, 2)) == (((5, 7, 7),), 7)
    assert view_of(items.skip(10).shuffle(90).prefetch(1).shard(2, 1)) == (((10, 1, 90), (42, 90), (1, 2, 45)), 45)
    assert view_of(items.shuffle(100)) == (((42, 100),), 100)


def test_what_is_no_view_is_none() -> None:
    items, numbers = Dataset.from_indexable(range(100)), Dataset.range(100)
    for dataset in (
        items.shuffle(99),
        numbers.shuffle(100),
        items.map(lambda x: x).take(3),
        items.filter(lambda x: True).shuffle(100),
        items.repeat(2).shuffle(200),
        items.batch(2),
    ):
        assert countable(dataset.node) is None
    assert one_for_one(numbers.skip(1).map(lambda x: x).enumerate().node)
    assert not one_for_one(numbers.filter(lambda x: True).node)
    assert not one_for_one(numbers.map(lambda x: x).take(1).node)
