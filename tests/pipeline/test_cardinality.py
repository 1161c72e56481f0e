"""cardinality, len() and bool()."""

from __future__ import annotations

import pytest

import headrace as hr
from headrace import Dataset

INFINITE, UNKNOWN = hr.INFINITE_CARDINALITY, hr.UNKNOWN_CARDINALITY
TEN = Dataset.range(10)
FOREVER = TEN.repeat()
EMPTY = Dataset.range(0)
ODD = TEN.filter(lambda x: x % 2 == 1)
RECORDS = hr.TFRecordDataset("none.tfrecord")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (TEN, 10),
        (Dataset.from_tensors([1, 2]), 1),
        (TEN.map(lambda x: x).shuffle(3).prefetch(1).with_options(hr.Options(seed=1)), 10),
        (ODD, UNKNOWN),
        (FOREVER, INFINITE),
        (FOREVER.take(7), 7),
        (FOREVER.skip(3), INFINITE),
        (FOREVER.batch(2), INFINITE),
        (ODD.repeat(), INFINITE),
        (ODD.repeat(2), UNKNOWN),
        (ODD.repeat(0), 0),
        (ODD.take(0), 0),
        (ODD.take(3), UNKNOWN),
        (ODD.skip(3), UNKNOWN),
        (ODD.batch(2), UNKNOWN),
        (EMPTY.repeat(), 0),
        (EMPTY.batch(2), 0),
        (TEN.repeat(3), 30),
        (TEN.take(-1), 10),
        (TEN.take(20), 10),
        (TEN.skip(-1), 0),
        (TEN.skip(4), 6),
        (TEN.skip(40), 0),
        (TEN.batch(4), 3),
        (TEN.batch(4, drop_remainder=True), 2),
        (TEN.padded_batch(4), 3),
        (TEN.padded_batch(4, drop_remainder=True), 2),
        (RECORDS, UNKNOWN),
        (RECORDS.repeat(), INFINITE),
        (hr.TextLineDataset("none.txt").map(len), UNKNOWN),
    ],
)
def test_cardinality_follows_tf_datas_rules(dataset: Dataset, expected: int) -> None:
    assert dataset.cardinality() == expected


@pytest.mark.parametrize("dataset", [TEN.batch(3), TEN.repeat(2).skip(5), EMPTY, TEN.take(-1).shuffle(2)])
def test_len_is_how_many_elements_come(dataset: Dataset) -> None:
    assert len(dataset) == len(list(dataset))


def test_len_refuses_what_has_none_in_tf_datas_words() -> None:
    with pytest.raises(TypeError, match=r"^The dataset is infinite\.$"):
        len(FOREVER)
    with pytest.raises(TypeError, match=r"^The dataset length is unknown\.$"):
        len(ODD)


def test_a_dataset_is_true_even_when_it_is_empty() -> None:
    assert bool(EMPTY)
    assert bool(FOREVER)
    assert bool(RECORDS)
