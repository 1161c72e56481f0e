"""Parsing Examples, against TensorFlow's results, protobuf, and damage."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.features import FixedLenFeature, VarLenFeature
from headrace.pipeline.making import make_example
from headrace.pipeline.parser import Spec
from headrace.pipeline.parsing import parse_column, parse_example, parse_single_example
from headrace.pipeline.records import read_records
from headrace.pipeline.schema.example_pb2 import Example
from headrace.pipeline.sparse import SparseTensor

GOLDEN = Path(__file__).parents[1] / "data" / "tfrecord"


def records(name: str) -> list[bytes]:
    return [each for chunk in read_records(str(GOLDEN / name)) for each in chunk.payloads()]


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def part(field: int, content: bytes) -> bytes:
    """A field of bytes, as protobuf writes it."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def entry(key: bytes, *values: bytes) -> bytes:
    """One map entry, framed as part of Features."""
    return part(1, part(1, key) + b"".join(part(2, value) for value in values))


def example(*entries: bytes) -> bytes:
    return part(1, b"".join(entries))


def ints(*values: int) -> bytes:
    """A Feature with an int64_list."""
    return part(3, part(1, b"".join(varint(value % 2**64) for value in values)))


def floats(*values: float) -> bytes:
    return part(2, part(1, np.array(values, np.float32).tobytes()))


def strings(*values: bytes) -> bytes:
    return part(1, b"".join(part(1, value) for value in values))


def parsed(serialized: bytes, spec: Spec) -> Any:
    """Feature "x" of an Example, which parses the same alone, in a batch and in a column."""
    one = parse_single_example(serialized, {"x": spec})["x"]
    batch = parse_example([b"", serialized, b""][1:2], {"x": spec})["x"]
    column = parse_column(
        np.frombuffer(b"junk" + serialized + b"junk", np.uint8), np.array([4, 4 + len(serialized)]), {"x": spec}
    )["x"]
    for several in (batch, column):
        if isinstance(one, SparseTensor):
            same(several.values, one.values)
            assert several.indices[:, 1:].tolist() == one.indices.tolist()
            assert several.dense_shape.tolist() == [1, *one.dense_shape.tolist()]
        else:
            same(several[0], one)
    return one


def same(a: Any, b: Any) -> None:
    """Equal in dtype, shape and every bit."""
    a, b = np.asarray(a), np.asarray(b)
    assert (a.dtype.kind in "SO") == (b.dtype.kind in "SO")
    assert a.shape == b.shape
    if a.dtype.kind in "SO":
        assert a.tolist() == b.tolist()
    else:
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())


GOLDEN_SPECS: dict[str, Spec] = {
    "id": FixedLenFeature([], "int64"),
    "label": FixedLenFeature([1], "int64"),
    "vec": FixedLenFeature([2, 2], "float32"),
    "maybe": FixedLenFeature([], "float32", -1),
    "absent": FixedLenFeature([2], "int64", [7, 8]),
    "tokens": VarLenFeature("int64"),
    "name": FixedLenFeature([], bytes),
    "words": VarLenFeature(bytes),
}


def check_golden(result: Mapping[str, Any]) -> None:
    golden = np.load(GOLDEN / "examples_parsed.npz")
    for name in ("id", "label", "vec", "maybe", "absent"):
        same(result[name], golden[name])
    for each in ("indices", "values", "dense_shape"):
        same(getattr(result["tokens"], each), golden[f"tokens_varlen_{each}"])
    texts = json.loads((GOLDEN / "examples_parsed_bytes.json").read_text())
    assert [base64.b64encode(each).decode() for each in result["name"]] == texts["name_base64"]
    words = next(value for key, value in texts.items() if "words" in key)
    assert [base64.b64encode(each).decode() for each in result["words"].values] == words
    rows = result["words"].indices[:, 0]
    assert np.searchsorted(rows, np.arange(27)).tolist() == golden["words_row_splits"].tolist()


def test_a_batch_parses_as_tensorflow_parses_it() -> None:
    check_golden(parse_example(records("examples.tfrecord"), GOLDEN_SPECS))


def test_an_object_array_and_a_column_parse_as_the_list_does() -> None:
    rows = records("examples.tfrecord")
    array = np.empty(len(rows), object)
    array[:] = rows
    check_golden(parse_example(array, GOLDEN_SPECS))
    splits = np.cumsum([0, *map(len, rows)])
    check_golden(parse_column(np.frombuffer(b"".join(rows), np.uint8), splits, GOLDEN_SPECS))
    chunks = list(read_records(str(GOLDEN / "examples.tfrecord")))
    check_golden(parse_column(chunks[0].data, chunks[0].splits, GOLDEN_SPECS))


def test_one_at_a_time_parses_as_the_batch_does() -> None:
    rows = records("examples.tfrecord")
    batch = parse_example(rows, GOLDEN_SPECS)
    for i, row in enumerate(rows):
        one = parse_single_example(row, GOLDEN_SPECS)
        assert list(one) == list(GOLDEN_SPECS)
        for name, value in one.items():
            if isinstance(value, SparseTensor):
                same(value.values, batch[name].values[batch[name].indices[:, 0] == i])
                assert value.dense_shape.tolist() == [len(value.values)]
                assert value.indices.tolist() == [[j] for j in range(len(value.values))]
            else:
                same(value, batch[name][i])


def test_numbers_that_are_not_packed_parse_as_tensorflow_parses_them() -> None:
    golden = np.load(GOLDEN / "unpacked_parsed.npz")
    specs = {
        "i": FixedLenFeature([3], "int64"),
        "f": FixedLenFeature([2], "float32"),
        "one": FixedLenFeature([], "int64"),
    }
    result = parse_example(records("unpacked.tfrecord"), specs)
    for name in specs:
        same(result[name], golden[name])


NUMBERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(width=32)
TEXTS = st.binary(max_size=300)
VALUES = st.one_of(
    st.lists(NUMBERS, min_size=1, max_size=20).map(lambda each: ("int64", each)),
    st.lists(FLOATS, min_size=1, max_size=20).map(lambda each: ("float32", each)),
    st.lists(TEXTS, min_size=1, max_size=5).map(lambda each: (bytes, each)),
)


@settings(max_examples=300, deadline=None)
@given(features=st.dictionaries(st.text(max_size=12), VALUES, min_size=1, max_size=12), order=st.randoms())
def test_what_protobuf_writes_is_read(features: dict[str, tuple[Any, list[Any]]], order: random.Random) -> None:
    made = Example()
    lists = {"int64": "int64_list", "float32": "float_list", bytes: "bytes_list"}
    names = list(features)
    order.shuffle(names)
    for name in names:
        dtype, values = features[name]
        getattr(made.features.feature[name], lists[dtype]).value.extend(values)
    serialized = made.SerializeToString()
    wanted = names[: order.randint(1, len(names))]
    fixed = {name: FixedLenFeature([len(features[name][1])], features[name][0]) for name in wanted}
    variable = {name: VarLenFeature(features[name][0]) for name in wanted}
    several = parse_example([serialized, serialized], fixed)
    for name in wanted:
        expected = np.array([*features[name][1], None], object)[:-1]
        array = expected if features[name][0] is bytes else expected.astype(features[name][0])
        same(parse_single_example(serialized, fixed)[name], array)
        same(several[name], np.stack([array, array]))
        same(parse_single_example(serialized, variable)[name].values, array)
        same(parse_example([b"", serialized], variable)[name].values, array)


@pytest.mark.parametrize("spec", [FixedLenFeature([], "int64", 5), FixedLenFeature([], "int8", 5)])
def test_a_default_stands_in_for_a_feature_that_is_absent_or_has_no_list(spec: FixedLenFeature) -> None:
    for absent in (b"", example(), example(entry(b"y", ints(1))), example(entry(b"x", b"")), example(entry(b"x"))):
        same(parsed(absent, spec), np.array(5, spec.dtype))


def test_defaults_have_every_kind_and_shape() -> None:
    same(parsed(b"", FixedLenFeature([2], "float32", [np.nan, -0.0])), np.array([np.nan, -0.0], np.float32))
    same(parsed(b"", FixedLenFeature([1, 2], "int64", [-1, 2**62])), np.array([[-1, 2**62]]))
    same(parsed(b"", FixedLenFeature([2], bytes, [b"a", b"bc"])), np.array([b"a", b"bc"], object))
    assert parsed(b"", FixedLenFeature([], bytes, b"")) == b""
    same(parsed(b"", FixedLenFeature([], "bool", True)), np.bool_(True))
    same(parsed(b"", FixedLenFeature([], "float64", 0.5)), np.float64(0.5))
    mixed = parse_example(
        [b"", example(entry(b"x", strings(b"p", b"q"))), b""], {"x": FixedLenFeature([2], bytes, ["a", "b"])}
    )
    assert mixed["x"].tolist() == [[b"a", b"b"], [b"p", b"q"], [b"a", b"b"]]


def test_no_values_parse_to_an_array_without_elements() -> None:
    assert parsed(example(entry(b"x", ints())), FixedLenFeature([0], "int64")).shape == (0,)
    assert parse_example([], {"x": FixedLenFeature([3], "float32")})["x"].shape == (0, 3)
    assert parse_example([], {"x": VarLenFeature(bytes)})["x"].dense_shape.tolist() == [0, 0]
    empty = parsed(b"", VarLenFeature("float32"))
    assert (empty.values.dtype, empty.dense_shape.tolist(), empty.indices.shape) == (np.float32, [0], (0, 1))


@pytest.mark.parametrize("wrong", [b"", example(entry(b"x", b"")), example(entry(b"y", ints(1)))])
def test_a_missing_feature_without_default_is_required_by_name(wrong: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match=r"'x' .*int64.* is required but could not be found"):
        parsed(wrong, FixedLenFeature([], "int64"))


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("make", [ints, floats, strings])
def test_another_number_of_values_is_refused_also_where_there_is_a_default(make: Any, count: int) -> None:
    kinds: dict[Any, tuple[Any, Any]] = {
        ints: ("int64", [1, 2]),
        floats: ("float32", [1, 2]),
        strings: (bytes, ["1", "2"]),
    }
    dtype, default = kinds[make]
    value = {ints: 1, floats: 1.0, strings: b"1"}[make]
    with pytest.raises(InvalidArgumentError, match=f"'x' holds {count} values, its shape has 2"):
        parsed(example(entry(b"x", make(*[value] * count))), FixedLenFeature([2], dtype, default))


@pytest.mark.parametrize("feature", [ints(1), floats(1.0), strings(b"1")])
@pytest.mark.parametrize("dtype", ["int64", "float32", bytes])
def test_another_kind_of_values_is_refused(feature: bytes, dtype: Any) -> None:
    fits = feature == {"int64": ints(1), "float32": floats(1.0), bytes: strings(b"1")}[dtype]
    for spec in (FixedLenFeature([1], dtype), VarLenFeature(dtype)):
        if fits:
            parsed(example(entry(b"x", feature)), spec)
        else:
            with pytest.raises(InvalidArgumentError, match="data types don't match"):
                parsed(example(entry(b"x", feature)), spec)


def test_of_repeated_keys_the_last_counts_whatever_the_others_hold() -> None:
    spec = FixedLenFeature([], "int64", 9)
    for first in (ints(1), ints(1, 2), ints(), strings(b"a"), b""):
        assert parsed(example(entry(b"x", first), entry(b"y", ints(5)), entry(b"x", ints(2))), spec) == 2
        assert parsed(example(entry(b"x", first)) + example(entry(b"x", ints(2))), spec) == 2
        assert parsed(example(entry(b"x", first), entry(b"x", ints(3, 4))), VarLenFeature("int64")).values.tolist() == [
            3,
            4,
        ]
    assert parsed(example(entry(b"x", ints(1)), entry(b"x", b"")), spec) == 9
    with pytest.raises(InvalidArgumentError, match="holds 2 values"):
        parsed(example(entry(b"x", ints(1)), entry(b"x", ints(1, 2))), spec)


def test_parts_of_a_message_are_merged_as_protobuf_merges_them() -> None:
    split = example(entry(b"x", ints(1, 2) + ints(3), ints(4)))
    assert parsed(split, FixedLenFeature([4], "int64")).tolist() == [1, 2, 3, 4]
    assert list(Example.FromString(split).features.feature["x"].int64_list.value) == [1, 2, 3, 4]
    other = example(entry(b"x", ints(1, 2) + floats(0.5) + ints(3)))
    assert parsed(other, VarLenFeature("int64")).values.tolist() == [3]
    assert list(Example.FromString(other).features.feature["x"].int64_list.value) == [3]
    value_first = example(part(1, part(2, ints(7)) + part(1, b"no") + part(1, b"x")))
    assert parsed(value_first, FixedLenFeature([], "int64")) == 7
    assert Example.FromString(value_first).features.feature["x"].int64_list.value[0] == 7


def test_packed_and_single_numbers_can_be_mixed() -> None:
    feature = part(3, b"\x08\x05" + part(1, b"\x06\x07") + b"\x08\x08")
    assert parsed(example(entry(b"x", feature)), FixedLenFeature([4], "int64")).tolist() == [5, 6, 7, 8]
    one, two = np.float32(1.5).tobytes(), np.float32(-2).tobytes()
    feature = part(2, b"\x0d" + one + part(1, two + one))
    assert parsed(example(entry(b"x", feature)), VarLenFeature("float32")).values.tolist() == [1.5, -2, 1.5]


UNKNOWN = [b"\x78\x96\x01", b"\x79" + bytes(8), b"\x7a\x03abc", b"\x7d" + bytes(4)]


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_unknown_fields_are_skipped_wherever_they_stand(unknown: bytes) -> None:
    feature = unknown + part(3, unknown + part(1, b"\x07") + unknown) + unknown
    content = part(1, b"x") + unknown + part(2, feature) + unknown
    serialized = unknown + part(1, unknown + part(1, content) + unknown) + unknown
    assert parsed(serialized, FixedLenFeature([], "int64")) == 7
    assert parsed(serialized, VarLenFeature("int64")).values.tolist() == [7]


@pytest.mark.parametrize(
    "serialized",
    [
        b"\x0b\x0c",  # a group
        b"\x00",  # field number 0
        b"\x0a",  # a length is missing
        b"\x0a\x05ab",  # shorter than its length
        b"\x08\x01",  # features as a number
        b"\x0a" + b"\xff" * 9 + b"\x01",  # a length of 2**64 - 1
        b"\xff" * 11,
        example(b"\x08\x01"),
        example(part(1, b"\x08\x01")),
        example(entry(b"x", b"\x18\x01")),
        example(entry(b"x", part(3, part(1, b"\x80")))),  # a number without an end
        example(entry(b"x", part(3, part(1, b"\xff" * 10 + b"\x01")))),  # a number of eleven bytes
        example(entry(b"x", part(3, b"\x0d" + bytes(4)))),  # a float in an int64_list
    ],
)
def test_bytes_that_are_no_example_are_refused(serialized: bytes) -> None:
    for spec in (FixedLenFeature([], "int64", 1), VarLenFeature("int64")):
        with pytest.raises(InvalidArgumentError, match=r"no serialized tf\.train\.Example"):
            parse_single_example(serialized, {"x": spec})
        with pytest.raises(InvalidArgumentError, match=r"^Example 1 is no serialized"):
            parse_example([b"", serialized], {"x": spec})


def test_a_torn_float_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no serialized"):
        parsed(example(entry(b"x", part(2, part(1, bytes(7))))), VarLenFeature("float32"))


FUZZED: dict[str, Spec] = {
    "id": FixedLenFeature([], "int64", 0),
    "vec": FixedLenFeature([4], "float32", [0, 0, 0, 0]),
    "name": FixedLenFeature([], bytes, ""),
    "tokens": VarLenFeature("int64"),
    "words": VarLenFeature(bytes),
    "maybe": VarLenFeature("float32"),
}


def parse_or_refuse(serialized: bytes) -> dict[str, Any] | None:
    try:
        one = parse_single_example(serialized, FUZZED)
    except InvalidArgumentError:
        with pytest.raises(InvalidArgumentError):
            parse_example([serialized], FUZZED)
        return None
    many = parse_example([serialized], FUZZED)
    for name in ("id", "vec", "name"):
        same(many[name][0], one[name])
    return one


@settings(max_examples=500, deadline=None)
@given(serialized=st.binary(max_size=100))
def test_any_bytes_are_parsed_or_refused(serialized: bytes) -> None:
    parse_or_refuse(serialized)
    parse_or_refuse(example(serialized))
    parse_or_refuse(example(entry(b"tokens", serialized), entry(b"words", part(1, serialized))))
    parse_or_refuse(example(entry(b"tokens", part(3, part(1, serialized)))))


@settings(max_examples=1000, deadline=None)
@given(
    which=st.integers(0, 25),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 10**6),
)
def test_a_changed_example_is_parsed_as_protobuf_parses_it_or_refused(
    which: int, changes: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(records("examples.tfrecord")[which])
    for at, byte in changes:
        damaged[at % len(damaged)] = byte
    serialized = bytes(damaged[: cut % (3 * len(damaged))])
    result = parse_or_refuse(serialized)
    try:
        by_protobuf = Example.FromString(serialized).features.feature
    except DecodeError:  # protobuf refuses more than we do, such as keys that are no UTF-8
        return
    if result is not None:
        for name, field in (("tokens", "int64_list"), ("words", "bytes_list"), ("maybe", "float_list")):
            expected = list(getattr(by_protobuf[name], field).value) if name in by_protobuf else []
            np.testing.assert_array_equal(np.array(result[name].values.tolist()), np.array(expected))


@pytest.mark.parametrize(
    ("dtype", "good", "bad"),
    [
        ("int8", [-128, 127], [-129, 128]),
        ("uint8", [0, 255], [-1, 256]),
        ("int32", [-(2**31), 2**31 - 1], [2**31, -(2**31) - 1]),
        ("uint32", [2**32 - 1], [2**32, -1]),
        ("uint64", [0, 2**63 - 1], [-1, -(2**63)]),
        ("bool", [0, 1], [2, -1]),
        ("float16", [0.5, np.inf, -0.0, np.nan], [1e-9, 0.1, 1e6]),
        ("float64", [0.1, np.inf, np.nan, 1e-45], []),
    ],
)
def test_a_narrower_dtype_takes_the_values_that_it_holds_and_no_others(
    dtype: str, good: list[Any], bad: list[Any]
) -> None:
    make = floats if dtype.startswith("float") else ints
    fixed = FixedLenFeature([len(good)], dtype)
    expected = np.array(good, np.float32 if make is floats else np.int64).astype(dtype)
    same(parsed(example(entry(b"x", make(*good))), fixed), expected)
    same(parsed(example(entry(b"x", make(*good))), VarLenFeature(dtype)).values, expected)
    same(parsed(example(entry(b"x", make(good[0]))), FixedLenFeature([], dtype)), expected[0])
    for value in bad:
        rows = [example(entry(b"x", make(each))) for each in (good[0], value)]
        for spec in (FixedLenFeature([1], dtype), VarLenFeature(dtype)):
            with pytest.raises(InvalidArgumentError, match=rf"^Example 1: feature 'x' holds .*{dtype} does not hold"):
                parse_example(rows, {"x": spec})


def test_errors_call_an_example_by_the_name_it_was_given() -> None:
    spec = {"x": FixedLenFeature([], "int64")}
    with pytest.raises(InvalidArgumentError, match=r"^cat\.jpg: feature 'x'"):
        parse_single_example(b"", spec, "cat.jpg")
    with pytest.raises(InvalidArgumentError, match=r"^second: feature 'x'"):
        parse_example([make_example({"x": 1}), b""], spec, ["first", "second"])
    with pytest.raises(InvalidArgumentError, match="1 example_names for 2"):
        parse_example([b"", b""], spec, ["first"])


@pytest.mark.parametrize("features", [{}, None, {"x": 3}, {1: VarLenFeature("int64")}, [FixedLenFeature([], "int64")]])
def test_a_specification_that_is_none_is_refused(features: Any) -> None:
    with pytest.raises(ValueError, match=r"FixedLenFeature|name"):
        parse_single_example(b"", features)
    with pytest.raises(ValueError, match=r"FixedLenFeature|name"):
        parse_example([b""], features)


@pytest.mark.parametrize("serialized", ["text", b"bytes", np.array([b"a"]), np.array([[None]], object), ["a"], [None]])
def test_what_is_not_a_row_of_bytes_is_refused(serialized: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"bytes|parse_single_example"):
        parse_example(serialized, {"x": VarLenFeature("int64")})
    if not isinstance(serialized, bytes):
        with pytest.raises(InvalidArgumentError, match="comes as bytes"):
            parse_single_example(serialized, {"x": VarLenFeature("int64")})


@pytest.mark.parametrize("splits", [[0, 11], [-1, 5], [5, 2], [0, 2**40], [2**62, 2**62 + 3]])
def test_splits_that_leave_the_buffer_are_refused(splits: list[int]) -> None:
    with pytest.raises(InvalidArgumentError, match="Example 0"):
        parse_column(np.zeros(10, np.uint8), np.array(splits), {"x": VarLenFeature("int64")})


def test_a_dict_that_changes_between_calls_is_read_anew() -> None:
    serialized = make_example({"a": 1, "b": 2})
    features: dict[str, Spec] = {"a": FixedLenFeature([], "int64")}
    assert parse_single_example(serialized, features) == {"a": 1}
    features["b"] = FixedLenFeature([], "int8")
    assert parse_single_example(serialized, features) == {"a": 1, "b": 2}
    del features["a"]
    assert parse_single_example(serialized, features) == {"b": 2}


def test_many_features_are_told_apart_in_any_order() -> None:
    names = [f"{letter}{i}" for letter in ("C", "I", "", "a_long_common_prefix_") for i in range(40)]
    values = {name: i for i, name in enumerate(names)}
    made = Example()
    for name in reversed(names):
        made.features.feature[name].int64_list.value.append(values[name])
    specs = {name: FixedLenFeature([], "int64") for name in names}
    for serialized in (make_example(values), made.SerializeToString()):
        assert parse_single_example(serialized, specs) == values


def test_arrays_are_writable_and_belong_to_one_example() -> None:
    serialized = make_example({"x": [1, 2], "y": [3, 4]})
    specs = {"x": FixedLenFeature([2], "int64"), "y": FixedLenFeature([2], "int64")}
    one, other = parse_single_example(serialized, specs), parse_single_example(serialized, specs)
    one["x"][:] = 9
    assert (one["y"].tolist(), other["x"].tolist()) == ([3, 4], [1, 2])


def test_a_sparse_tensor_becomes_dense() -> None:
    rows = [make_example({"x": [1, 2]}), make_example({}), make_example({"x": [3]})]
    sparse = parse_example(rows, {"x": VarLenFeature("int64")})["x"]
    assert sparse.to_dense(-1).tolist() == [[1, 2], [-1, -1], [3, -1]]
    texts = parse_example([make_example({"x": "a"}), b""], {"x": VarLenFeature(bytes)})["x"]
    assert texts.to_dense().tolist() == [[b"a"], [b""]]
