"""An epoch's summary: what is counted, and who waited for whom."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from headrace.pipeline.summary import Summary


class Pair(NamedTuple):
    """Something named."""

    left: Any
    right: Any


@pytest.mark.parametrize(
    ("batch", "elements"),
    [
        (np.zeros((3, 2)), 3),
        (np.array([b"a", b"b"], object), 2),
        ((np.zeros((4, 1)), np.zeros(4)), 4),
        ({"image": np.zeros((5, 2)), "label": np.zeros(5)}, 5),
        (({"a": (np.zeros(6),)}, np.zeros(6)), 6),
        (Pair(np.zeros(7), np.zeros(7)), 7),
        (((), np.zeros(8)), 8),
        (np.zeros((0, 2)), 0),
        (np.float32(1), 1),
        (b"text", 1),
        ((), 1),
        ({}, 1),
        (((), {}), 1),
    ],
    ids=repr,
)
def test_a_batch_counts_as_many_elements_as_its_first_component_is_long(batch: Any, elements: int) -> None:
    summary = Summary(batched=True)
    summary.count(batch)
    assert (summary.delivered, summary.batches, summary.elements) == (1, 1, elements)


def test_without_batches_each_delivery_is_one_element() -> None:
    summary = Summary(batched=False)
    for _ in range(3):
        summary.count(np.zeros((4, 2)))
    assert (summary.delivered, summary.batches, summary.elements) == (3, 0, 3)


def test_what_workers_computed_is_known_at_the_end() -> None:
    before, after = Summary(batched=True), Summary(batched=True)
    after.finish({"computed": 1234})
    assert (before.computed, after.computed) == (None, 1234)
    assert "computed" not in str(before)
    assert "1,234 computed by workers" in str(after)


def test_waiting_and_training_make_up_the_epoch() -> None:
    summary = Summary(batched=True)
    for _ in range(3):
        summary.loop_came()
        summary.loop_left()
    assert summary.waited_s >= 0
    assert summary.trained_s >= 0
    assert summary.seconds == summary.waited_s + summary.trained_s


def test_no_training_is_counted_before_the_first_element_came() -> None:
    summary = Summary(batched=True)
    summary.loop_came()
    assert (summary.waited_s, summary.trained_s) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("waited", "trained", "who"),
    [
        (9.0, 1.0, "the trainer waited for data (90 %)"),
        (1.0, 9.0, "the workers kept ahead of the trainer (10 %)"),
        (0.0, 0.0, "the workers kept ahead of the trainer (0 %)"),
    ],
)
def test_it_says_who_waited_for_whom(waited: float, trained: float, who: str) -> None:
    summary = Summary(batched=True, delivered=4, elements=1234, waited_s=waited, trained_s=trained)
    assert str(summary) == (
        f"1,234 elements in 4 batches, {waited + trained:.2f} s; "
        f"waited {waited:.2f} s for data, trained {trained:.2f} s: {who}"
    )


def test_a_summary_without_batches_does_not_speak_of_them() -> None:
    assert str(Summary(batched=False, delivered=5, elements=5)).startswith("5 elements, 0.00 s;")
