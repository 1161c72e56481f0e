"""Features of any number of values: padded sequences, ragged rows, sparse places."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import TFRecordDataset
from headrace.io import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    RaggedFeature,
    SparseFeature,
    VarLenFeature,
    example_parser,
    make_example,
    parse_example,
    parse_single_example,
)
from headrace.pipeline.errors import InvalidArgumentError, ResourceExhaustedError
from headrace.pipeline.parser import Spec
from headrace.pipeline.ragged import RaggedTensor
from tests.conftest import Run, assert_same

EXAMPLES = str(Path(__file__).parents[1] / "data" / "tfrecord" / "examples.tfrecord")
GOLDEN = np.load(EXAMPLES.replace("examples.tfrecord", "examples_parsed.npz"))
FEATURES: dict[str, Spec] = {
    "tokens": RaggedFeature("int64"),
    "again": RaggedFeature("int64", value_key="tokens"),
    "words": RaggedFeature(bytes),
}


def several(dtype: Any, *rows: Sequence[Any]) -> list[bytes]:
    """Examples whose feature "x" has these values; none, where there are none."""
    return [
        make_example({"x": np.array([*row, None], object)[:-1] if dtype is bytes else np.array(row, dtype)})
        for row in rows
    ]


def test_ragged_features_parse_as_tensorflow_parses_them() -> None:
    parsed = parse_example(list(TFRecordDataset(EXAMPLES)), FEATURES)
    for name in ("tokens", "again"):
        assert_same(parsed[name], RaggedTensor(GOLDEN["tokens_values"], GOLDEN["tokens_row_splits"]))
    assert_same(parsed["words"].row_splits, GOLDEN["words_row_splits"])
    texts = json.loads(Path(EXAMPLES.replace("examples.tfrecord", "examples_parsed_bytes.json")).read_text())
    words = next(value for key, value in texts.items() if "words" in key)
    assert [base64.b64encode(each).decode() for each in parsed["words"].values] == words


def test_sequences_are_padded_as_tensorflow_pads_them() -> None:
    spec = FixedLenSequenceFeature([], "int64", allow_missing=True, default_value=-9)
    parsed = parse_example(list(TFRecordDataset(EXAMPLES)), {"tokens": spec})
    assert_same(parsed["tokens"], GOLDEN["tokens_padded_with_-9"])


def test_one_example_gives_the_rows_of_the_batch() -> None:
    records = list(TFRecordDataset(EXAMPLES))
    batch = parse_example(records, FEATURES)
    sequence = FixedLenSequenceFeature([], "int64", allow_missing=True)
    for i, record in enumerate(records):
        one = parse_single_example(record, {**FEATURES})
        for name in FEATURES:
            low, high = batch[name].row_splits[i : i + 2]
            assert_same(one[name], batch[name].values[low:high])
        assert_same(parse_single_example(record, {"tokens": sequence})["tokens"], one["tokens"])


def test_columns_of_varying_length_travel(run: Run) -> None:
    parse = example_parser({**FEATURES, "id": FixedLenFeature((), "int64")})
    records = TFRecordDataset(EXAMPLES)
    (got,) = run(records.batch(8).map(parse).map(lambda each: (each["id"], each["tokens"])))
    rows = list(records)
    expected = [parse(rows[i : i + 8]) for i in range(0, 26, 8)]
    assert_same(got, [(each["id"], each["tokens"]) for each in expected])


def test_steps_have_shapes_and_the_batch_its_longest() -> None:
    spec = FixedLenSequenceFeature([2], "float32", allow_missing=True, default_value=0.5)
    rows = several("float32", [1, 2], [], [3, 4, 5, 6])
    rows[1] = b""
    parsed = parse_example(rows, {"x": spec})["x"]
    assert_same(parsed, np.array([[[1, 2], [0.5, 0.5]], [[0.5, 0.5]] * 2, [[3, 4], [5, 6]]], np.float32))
    assert parse_single_example(b"", {"x": spec})["x"].shape == (0, 2)
    assert parse_example([], {"x": spec})["x"].shape == (0, 0, 2)
    texts = FixedLenSequenceFeature([], bytes, allow_missing=True)
    assert parse_example(several(bytes, [b"a", b"b"], [b"c"]), {"x": texts})["x"].tolist() == [
        [b"a", b"b"],
        [b"c", b""],
    ]
    narrow = FixedLenSequenceFeature((), "uint8", allow_missing=True, default_value=255)
    assert_same(
        parse_example(several("int64", [1], [2, 3]), {"x": narrow})["x"], np.array([[1, 255], [2, 3]], np.uint8)
    )


def test_a_torn_step_is_refused_by_name() -> None:
    spec = FixedLenSequenceFeature([2], "int64", allow_missing=True)
    with pytest.raises(InvalidArgumentError, match=r"^Example 1: feature 'x' holds 3 values, a step of shape \(2,\)"):
        parse_example(several("int64", [1, 2], [1, 2, 3]), {"x": spec})


def test_a_sequence_in_an_example_must_allow_that_it_is_missing() -> None:
    with pytest.raises(ValueError, match="allow_missing=True"):
        parse_example([b""], {"x": FixedLenSequenceFeature([], "int64")})
    for shape in ([None], [-1], [2, 0]):
        with pytest.raises(ValueError, match=r"length that varies|has no values"):
            FixedLenSequenceFeature(shape, "int64", allow_missing=True)
    with pytest.raises(InvalidArgumentError, match="holds 2 values"):
        FixedLenSequenceFeature([2], "int64", allow_missing=True, default_value=[1, 2])


@pytest.mark.parametrize("spec", [RaggedFeature("int64"), FixedLenSequenceFeature([], "int64", True)])
def test_another_kind_of_values_is_refused(spec: Spec) -> None:
    with pytest.raises(InvalidArgumentError, match="data types don't match"):
        parse_example([make_example({"x": 1.5})], {"x": spec})


ROWS = [[[1, 2], [], [3, 4, 5]], [], [[], [6]]]
#: What says how each row of ROWS is divided, by partition.
NUMBERS: dict[Any, list[list[int]]] = {
    RaggedFeature.RowSplits: [[0, 2, 2, 5], [0], [0, 0, 1]],
    RaggedFeature.RowLengths: [[2, 0, 3], [], [0, 1]],
    RaggedFeature.RowStarts: [[0, 2, 2], [], [0, 0]],
    RaggedFeature.RowLimits: [[2, 2, 5], [], [0, 1]],
    RaggedFeature.ValueRowIds: [[0, 0, 2, 2, 2], [], [1]],
}


def divided(partition: Any, numbers: Sequence[Sequence[int]], values: Sequence[Sequence[int]]) -> Any:
    spec = RaggedFeature("int64", "values", [partition("numbers")])
    rows = [
        make_example({"values": np.array(each, np.int64), "numbers": np.array(number, np.int64)})
        for number, each in zip(numbers, values, strict=True)
    ]
    batch = parse_example(rows, {"x": spec})["x"]
    singles = [parse_single_example(row, {"x": spec})["x"].to_list() for row in rows]
    assert batch.to_list() == singles
    assert [batch.row_splits.dtype, batch.values.row_splits.dtype] == [np.int32, np.int32]
    return singles


@pytest.mark.parametrize("partition", NUMBERS)
def test_a_partition_divides_the_values_of_each_example(partition: Any) -> None:
    values = [[value for row in rows for value in row] for rows in ROWS]
    assert divided(partition, NUMBERS[partition], values) == ROWS


def test_a_partition_that_is_absent_makes_no_rows() -> None:
    for partition in NUMBERS:
        spec = {"x": RaggedFeature("int64", partitions=[partition("numbers")])}
        assert parse_single_example(b"", spec)["x"].to_list() == []
        with pytest.raises(InvalidArgumentError, match=r"feature 'x', .*'numbers'"):
            parse_single_example(make_example({"x": 1}), spec)


@pytest.mark.parametrize(
    ("partition", "numbers"),
    [
        (RaggedFeature.RowSplits, [1, 3]),
        (RaggedFeature.RowSplits, [0, 2]),
        (RaggedFeature.RowSplits, [0, 2, 1, 3]),
        (RaggedFeature.RowSplits, [0, 2**63 - 1, 3]),
        (RaggedFeature.RowLengths, [1, 1]),
        (RaggedFeature.RowLengths, [4, -1]),
        (RaggedFeature.RowLengths, [2**62, 2**62, 2**62, 2**62, 3]),
        (RaggedFeature.RowStarts, [1]),
        (RaggedFeature.RowStarts, [0, 4]),
        (RaggedFeature.RowStarts, [0, 2, 1]),
        (RaggedFeature.RowLimits, [1, 2]),
        (RaggedFeature.RowLimits, [3, 1, 3]),
        (RaggedFeature.RowLimits, [-1, 3]),
        (RaggedFeature.ValueRowIds, [0, 1]),
        (RaggedFeature.ValueRowIds, [1, 0, 2]),
        (RaggedFeature.ValueRowIds, [-1, 0, 0]),
    ],
)
def test_numbers_that_do_not_divide_the_values_are_refused(partition: Any, numbers: list[int]) -> None:
    good = NUMBERS[partition][2]
    with pytest.raises(InvalidArgumentError, match=rf"^Example 1: feature 'x', {partition.__qualname__}"):
        divided(partition, [good, numbers, good], [[6], [7, 8, 9], [6]])


def test_a_row_far_away_takes_no_memory(enforced: Callable[..., None]) -> None:
    enforced(element_bytes=1 << 20, frame_bytes=4 << 20)
    for far in (1 << 20, 2**63 - 1):
        with pytest.raises(ResourceExhaustedError):
            divided(RaggedFeature.ValueRowIds, [[far]], [[7]])
    spec = {"x": FixedLenSequenceFeature([], "int64", allow_missing=True)}
    with pytest.raises(ResourceExhaustedError):
        parse_example([*several("int64", range(2000)), *[b""] * 1000], spec)


def splits_of(rows: list[Any]) -> Any:
    return np.cumsum([0, *map(len, rows)])


NESTED = st.lists(st.lists(st.lists(st.integers(-9, 9), max_size=3), max_size=3), max_size=4)


@settings(max_examples=60, deadline=None)
@given(batch=st.lists(NESTED, min_size=1, max_size=4), inner=st.sampled_from(list(NUMBERS)))
def test_partitions_nest(batch: list[list[list[list[int]]]], inner: Any) -> None:
    told: dict[Any, Callable[[list[Any]], Any]] = {
        RaggedFeature.RowSplits: splits_of,
        RaggedFeature.RowLengths: lambda rows: np.array([*map(len, rows)], np.int64),
        RaggedFeature.RowStarts: lambda rows: splits_of(rows)[:-1],
        RaggedFeature.RowLimits: lambda rows: splits_of(rows)[1:],
        # Empty rows at the end have no values that could tell of them.
        RaggedFeature.ValueRowIds: lambda rows: np.repeat(np.arange(len(rows)), [*map(len, rows)]).astype(np.int64),
    }
    rows = []
    for example in batch:
        middle = [row for rows in example for row in rows]
        if inner is RaggedFeature.ValueRowIds:
            while middle and not middle[-1]:
                middle.pop()
                last = max(i for i, each in enumerate(example) if each)
                example[last].pop()
        flat = np.array([value for row in middle for value in row], np.int64)
        rows.append(
            make_example({"x": flat, "inner": told[inner](middle), "outer": told[RaggedFeature.RowSplits](example)})
        )
    partitions: list[Any] = [RaggedFeature.RowSplits("outer"), inner("inner")]
    spec = {"x": RaggedFeature("int64", partitions=partitions, row_splits_dtype="int64")}
    parsed = parse_example(rows, spec)["x"]
    assert parsed.to_list() == batch
    assert parsed.values.values.row_splits.dtype == np.int64
    assert [parse_single_example(row, spec)["x"].to_list() for row in rows] == batch


def test_rows_of_one_length_are_arrays_inside_and_ragged_outside() -> None:
    rows = several("int64", range(4), [], range(8))
    pairs = {"x": RaggedFeature("int64", partitions=[RaggedFeature.UniformRowLength(2)])}
    assert_same(parse_single_example(rows[0], pairs)["x"], np.array([[0, 1], [2, 3]]))
    parsed = parse_example(rows, pairs)["x"]
    assert (parsed.values.tolist(), parsed.row_splits.tolist()) == (
        [[0, 1], [2, 3], [0, 1], [2, 3], [4, 5], [6, 7]],
        [0, 2, 2, 6],
    )
    rows = [make_example({"x": [1, 2, 3], "n": [1, 0, 2, 0]}), make_example({"x": 4, "n": [0, 1]})]
    outside: list[Any] = [RaggedFeature.UniformRowLength(2), RaggedFeature.RowLengths("n")]
    parsed = parse_example(rows, {"x": RaggedFeature("int64", partitions=outside)})["x"]
    assert parsed.to_list() == [[[[1], []], [[2, 3], []]], [[[], [4]]]]
    with pytest.raises(
        InvalidArgumentError, match=r"^Example 1: feature 'x', RaggedFeature.UniformRowLength\(length=2\)"
    ):
        parse_example(several("int64", [1, 2], [1, 2, 3]), pairs)


def test_a_sparse_feature_puts_values_in_their_places_in_order() -> None:
    rows = [make_example({"at": [5, 1, 3], "v": [0.5, 1.5, 2.5]}), b"", make_example({"at": [0], "v": [9.0]})]
    spec = {"s": SparseFeature("at", "v", "float32", size=6)}
    parsed = parse_example(rows, spec)["s"]
    assert parsed.indices.tolist() == [[0, 1], [0, 3], [0, 5], [2, 0]]
    assert_same(parsed.values, np.array([1.5, 2.5, 0.5, 9], np.float32))
    assert parsed.dense_shape.tolist() == [3, 6]
    one = parse_single_example(rows[0], spec)["s"]
    assert (one.indices.tolist(), one.dense_shape.tolist()) == ([[1], [3], [5]], [6])
    assert one.to_dense().tolist() == [0, 1.5, 0, 2.5, 0, 0.5]
    as_it_is = {"s": SparseFeature("at", "v", "float32", size=6, already_sorted=True)}
    assert parse_single_example(rows[0], as_it_is)["s"].indices.tolist() == [[5], [1], [3]]


def test_a_sparse_feature_has_several_dimensions() -> None:
    row = make_example({"y": [2, 0, 2], "x": [1, 3, 0], "v": ["c", "a", "b"]})
    spec = {"s": SparseFeature(["y", "x"], "v", bytes, size=[3, 4])}
    parsed = parse_example([b"", row], spec)["s"]
    assert parsed.indices.tolist() == [[1, 0, 3], [1, 2, 0], [1, 2, 1]]
    assert parsed.values.tolist() == [b"a", b"b", b"c"]
    assert parsed.dense_shape.tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("places", "values"), [([1], [1.0, 2.0]), ([1, 2], [1.0]), ([-1], [1.0]), ([6], [1.0]), ([2**62], [1.0])]
)
def test_places_that_values_cannot_have_are_refused(places: list[int], values: list[float]) -> None:
    rows = [make_example({"at": [0], "v": [0.5]}), make_example({"at": places, "v": values})]
    with pytest.raises(InvalidArgumentError, match=r"^Example 1: feature 's' has .*'at'"):
        parse_example(rows, {"s": SparseFeature("at", "v", "float32", size=6)})


def test_features_that_read_the_same_values_do_not_share_them() -> None:
    specs: dict[str, Spec] = {
        "x": RaggedFeature("int64"),
        "y": RaggedFeature("int64", "x"),
        "z": RaggedFeature("int8", "x"),
    }
    parsed = parse_example(several("int64", [1, 2]), specs)
    parsed["x"].values[0] = 7
    assert (parsed["y"].values.tolist(), parsed["z"].values.tolist()) == ([1, 2], [1, 2])


@pytest.mark.parametrize(
    "other",
    [
        FixedLenFeature([], "int64"),
        FixedLenFeature([], "float32"),
        VarLenFeature("float32"),
        VarLenFeature(bytes),
    ],
)
def test_one_feature_is_not_read_as_two_kinds(other: Spec) -> None:
    for specs in ({"x": other, "y": RaggedFeature("int64", "x")}, {"y": RaggedFeature("int64", "x"), "x": other}):
        with pytest.raises(InvalidArgumentError, match="'x' is read as two kinds"):
            parse_example([b""], specs)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RaggedFeature("int64", partitions=["lengths"]),  # type: ignore[list-item]
        lambda: RaggedFeature("int64", partitions=[RaggedFeature.RowLengths(3)]),  # type: ignore[arg-type]
        lambda: RaggedFeature("int64", value_key=3),  # type: ignore[arg-type]
        lambda: RaggedFeature("int64", row_splits_dtype="int16"),
        lambda: RaggedFeature("complex64"),
        lambda: RaggedFeature.UniformRowLength(0),
        lambda: SparseFeature(["a", "b"], "v", "int64", size=3),
        lambda: SparseFeature([], "v", "int64", size=[]),
        lambda: SparseFeature("a", 3, "int64", size=3),  # type: ignore[arg-type]
        lambda: SparseFeature("a", "v", "int64", size=[None]),  # type: ignore[list-item]
    ],
)
def test_a_specification_that_cannot_be_is_refused_when_it_is_made(make: Callable[[], Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        make()


def test_specifications_are_compared_shown_and_pickled_by_what_they_say() -> None:
    partitions: list[Any] = [RaggedFeature.RowLengths("n"), RaggedFeature.UniformRowLength(2)]
    specs = [
        RaggedFeature("int64", "v", partitions, "int64"),
        SparseFeature(["a", "b"], "v", bytes, [2, 3], already_sorted=True),
        FixedLenSequenceFeature([2], "float32", True, -0.0),
    ]
    for spec in specs:
        assert pickle.loads(pickle.dumps(spec)) == spec
        assert eval(repr(spec), {**globals(), **vars(np)}) == spec
    assert FixedLenSequenceFeature([], "float32", True, 0.0) != FixedLenSequenceFeature([], "float32", True, -0.0)
    assert RaggedFeature("int64") != RaggedFeature("int64", partitions=partitions)
