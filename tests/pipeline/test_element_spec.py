"""element_spec: what elements look like, as far as the graph and its first elements tell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

S = hr.TensorSpec


def test_sources_know_their_spec_without_being_read() -> None:
    assert Dataset.range(3).element_spec == S((), np.int64)
    assert Dataset.from_tensors((1, "a")).element_spec == (S((), np.int32), S((), bytes))
    assert Dataset.from_tensor_slices({"a": np.zeros((4, 2))}).element_spec == {"a": S((2,), np.float64)}
    assert hr.TFRecordDataset("none").element_spec == S((), bytes)
    assert hr.TextLineDataset("none").repeat().element_spec == S((), bytes)


def test_the_leading_dimension_of_a_batch_is_known_when_the_remainder_is_dropped() -> None:
    pairs = Dataset.from_tensor_slices(np.zeros((4, 2)))
    assert pairs.batch(3).element_spec == S((None, 2), np.float64)
    assert pairs.batch(3, drop_remainder=True).element_spec == S((3, 2), np.float64)
    assert pairs.padded_batch(3).element_spec == S((None, 2), np.float64)
    assert pairs.padded_batch(3, padded_shapes=[5]).element_spec == S((None, 5), np.float64)
    assert pairs.padded_batch(3, padded_shapes=[None]).element_spec == S((None, None), np.float64)


def test_below_a_map_the_first_elements_tell_and_lengths_that_differ_are_none() -> None:
    assert Dataset.range(3).map(lambda x: (x, 0.5)).element_spec == (S((), np.int64), S((), np.float32))
    assert Dataset.range(3).map(lambda n: np.zeros((n, 2))).element_spec == S((None, 2), np.float64)
    assert Dataset.range(3).map(lambda n: np.zeros([1] * int(n))).element_spec == S(None, np.float64)
    same_length = Dataset.range(3).map(lambda n: np.zeros(2)).padded_batch(3)
    assert same_length.element_spec == S((None, None), np.float64)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.filter(lambda x: False),
        lambda d: d.shuffle(3),
        lambda d: d.repeat(0),
        lambda d: d.take(0),
        lambda d: d.skip(-1),
        lambda d: d.prefetch(1),
        lambda d: d.with_options(hr.Options(seed=3)),
    ],
)
def test_what_only_chooses_elements_keeps_the_spec(change: Callable[[Dataset], Dataset]) -> None:
    assert change(Dataset.range(3)).element_spec == S((), np.int64)


def test_a_map_over_nothing_has_no_spec_to_tell() -> None:
    with pytest.raises(InvalidArgumentError, match="element_spec cannot be told"):
        _ = Dataset.range(0).map(lambda x: x).element_spec


def test_elements_that_disagree_have_no_spec() -> None:
    with pytest.raises(InvalidArgumentError, match="differ in dtype: float32 and int32"):
        _ = Dataset.range(2).map(lambda x: 1 if x else 0.5).element_spec
    with pytest.raises(InvalidArgumentError, match="differ in structure"):
        _ = Dataset.range(2).map(lambda x: 1 if x else (1, 2)).element_spec


def test_asking_does_not_begin_a_pass() -> None:
    dataset = Dataset.range(50).shuffle(50, seed=1).map(lambda x: x)
    _ = dataset.element_spec
    assert list(dataset) == list(Dataset.range(50).shuffle(50, seed=1))


def test_specs_are_written_as_they_are_read() -> None:
    assert repr(S((None, 3), ">i4")) == "TensorSpec(shape=(None, 3), dtype=int32)"
    assert S([2], "string") == S((2,), bytes)
    with pytest.raises(InvalidArgumentError, match="no place in an element"):
        S((), "datetime64[s]")
