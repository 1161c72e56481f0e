"""Bucketing: batches of elements of about one length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.blobs import Sent
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.nodes import Bucket, Tagged

from ..conftest import Run, assert_same
from .resuming import outcomes, resumes_everywhere

#: Of the sequences below; each is filled with its length.
LENGTHS = [1, 5, 3, 9, 2, 4, 5, 11, 3, 0, 6]


def sequence(n: Any) -> Any:
    return np.full(int(n), n, np.int64)


def sequences(lengths: list[int] = LENGTHS) -> Dataset:
    return Dataset.from_tensor_slices(np.array(lengths)).map(sequence)


def rows(found: list[Any]) -> list[Any]:
    return [batch.tolist() for batch in found]


def lengths_of(found: list[Any]) -> list[list[int]]:
    """What was in each batch: each sequence is filled with its length, and padded with -1."""
    return [[int((row >= 0).sum()) for row in batch] for batch in found]


def bucketed(**more: Any) -> Dataset:
    return sequences().bucket_by_sequence_length(len, [3, 5], [2, 3, 2], padding_values=np.int64(-1), **more)


def test_a_batch_comes_out_when_its_bucket_is_full_and_what_is_left_in_the_order_of_buckets(run: Run) -> None:
    found = run(bucketed())[0]
    assert lengths_of(found) == [[5, 9], [1, 2], [5, 11], [3, 4, 3], [0], [6]]
    assert found[1].tolist() == [[1, -1], [2, 2]], "padded to the longest of the batch"
    assert found[2].shape == (2, 11)
    assert found[4].shape == (1, 0)


def test_what_is_left_may_be_dropped(run: Run) -> None:
    assert lengths_of(run(bucketed(drop_remainder=True))[0]) == [[5, 9], [1, 2], [5, 11], [3, 4, 3]]


def test_a_length_equal_to_a_boundary_goes_up() -> None:
    found = list(sequences([2, 3]).bucket_by_sequence_length(len, [3], [5, 5]))
    assert rows(found) == [[[2, 2]], [[3, 3, 3]]]


def test_padding_reaches_the_boundary_less_one(run: Run) -> None:
    short = sequences([1, 4, 2, 3, 0]).bucket_by_sequence_length(
        len, [3, 6], [2, 2, 2], padding_values=np.int64(-1), pad_to_bucket_boundary=True
    )
    found = run(short)[0]
    assert [batch.shape for batch in found] == [(2, 2), (2, 5), (1, 2)]
    assert lengths_of(found) == [[1, 2], [4, 3], [0]]


def test_a_length_beyond_the_last_boundary_fails_alone() -> None:
    many = sequences([1, 9, 2, 6, 1]).bucket_by_sequence_length(len, [3, 6], [2, 2, 2], pad_to_bucket_boundary=True)
    found = outcomes(iter(many))
    kind, text = found[0]
    assert kind is hr.InvalidArgumentError
    assert "an element of length 9" in text
    assert "below the last of bucket_boundaries, 6" in text
    assert found[1].tolist() == [[1, 0], [2, 2]]
    assert "an element of length 6" in found[2][1]
    assert found[3].tolist() == [[1, 0]]


def test_only_open_lengths_are_padded_to_the_boundary_where_they_are_known() -> None:
    def both() -> Any:
        for n in (1, 2):
            yield np.full(n, n, np.int32), np.zeros(9, np.int32)

    signature = (hr.TensorSpec((None,), np.int32), hr.TensorSpec((9,), np.int32))
    generated = Dataset.from_generator(both, output_signature=signature)
    (batch,) = list(generated.bucket_by_sequence_length(lambda a, b: len(a), [5], [2, 2], pad_to_bucket_boundary=True))
    assert (batch[0].shape, batch[1].shape) == ((2, 4), (2, 9))
    said = generated.map(lambda a, b: (a, b)).bucket_by_sequence_length(
        lambda a, b: len(a), [5], [2, 2], padded_shapes=([None], [9]), pad_to_bucket_boundary=True
    )
    assert_same(list(said), [batch])


def test_a_dict_is_one_argument_and_each_component_has_its_padding() -> None:
    named = sequences().map(lambda x: {"x": x, "name": b"n" * len(x), "n": np.int64(len(x))})
    found = list(
        named.bucket_by_sequence_length(
            lambda each: each["n"],
            [4],
            [4, 4],
            padded_shapes={"x": [12], "name": [], "n": []},
            padding_values={"x": np.int64(-1), "name": b"", "n": np.int64(0)},
        )
    )
    assert [batch["n"].tolist() for batch in found] == [[5, 9, 4, 5], [1, 3, 2, 3], [0], [11, 6]]
    assert all(batch["x"].shape[1] == 12 for batch in found)
    assert found[1]["name"].tolist() == [b"n", b"nnn", b"nn", b"nnn"]


def test_elements_of_one_shape_need_no_padding(run: Run) -> None:
    numbers = Dataset.range(9).bucket_by_sequence_length(lambda x: x % 4, [1, 3], [2, 3, 4], no_padding=True)
    assert rows(run(numbers)[0]) == [[0, 4], [1, 2, 5], [8], [6], [3, 7]]
    unequal = outcomes(iter(sequences([1, 2, 1, 1]).bucket_by_sequence_length(len, [4], [2, 2], no_padding=True)))
    assert unequal[0][0] is hr.InvalidArgumentError
    assert "different shapes" in unequal[0][1]
    assert unequal[1].tolist() == [[1], [1]]


def test_an_element_whose_length_cannot_be_told_fails_alone() -> None:
    def told(x: Any) -> Any:
        if len(x) == 9:
            raise KeyError("nine")
        return len(x)

    found = outcomes(iter(sequences().bucket_by_sequence_length(told, [3, 5], [2, 3, 2], padding_values=np.int64(-1))))
    assert found.pop(0)[0] is hr.FunctionError
    assert lengths_of(found) == [[1, 2], [5, 5], [3, 4, 3], [11, 6], [0]]


def test_more_bytes_in_buckets_than_the_budget_allows_are_told_with_their_number() -> None:
    wide = Dataset.range(100).map(lambda x: np.zeros(1000, np.uint8)).bucket_by_sequence_length(len, [], [200])
    found = outcomes(iter(wide.with_options(hr.Options(buffer_bytes=20_500))))
    assert [kind for kind, _ in found] == [hr.ResourceExhaustedError]
    assert "would hold 21,000 bytes" in found[0][1]


@pytest.mark.parametrize(
    ("boundaries", "sizes", "told"),
    [
        ([3, 5], [2, 2], "2 entries for 2 bucket_boundaries"),
        ([5, 3], [2, 2, 2], "must grow"),
        ([3, 3], [2, 2, 2], "must grow"),
        ([3], [2, 0], "bucket_batch_sizes is 0"),
        ([3.5], [2, 2], "must be a whole number"),
    ],
)
def test_wrong_arguments_are_refused(boundaries: list[Any], sizes: list[Any], told: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=told):
        Dataset.range(3).bucket_by_sequence_length(len, boundaries, sizes)


@pytest.mark.parametrize("more", [{}, {"pad_to_bucket_boundary": True}, {"no_padding": True}], ids=str)
def test_it_goes_on_from_every_element(more: Any, service: hr.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    if "no_padding" in more:
        make = lambda: (  # noqa: E731
            Dataset.range(40)
            .shuffle(6)
            .bucket_by_sequence_length(lambda x: x % 5, [2, 4], [3, 4, 2], **more)
            .shuffle(3)
        )
    else:
        make = lambda: (  # noqa: E731
            sequences(LENGTHS * 2).shuffle(6).bucket_by_sequence_length(len, [3, 5, 9], [2, 4, 3, 2], **more).shuffle(3)
        )
    assert len(resumes_everywhere(make, service, monkeypatch)) > 7


def test_cardinality_and_spec() -> None:
    numbers = Dataset.range(10).batch(3, drop_remainder=True)
    found = numbers.bucket_by_sequence_length(len, [4], [2, 2])
    assert found.cardinality() == hr.UNKNOWN_CARDINALITY
    assert found.element_spec == hr.TensorSpec((None, 3), np.int64)
    assert bucketed().element_spec == hr.TensorSpec((None, None), np.int64)


def test_a_graph_of_buckets_travels_and_is_checked() -> None:
    node = bucketed(pad_to_bucket_boundary=True).node
    found = decode_outline(encode(node, Sent()))
    assert isinstance(node, Bucket)
    assert isinstance(found, Bucket)
    assert (found.boundaries, found.sizes, found.to_boundary) == ((3, 5), (2, 3, 2), True)
    assert isinstance(node.source, Tagged)
    for wrong in (
        Bucket(node.source.source, (3,), (1, 1)),
        Bucket(node.source, (3,), (1,)),
        Bucket(node.source, (3, 2), (1, 1, 1)),
        Bucket(node.source, (3,), (0, 1)),
    ):
        with pytest.raises(hr.HeadraceError, match="a Bucket with"):
            decode_outline(encode(wrong, Sent()))
