"""Rejection resampling: elements left out so that their classes come as often as they should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.blobs import Sent
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.nodes import Resample, Tagged

from ..conftest import Run, assert_same
from .resuming import outcomes, resumes_everywhere

#: Of every twelve numbers nine are of class 0, two of class 1, one of class 2.
CLASSES = np.array([0, 0, 0, 1, 0, 0, 2, 0, 0, 1, 0, 0])
INITIAL = [9 / 12, 2 / 12, 1 / 12]


def class_of(x: Any) -> Any:
    return CLASSES[x % 12]


def shares(found: list[Any]) -> Any:
    return np.bincount([int(each) for each, _ in found], minlength=3) / len(found)


@pytest.mark.parametrize("initial", [None, INITIAL, [90, 20, 10]], ids=["estimated", "given", "in any unit"])
@pytest.mark.parametrize("target", [[1 / 3, 1 / 3, 1 / 3], [0.2, 0.5, 0.3], [1, 0, 1]], ids=str)
def test_classes_come_as_often_as_the_target_says(target: list[float], initial: Any) -> None:
    found = list(Dataset.range(12_000).rejection_resample(class_of, target, initial, seed=3))
    # Of about 2,000 elements or more: 0.05 is over four standard deviations.
    np.testing.assert_allclose(shares(found), np.array(target) / sum(target), atol=0.05)
    assert all(int(number) == class_of(x) for number, x in found)
    assert [int(x) for _, x in found] == sorted({int(x) for _, x in found}), "in order, and none twice"


def test_the_rarest_of_what_is_wanted_is_never_left_out() -> None:
    found = list(Dataset.range(1200).rejection_resample(class_of, [1, 1, 1], INITIAL, seed=3))
    assert [int(x) for number, x in found if number == 2] == [x for x in range(1200) if class_of(x) == 2]


def test_what_comes_as_it_should_is_left_as_it_is() -> None:
    found = list(Dataset.range(120).rejection_resample(class_of, [9, 2, 1], INITIAL))
    assert [int(x) for _, x in found] == list(range(120))


def test_it_is_the_same_everywhere_and_new_in_every_epoch(run: Run) -> None:
    numbers = Dataset.range(3000).shuffle(50, seed=2).map(lambda x: (x, np.full(2, x)))
    resampled = numbers.rejection_resample(lambda x, _: class_of(x), [1, 1, 1], seed=5).batch(7)
    first, second = run(resampled, 2)
    assert_same(first, list(resampled.iterate(0)))
    assert_same(second, list(resampled.iterate(1)))
    assert first[0][1][1].shape == (7, 2)
    plain = Dataset.range(300).rejection_resample(class_of, [1, 1, 1], seed=5)
    one, other = list(plain.iterate(0)), list(plain.iterate(1))
    assert one != other
    assert one != list(Dataset.range(300).rejection_resample(class_of, [1, 1, 1], seed=6).iterate(0))


def test_passes_of_a_repeat_draw_for_themselves() -> None:
    found = [int(x) for _, x in Dataset.range(240).rejection_resample(class_of, [1, 1, 1], INITIAL, seed=5).repeat(2)]
    second = next(i for i in range(1, len(found)) if found[i] < found[i - 1])
    assert found[:second] != found[second:]


def test_a_class_that_there_is_not_fails_alone() -> None:
    def wrong(x: Any) -> Any:
        return {5: 3, 6: -1}.get(int(x), 0)

    found = outcomes(iter(Dataset.range(9).rejection_resample(wrong, [1, 1, 1], [1, 1, 1])))
    assert [int(each[1]) for each in found[:5] + found[7:]] == [0, 1, 2, 3, 4, 7, 8]
    assert [kind for kind, _ in found[5:7]] == [hr.InvalidArgumentError] * 2
    assert "an element of class 3: target_dist has 3 classes, from 0 to 2" in found[5][1]
    assert "an element of class -1" in found[6][1]


def test_an_element_whose_class_cannot_be_told_takes_its_draw_along() -> None:
    def told(x: Any) -> Any:
        return [][0] if x == 100 else class_of(x)

    with_failure = outcomes(iter(Dataset.range(300).rejection_resample(told, [1, 1, 1], INITIAL, seed=5)))
    without = list(Dataset.range(300).rejection_resample(class_of, [1, 1, 1], INITIAL, seed=5))
    assert [kind for kind, _ in with_failure if isinstance(kind, type)] == [hr.FunctionError]
    assert [int(x) for c, x in with_failure if not isinstance(c, type)] == [int(x) for _, x in without if x != 100]


@pytest.mark.parametrize(
    ("target", "initial", "told"),
    [
        ([], None, "target_dist must be one number"),
        ([[1, 2]], None, "target_dist must be one number"),
        ([1, -1], None, "of at least 0"),
        ([0, 0], None, "not all 0"),
        (["a"], None, "target_dist must be one number"),
        ([1, np.nan], None, "target_dist must be one number"),
        ([1, 1], [1], "initial_dist has 1 classes, target_dist 2"),
        ([1, 1], [1, 0], "initial_dist is 0 for class 1"),
    ],
)
def test_what_is_no_distribution_is_refused(target: Any, initial: Any, told: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=told):
        Dataset.range(3).rejection_resample(class_of, target, initial)


@pytest.mark.parametrize("initial", [None, INITIAL], ids=["estimated", "given"])
def test_it_goes_on_from_every_element(initial: Any, service: hr.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Dataset:
        numbers = Dataset.range(40).map(fails_at_thirties).shuffle(5)
        return numbers.rejection_resample(lambda x: 7 if x == 20 else class_of(x), [1, 1, 1], initial).shuffle(3)

    assert len(resumes_everywhere(make, service, monkeypatch)) > 7


def fails_at_thirties(x: Any) -> Any:
    if x == 30:
        raise ValueError("thirty")
    return x


def test_cardinality_spec_and_travel() -> None:
    resampled = Dataset.range(10).rejection_resample(class_of, [1, 2], seed=4)
    assert resampled.cardinality() == hr.UNKNOWN_CARDINALITY
    assert resampled.element_spec == (hr.TensorSpec((), np.int64), hr.TensorSpec((), np.int64))
    node = resampled.node
    assert isinstance(node, Resample)
    found = decode_outline(encode(node, Sent()))
    assert isinstance(found, Resample)
    assert (found.target, found.initial, found.seed) == ((1.0, 2.0), None, 4)
    assert isinstance(node.source, Tagged)
    shares = tuple(np.array([1.0, 2.0]))
    for wrong in (
        Resample(node.source.source, shares),
        Resample(node.source, (1, 2)),
        Resample(node.source, ()),
        Resample(node.source, shares, shares[:1]),
        Resample(node.source, shares, tuple(np.array([0.0, 1.0]))),
    ):
        with pytest.raises(hr.HeadraceError, match="a Resample with"):
            decode_outline(encode(wrong, Sent()))
