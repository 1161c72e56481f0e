"""Parsing SequenceExamples, against TensorFlow's results, protobuf, and damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import TFRecordDataset
from headrace.io import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    RaggedFeature,
    SparseFeature,
    VarLenFeature,
    make_sequence_example,
    parse_sequence_example,
    parse_single_sequence_example,
)
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.parser import Spec
from headrace.pipeline.ragged import RaggedTensor
from headrace.pipeline.schema.example_pb2 import SequenceExample
from headrace.pipeline.sequence_parser import Listed
from tests.conftest import Run, assert_same

SEQUENCES = str(Path(__file__).parents[1] / "data" / "tfrecord" / "sequences.tfrecord")
GOLDEN = np.load(SEQUENCES.replace("sequences.tfrecord", "sequences_parsed.npz"))
CONTEXT: dict[str, Spec] = {
    "video": FixedLenFeature([], bytes),
    "fps": FixedLenFeature([], "float32"),
    "rating": FixedLenFeature([], "int64", -1),
}
LISTS: dict[str, Listed] = {
    "frame": FixedLenSequenceFeature([], "int64"),
    "embed": FixedLenSequenceFeature([3], "float32"),
    "boxes": RaggedFeature("int64"),
}


def test_a_batch_parses_as_tensorflow_parses_it() -> None:
    for name in ("sequences.tfrecord", "sequences.gzip.tfrecord"):
        kind = "GZIP" if "gzip" in name else None
        records = list(TFRecordDataset(SEQUENCES.replace("sequences.tfrecord", name), kind))
        context, lists, lengths = parse_sequence_example(records, CONTEXT, LISTS)
        assert context["video"].tolist() == [b"clip-%d" % i for i in range(8)]
        for key in ("fps", "rating"):
            assert_same(context[key], GOLDEN[key])
        for key in ("frame", "embed"):
            assert_same(lists[key], GOLDEN[key])
            assert_same(lengths[key], GOLDEN[f"{key}_lengths"])
        inner = RaggedTensor(GOLDEN["boxes_values"], GOLDEN["boxes_inner_row_splits"])
        assert_same(lists["boxes"], RaggedTensor(inner, GOLDEN["boxes_outer_row_splits"]))
        assert [list(context), list(lists), list(lengths)] == [list(CONTEXT), list(LISTS), ["frame", "embed"]]


def test_one_at_a_time_parses_as_the_batch_does() -> None:
    records = list(TFRecordDataset(SEQUENCES))
    context, lists, lengths = parse_sequence_example(records, CONTEXT, LISTS)
    boxes = lists["boxes"].to_list()
    for i, record in enumerate(records):
        one, steps = parse_single_sequence_example(record, CONTEXT, LISTS)
        assert one == {key: context[key][i] for key in CONTEXT}
        for key in ("frame", "embed"):
            assert_same(steps[key], lists[key][i, : lengths[key][i]])
        assert steps["boxes"].to_list() == boxes[i]


def test_parsing_runs_in_a_map_before_and_after_batching(run: Run) -> None:
    records = TFRecordDataset(SEQUENCES)
    one = records.map(lambda each: parse_single_sequence_example(each, CONTEXT, LISTS))
    many = records.batch(3).map(lambda each: parse_sequence_example(each, CONTEXT, LISTS))
    rows = list(records)
    assert_same(run(one)[0], [parse_single_sequence_example(each, CONTEXT, LISTS) for each in rows])
    assert_same(run(many)[0], [parse_sequence_example(rows[i : i + 3], CONTEXT, LISTS) for i in (0, 3, 6)])


def test_a_list_parses_to_sparse_places_of_example_step_and_value() -> None:
    rows = [make_sequence_example({}, {"x": [["a", "b"], ["c"]]}), b"", make_sequence_example({}, {"x": [["d"]]})]
    _, lists, lengths = parse_sequence_example(rows, None, {"x": VarLenFeature(bytes)})
    assert lists["x"].indices.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [2, 0, 0]]
    assert (lists["x"].values.tolist(), lists["x"].dense_shape.tolist()) == ([b"a", b"b", b"c", b"d"], [3, 2, 2])
    assert lengths == {}
    one = parse_single_sequence_example(rows[0], None, {"x": VarLenFeature(bytes)})[1]["x"]
    assert (one.indices.tolist(), one.dense_shape.tolist()) == ([[0, 0], [0, 1], [1, 0]], [2, 2])


def test_partitions_divide_every_step() -> None:
    spec: dict[str, Listed] = {"x": RaggedFeature("int64", "v", [RaggedFeature.RowLengths("n")])}
    rows = [
        make_sequence_example({}, {"v": [[1, 2, 3], [4]], "n": [[1, 2], [1]]}),
        make_sequence_example({}, {"v": [[5]], "n": [np.array([0, 1, 0])]}),
    ]
    expected = [[[[1], [2, 3]], [[4]]], [[[], [5], []]]]
    batch = parse_sequence_example(rows, None, spec)[1]["x"]
    assert batch.to_list() == expected
    assert batch.row_splits.dtype == np.int32
    assert [parse_single_sequence_example(row, None, spec)[1]["x"].to_list() for row in rows] == expected
    torn = make_sequence_example({}, {"v": [[1], [2]], "n": [[1], [2]]})
    with pytest.raises(InvalidArgumentError, match=r"^Example 1, step 1: feature 'x', RaggedFeature.RowLengths"):
        parse_sequence_example([rows[0], torn], None, spec)
    short = make_sequence_example({}, {"v": [[1], [2]], "n": [[1]]})
    with pytest.raises(InvalidArgumentError, match=r"^Example 1: feature list 'x' has 2 steps and its partition 'n' 1"):
        parse_sequence_example([rows[0], short], None, spec)


def test_steps_of_unequal_size_are_refused() -> None:
    rows = [make_sequence_example({}, {"x": [[1, 2], [3, 4]]}), make_sequence_example({}, {"x": [[1, 2], [3]]})]
    spec: dict[str, Listed] = {"x": FixedLenSequenceFeature([2], "int64")}
    assert parse_sequence_example(rows[:1], None, spec)[1]["x"].tolist() == [[[1, 2], [3, 4]]]
    with pytest.raises(InvalidArgumentError, match=r"^Example 1, step 1: feature 'x' holds 1 values"):
        parse_sequence_example(rows, None, spec)
    with pytest.raises(InvalidArgumentError, match=r"^clip: feature list 'x' is required"):
        parse_single_sequence_example(b"", None, spec, "clip")


def test_a_missing_list_is_an_error_unless_it_may_be() -> None:
    rows = [make_sequence_example({}, {"x": [[1]]}), make_sequence_example({}, {"y": [[1]]})]
    with pytest.raises(InvalidArgumentError, match=r"^Example 1: feature list 'x' is required but could not be found"):
        parse_sequence_example(rows, None, {"x": FixedLenSequenceFeature([1], "int64")})
    spec = {"x": FixedLenSequenceFeature([], "int64", allow_missing=True, default_value=-1)}
    _, lists, lengths = parse_sequence_example(rows, None, spec)
    assert (lists["x"].tolist(), lengths["x"].tolist()) == ([[1], [-1]], [1, 0])
    # A list without steps is not missing.
    empty = make_sequence_example({}, {"x": []})
    assert parse_single_sequence_example(empty, None, {"x": FixedLenSequenceFeature([2], "int64")})[1]["x"].shape == (
        0,
        2,
    )


@pytest.mark.parametrize(
    "spec", [FixedLenSequenceFeature([1], "int64"), VarLenFeature("int64"), RaggedFeature("int64")]
)
def test_another_kind_of_values_is_refused(spec: Listed) -> None:
    torn = make_sequence_example({}, {"x": [[1], [0.5]]})
    with pytest.raises(InvalidArgumentError, match=r"step 1: feature 'x' holds float .*data types don't match"):
        parse_single_sequence_example(torn, None, {"x": spec})


def test_a_value_that_a_narrow_dtype_does_not_hold_is_refused_by_its_step() -> None:
    rows = [make_sequence_example({}, {"x": [[1]]}), make_sequence_example({}, {"x": [[1], [300]]})]
    for spec in (FixedLenSequenceFeature([1], "uint8"), VarLenFeature("uint8"), RaggedFeature("uint8")):
        with pytest.raises(InvalidArgumentError, match=r"^Example 1, step 1: feature 'x' holds 300, which uint8"):
            parse_sequence_example(rows, None, {"x": spec})


@pytest.mark.parametrize(
    ("context", "lists"),
    [
        (None, None),
        ({}, {}),
        (None, {"x": FixedLenFeature([], "int64")}),
        (None, {"x": SparseFeature("a", "b", "int64", 3)}),
        (None, {1: VarLenFeature("int64")}),
        ({"x": 3}, None),
        ([VarLenFeature("int64")], None),
    ],
)
def test_a_specification_that_is_none_is_refused(context: Any, lists: Any) -> None:
    with pytest.raises(ValueError, match=r"feature"):
        parse_sequence_example([b""], context, lists)
    with pytest.raises(ValueError, match=r"feature"):
        parse_single_sequence_example(b"", context, lists)


def test_what_is_no_message_is_refused() -> None:
    for serialized in (b"\x0b\x0c", b"\x12\x05ab", b"\x10\x01", b"\x12\x02\x08\x01", b"\x0a\x02\x08\x01"):
        with pytest.raises(InvalidArgumentError, match=r"^Example 1 is no serialized tf\.train\.SequenceExample"):
            parse_sequence_example([b"", serialized], None, {"x": VarLenFeature("int64")})
    with pytest.raises(InvalidArgumentError, match=r"bytes"):
        parse_single_sequence_example("text", CONTEXT)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match=r"1 example_names for 2"):
        parse_sequence_example([b"", b""], CONTEXT, None, ["a"])


STEPS = st.one_of(
    st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), max_size=5).map(lambda each: ("int64", each)),
    st.lists(st.lists(st.floats(width=32), max_size=5), max_size=5).map(lambda each: ("float32", each)),
    st.lists(st.lists(st.binary(max_size=200), max_size=3), max_size=4).map(lambda each: (bytes, each)),
)
KINDS: dict[Any, str] = {"int64": "int64_list", "float32": "float_list", bytes: "bytes_list"}


@settings(max_examples=80, deadline=None)
@given(lists=st.dictionaries(st.text(max_size=5), STEPS, min_size=1, max_size=5))
def test_what_protobuf_writes_is_read(lists: dict[str, tuple[Any, list[list[Any]]]]) -> None:
    made = SequenceExample()
    for name, (dtype, steps) in lists.items():
        made.feature_lists.feature_list[name].SetInParent()
        for step in steps:
            getattr(made.feature_lists.feature_list[name].feature.add(), KINDS[dtype]).value.extend(step)
    specs = {name: RaggedFeature(dtype) for name, (dtype, _) in lists.items()}
    _, read, _ = parse_sequence_example([b"", made.SerializeToString()], None, specs)
    for name, (dtype, steps) in lists.items():
        assert read[name].row_splits.tolist() == [0, 0, len(steps)]
        assert read[name].values.row_splits.tolist() == [0, *np.cumsum([len(step) for step in steps])]
        flat = [value for step in steps for value in step]
        if dtype is bytes:
            assert read[name].values.values.tolist() == flat
        else:
            assert_same(read[name].values.values, np.array(flat, dtype))


@settings(max_examples=200, deadline=None)
@given(
    which=st.integers(0, 7),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3),
    cut=st.integers(0, 10**6),
)
def test_a_changed_example_is_parsed_as_protobuf_parses_it_or_refused(
    which: int, changes: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(list(TFRecordDataset(SEQUENCES))[which])
    for at, byte in changes:
        damaged[at % len(damaged)] = byte
    serialized = bytes(damaged[: cut % (3 * len(damaged))])
    specs: dict[str, Listed] = {"boxes": RaggedFeature("int64"), "embed": RaggedFeature("float32")}
    try:
        _, lists = parse_single_sequence_example(serialized, None, specs)
    except InvalidArgumentError:
        return
    try:
        by_protobuf = SequenceExample.FromString(serialized).feature_lists.feature_list
    except DecodeError:  # protobuf refuses more than we do, such as keys that are no UTF-8
        return
    for name, kind in (("boxes", "int64_list"), ("embed", "float_list")):
        steps = by_protobuf[name].feature if name in by_protobuf else []
        np.testing.assert_equal(lists[name].to_list(), [list(getattr(step, kind).value) for step in steps])


def part(field: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([field << 3 | 2, len(content)]) + content


def test_parts_are_merged_and_of_repeated_keys_the_last_counts() -> None:
    def step(value: int) -> bytes:
        return part(1, part(3, bytes([8, value])))

    def entry(*lists: bytes) -> bytes:
        return part(2, part(1, part(1, b"x") + b"".join(part(2, each) for each in lists)))

    merged = entry(step(1) + step(2), step(3))
    for serialized in (merged, entry(step(7)) + merged, b"\x78\x01" + merged + part(2, b"\x78\x01")):
        expected = SequenceExample.FromString(serialized).feature_lists.feature_list["x"].feature
        assert [list(each.int64_list.value) for each in expected] == [[1], [2], [3]]
        read = parse_single_sequence_example(serialized, None, {"x": RaggedFeature("int64")})[1]["x"]
        assert read.to_list() == [[1], [2], [3]]


@settings(max_examples=150, deadline=None)
@given(serialized=st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused(serialized: bytes) -> None:
    lists: dict[str, Listed] = {
        "x": RaggedFeature("int64"),
        "y": VarLenFeature(bytes),
        "z": FixedLenSequenceFeature([], "float32", allow_missing=True),
    }
    for each in (
        serialized,
        part(2, serialized),
        part(2, part(1, part(1, b"x") + part(2, part(1, part(3, serialized))))),
    ):
        try:
            _, alone = parse_single_sequence_example(each, None, lists)
        except InvalidArgumentError:
            with pytest.raises(InvalidArgumentError):
                parse_sequence_example([b"", each], None, lists)
        else:
            assert parse_sequence_example([each], None, lists)[1]["x"].to_list() == [alone["x"].to_list()]
