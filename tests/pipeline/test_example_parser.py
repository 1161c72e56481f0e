"""A parser that is made once: the same results as parsing by hand, wherever it runs."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, TFRecordDataset
from headrace.io import (
    ExampleParser,
    FixedLenFeature,
    FixedLenSequenceFeature,
    TFRecordWriter,
    VarLenFeature,
    example_parser,
    make_example,
    parse_example,
    parse_single_example,
)
from tests.conftest import Run, assert_same

EXAMPLES = str(Path(__file__).parents[1] / "data" / "tfrecord" / "examples.tfrecord")
FEATURES: dict[str, FixedLenFeature | VarLenFeature] = {
    "vec": FixedLenFeature((2, 2), "float32"),
    "id": FixedLenFeature((), "int64"),
    "name": FixedLenFeature((), bytes),
    "maybe": FixedLenFeature((), "float32", default_value=-1.0),
    "tokens": VarLenFeature("int64"),
}


def test_one_example_is_parsed_as_parse_single_example_does() -> None:
    parse = example_parser(FEATURES)
    records = list(TFRecordDataset(EXAMPLES))
    assert len(records) == 26
    for record in records:
        assert_same(parse(record), parse_single_example(record, FEATURES))
        assert list(parse(record)) == list(FEATURES)


def test_a_batch_of_examples_is_parsed_as_parse_example_does() -> None:
    parse, records = example_parser(FEATURES), list(TFRecordDataset(EXAMPLES))
    expected = parse_example(records, FEATURES)
    (batch,) = TFRecordDataset(EXAMPLES).batch(26)
    for many in (records, tuple(records), batch):
        assert_same(parse(many), expected)
    assert parse([])["vec"].shape == (0, 2, 2)


#: Features of every kind that a map parses many Examples of at once.
TOGETHER: dict[str, FixedLenFeature | FixedLenSequenceFeature] = {
    "vec": FixedLenFeature((2, 2), "float32"),
    "id": FixedLenFeature((), "int32"),
    "name": FixedLenFeature((), bytes),
    "maybe": FixedLenFeature((), "float32", default_value=-1.0),
    "absent": FixedLenFeature((), bytes, default_value=b"none"),
    "pair": FixedLenFeature((2,), bytes, default_value=[b"one", b"two"]),
    "tokens": FixedLenSequenceFeature((), "int64", allow_missing=True),
    "halves": FixedLenSequenceFeature((2,), "float32", allow_missing=True),
}


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    """A file of 300 Examples; what each has differs, and number 200 lacks its `id`."""
    path = tmp_path / "mixed.tfrecord"
    with TFRecordWriter(path) as writer:
        for i in range(300):
            example: dict[str, Any] = {"vec": np.full(4, i, np.float32), "id": i, "name": b"n" * (i % 5)}
            example |= {"maybe": float(i)} if i % 3 else {}
            example |= {"pair": [b"%d" % i, b""]} if i % 4 else {}
            example |= {"tokens": np.arange(i % 7), "halves": np.arange(2.0 * (i % 3))} if i % 2 else {}
            if i == 200:
                del example["id"]
            writer.write(make_example(example))
    return str(path)


def test_a_map_of_many_gives_what_calling_it_for_each_gives(
    where: hr.Service | None, outcomes: Callable[[Iterator[Any]], list[Any]], mixed: str
) -> None:
    parse = example_parser(TOGETHER)
    expected = list(TFRecordDataset(mixed))
    dataset = TFRecordDataset(mixed).map(parse)
    found = outcomes(iter(dataset) if where is None else iter(where.iterate(dataset)))
    kind, text = found.pop(200)
    assert kind is hr.FunctionError or issubclass(kind, hr.InvalidArgumentError)
    assert "'id'" in text
    assert_same(found, [parse(each) for i, each in enumerate(expected) if i != 200])


def test_map_takes_it_as_it_is_before_and_after_batching(run: Run) -> None:
    parse = example_parser({"id": FixedLenFeature((), "int64"), "vec": FixedLenFeature((4,), "float32")})
    records = TFRecordDataset(EXAMPLES)
    assert_same(run(records.batch(8).map(parse)), run(records.map(parse).batch(8)))
    expected = [int(parse_single_example(each, {"id": FixedLenFeature((), "int64")})["id"]) for each in records]
    assert [int(each["id"]) for each in run(records.map(parse))[0]] == expected


@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_it_is_pickled_as_its_specification(module: Any) -> None:
    parse = example_parser(FEATURES)
    loaded = module.loads(module.dumps(parse))
    record = next(iter(TFRecordDataset(EXAMPLES)))
    assert_same(loaded(record), parse(record))
    assert repr(loaded) == repr(parse)


def test_a_dict_that_changes_later_changes_nothing() -> None:
    features: dict[str, FixedLenFeature | VarLenFeature] = {"a": FixedLenFeature((), "int64")}
    parse = example_parser(features)
    features["b"] = FixedLenFeature((), "int64")
    assert parse(make_example({"a": 1})) == {"a": 1}


def test_it_says_what_it_parses_and_a_failure_says_where() -> None:
    parse = example_parser({"a": FixedLenFeature((), "int64")})
    assert repr(parse) == "example_parser({'a': FixedLenFeature(shape=(), dtype=int64)})"
    dataset = Dataset.from_tensor_slices([make_example({"a": 1}), make_example({"b": 1})])
    for broken in (dataset.map(parse), dataset.batch(2).map(parse)):
        iterator = iter(broken)
        with pytest.raises(hr.InvalidArgumentError, match=r"feature 'a' .*could not be found.*ExampleParser"):
            list(iterator)


@pytest.mark.parametrize("features", [{}, None, {"x": 3}, {1: VarLenFeature("int64")}])
def test_a_specification_that_is_none_is_refused_when_it_is_made(features: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=r"FixedLenFeature|name"):
        example_parser(features)


@pytest.mark.parametrize("serialized", ["text", None, 3, bytearray(b""), np.array([b"a"]), ["a"]])
def test_what_is_no_example_is_refused(serialized: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="bytes"):
        example_parser({"a": FixedLenFeature((), "int64")})(serialized)


def test_a_map_calls_it_for_none_of_many_examples() -> None:
    class Counting(ExampleParser):
        calls = 0

        def __call__(self, serialized: Any) -> dict[str, Any]:
            Counting.calls += 1
            return super().__call__(serialized)

    parse = Counting({"id": FixedLenFeature((), "int64")})
    assert len(list(TFRecordDataset(EXAMPLES).map(parse))) == 26
    assert Counting.calls == 0
