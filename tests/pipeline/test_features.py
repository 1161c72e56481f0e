"""Specifications of features, and making Examples."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.features import FixedLenFeature, VarLenFeature
from headrace.pipeline.making import make_example
from headrace.pipeline.records import read_records
from headrace.pipeline.schema.example_pb2 import Example

GOLDEN = Path(__file__).parents[1] / "data" / "tfrecord"


def content(serialized: bytes) -> dict[str, tuple[str | None, list[Any]]]:
    """Every feature's kind and values, by protobuf."""
    features = Example.FromString(serialized).features.feature
    kinds = {name: features[name].WhichOneof("kind") for name in features}
    return {name: (kind, list(getattr(features[name], kind).value) if kind else []) for name, kind in kinds.items()}


def test_examples_are_made_as_tensorflow_made_them() -> None:
    records = [each for chunk in read_records(str(GOLDEN / "examples.tfrecord")) for each in chunk.payloads()]
    checked = 0
    for record, described in zip(records, json.loads((GOLDEN / "examples.json").read_text()), strict=True):
        features = described["features"]
        if any(each["kind"] is None for each in features.values()):
            continue  # a Feature without a list is not something that make_example makes
        values = {name: _value(each) for name, each in features.items()}
        made, wanted = Example.FromString(make_example(values)), Example.FromString(record)
        assert made.SerializeToString(deterministic=True) == wanted.SerializeToString(deterministic=True)
        checked += 1
    assert checked > 20


def _value(described: dict[str, Any]) -> Any:
    if described["kind"] == "bytes":
        return np.array([base64.b64decode(each) for each in described["base64"]] + [None], object)[:-1]
    dtype = {"float": np.float32, "int64": np.int64}[described["kind"]]
    return np.array([float(each) if dtype is np.float32 else each for each in described["values"]], dtype)


@pytest.mark.parametrize(
    ("value", "kind", "values"),
    [
        (3, "int64_list", [3]),
        (-(2**63), "int64_list", [-(2**63)]),
        (True, "int64_list", [1]),
        ([True, False], "int64_list", [1, 0]),
        (np.uint8(200), "int64_list", [200]),
        (np.arange(6, dtype=np.int16).reshape(2, 3), "int64_list", [0, 1, 2, 3, 4, 5]),
        ([[1, 2], [3, 4]], "int64_list", [1, 2, 3, 4]),
        ((1, 2), "int64_list", [1, 2]),
        (np.array(7), "int64_list", [7]),
        (1.5, "float_list", [1.5]),
        ([1, 2.5], "float_list", [1.0, 2.5]),
        (np.float16(0.5), "float_list", [0.5]),
        (0.1, "float_list", [float(np.float32(0.1))]),
        (float("inf"), "float_list", [float("inf")]),
        (b"\x00a\x00", "bytes_list", [b"\x00a\x00"]),
        ("né", "bytes_list", [b"n\xc3\xa9"]),
        ([b"a\x00", "b"], "bytes_list", [b"a\x00", b"b"]),
        (bytearray(b"xy"), "bytes_list", [b"xy"]),
        (np.array([b"a", b""], object), "bytes_list", [b"a", b""]),
        (np.array(["p", "qr"]), "bytes_list", [b"p", b"qr"]),
        (np.array([], np.int64), "int64_list", []),
        (np.zeros((0, 3), np.float32), "float_list", []),
    ],
)
def test_a_value_goes_to_the_list_of_its_kind(value: Any, kind: str, values: list[Any]) -> None:
    assert content(make_example({"x": value})) == {"x": (kind, values)}


@pytest.mark.parametrize(
    "value",
    [[], None, [1, "a"], [b"a", 1], 2**63, np.uint64(2**63), 1e39, 1j, {"a": 1}, [[1], [2, 3]], object(), [None]],
)
def test_a_value_of_no_kind_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="'x'"):
        make_example({"x": value})


def test_a_features_name_is_text() -> None:
    with pytest.raises(InvalidArgumentError, match="1"):
        make_example({1: 2})  # type: ignore[dict-item]


def test_keys_are_written_in_sorted_order_whatever_the_dicts() -> None:
    names = [f"feature_{i}" for i in range(50)]
    made = make_example({name: i for i, name in enumerate(names)})
    assert made == make_example(dict(reversed([(name, i) for i, name in enumerate(names)])))
    places = [made.index(name.encode() + b"\x12") for name in sorted(names)]
    assert places == sorted(places)


def test_no_features_make_no_bytes() -> None:
    assert make_example({}) == b""


@pytest.mark.parametrize("shape", [[None], (2, None), [-1]])
def test_a_fixed_shape_with_an_unknown_length_names_what_to_use(shape: list[int | None]) -> None:
    with pytest.raises(ValueError, match="FixedLenSequenceFeature"):
        FixedLenFeature(shape, "int64")


def test_shapes_and_dtypes_are_normalised() -> None:
    assert FixedLenFeature([], "string") == FixedLenFeature((), bytes)
    assert FixedLenFeature(3, int) == FixedLenFeature([3], np.int64)
    assert VarLenFeature(np.float32) == VarLenFeature("float32")
    assert FixedLenFeature([2], "int64", [1, 2]) != FixedLenFeature([2], "int64", [1, 3])
    assert FixedLenFeature([], "float32", 0.0) != FixedLenFeature([], "float32", -0.0)
    assert len({FixedLenFeature([2], "int64", [1, 2]), FixedLenFeature([2], "int64", np.array([1, 2]))}) == 1


@pytest.mark.parametrize(
    ("shape", "dtype", "default"),
    [
        ([2], "int64", 0),
        ([2], "int64", [1, 2, 3]),
        ([], "int64", 1.5),
        ([], "int64", "a"),
        ([], bytes, 1),
        ([], "float32", 1e39),
        ([], "uint64", 2**63),
    ],
)
def test_a_default_that_does_not_fit_is_refused(shape: list[int], dtype: Any, default: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        FixedLenFeature(shape, dtype, default)


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]"])
def test_a_dtype_that_no_example_holds_is_refused(dtype: str) -> None:
    for feature in (VarLenFeature, lambda each: FixedLenFeature([], each)):
        with pytest.raises(InvalidArgumentError, match=dtype.split("[")[0]):
            feature(dtype)
