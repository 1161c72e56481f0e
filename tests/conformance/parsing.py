"""tf.Examples: how they are parsed."""

from __future__ import annotations

from typing import Any

import numpy as np

import headrace as hr
from headrace import Dataset
from headrace.io import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    RaggedFeature,
    SparseFeature,
    VarLenFeature,
    make_example,
    make_sequence_example,
)

from .row import Raises, Row, Way

__all__ = ["ROWS"]

NONE = make_example({})


def numbers(*values: int) -> bytes:
    return make_example({"a": np.array(values, np.int64)})


def one(way: Way, example: bytes, feature: Any, **more: Any) -> Any:
    """The feature "a" of an Example, parsed in a map."""
    features = {"a": feature, **more}
    (found,) = way(Dataset.from_tensors(example).map(lambda e: hr.io.parse_single_example(e, features)))
    return found["a"]


def many(way: Way, examples: list[bytes], feature: Any) -> Any:
    """The same of a batch of them."""
    parsed = Dataset.from_tensor_slices(examples).batch(9).map(lambda e: hr.io.parse_example(e, {"a": feature}))
    (found,) = way(parsed)
    return found["a"]


def steps(*lists: list[int], name: str = "s") -> bytes:
    return make_sequence_example({"c": np.int64(7)}, {name: [np.array(each, np.int64) for each in lists]})


def sequence(way: Way, example: bytes, feature: Any) -> Any:
    """Context and steps of a SequenceExample, parsed in a map."""
    context, lists = {"c": FixedLenFeature([], np.int64)}, {"s": feature}
    (found,) = way(Dataset.from_tensors(example).map(lambda e: hr.io.parse_single_sequence_example(e, context, lists)))
    return found


def sequences(way: Way, examples: list[bytes]) -> Any:
    lists = {"s": FixedLenSequenceFeature([], np.int64)}
    batches = Dataset.from_tensor_slices(examples).batch(9)
    (found,) = way(batches.map(lambda e: hr.io.parse_sequence_example(e, None, lists)))
    return found


INT = FixedLenFeature([], np.int64)
PAIR = FixedLenFeature([2], np.int64)

FIXED_LEN = [
    Row(
        "FixedLenFeature",
        "has its shape",
        lambda way: one(way, numbers(1, 2, 3, 4), FixedLenFeature([2, 2], np.int64)),
        [[1, 2], [3, 4]],
    ),
    Row(
        "FixedLenFeature",
        "missing is an error",
        lambda way: one(way, NONE, INT),
        Raises(hr.HeadraceError, "is required but could not be found"),
    ),
    Row(
        "FixedLenFeature", "missing gives the default", lambda way: one(way, NONE, FixedLenFeature([], np.int64, 9)), 9
    ),
    Row(
        "FixedLenFeature", "a wrong count is an error", lambda way: one(way, numbers(1), PAIR), Raises(hr.HeadraceError)
    ),
    Row(
        "FixedLenFeature",
        "an empty list is an error, also with a default",
        lambda way: one(way, numbers(), FixedLenFeature([], np.int64, 9)),
        Raises(hr.HeadraceError),
    ),
    Row(
        "FixedLenFeature",
        "another kind is an error",
        lambda way: one(way, numbers(1), FixedLenFeature([], np.float32)),
        Raises(hr.HeadraceError, "ata type"),
    ),
    Row(
        "FixedLenFeature",
        "an open shape names the feature for it",
        lambda way: one(way, NONE, FixedLenFeature([None], np.int64)),
        Raises(ValueError, "FixedLenSequenceFeature"),
    ),
]
VAR_LEN = [
    Row("VarLenFeature", "is sparse", lambda way: one(way, numbers(5, 6), VarLenFeature(np.int64)), {(0,): 5, (1,): 6}),
    Row("VarLenFeature", "none where it is absent", lambda way: one(way, NONE, VarLenFeature(np.int64)), {}),
    Row(
        "VarLenFeature",
        "of a batch has rows",
        lambda way: many(way, [numbers(5), NONE, numbers(6, 7)], VarLenFeature(np.int64)),
        {(0, 0): 5, (2, 0): 6, (2, 1): 7},
    ),
]
RAGGED = [
    Row("RaggedFeature", "alone is an array", lambda way: one(way, numbers(5, 6), RaggedFeature(np.int64)), [5, 6]),
    Row(
        "RaggedFeature",
        "of a batch is ragged",
        lambda way: many(way, [numbers(5), NONE, numbers(6, 7)], RaggedFeature(np.int64)),
        [[5], [], [6, 7]],
    ),
    Row(
        "RaggedFeature",
        "partitions make rows of rows",
        lambda way: one(
            way,
            make_example({"v": np.arange(3), "n": np.array([1, 2])}),
            RaggedFeature(np.int64, value_key="v", partitions=[RaggedFeature.RowLengths("n")]),
        ),
        [[0], [1, 2]],
    ),
]
SPARSE = [
    Row(
        "SparseFeature",
        "values at their places",
        lambda way: one(
            way,
            make_example({"i": np.array([3, 1]), "v": np.array([30, 10])}),
            SparseFeature("i", "v", np.int64, 5),
        ),
        {(1,): 10, (3,): 30},
    ),
    Row(
        "SparseFeature",
        "absent is empty",
        lambda way: one(way, NONE, SparseFeature("i", "v", np.int64, 5)),
        {},
    ),
    Row(
        "SparseFeature",
        "a place beyond its size is an error",
        lambda way: one(
            way, make_example({"i": np.array([7]), "v": np.array([70])}), SparseFeature("i", "v", np.int64, 5)
        ),
        Raises(hr.HeadraceError),
    ),
]
SEQUENCE_FEATURE = [
    Row(
        "FixedLenSequenceFeature",
        "any number of steps",
        lambda way: one(way, numbers(1, 2, 3, 4), FixedLenSequenceFeature([2], np.int64, allow_missing=True)),
        [[1, 2], [3, 4]],
    ),
    Row(
        "FixedLenSequenceFeature",
        "of Examples needs allow_missing",
        lambda way: one(way, numbers(1), FixedLenSequenceFeature([], np.int64)),
        Raises(ValueError),
    ),
    Row(
        "FixedLenSequenceFeature",
        "a batch is filled up to the longest",
        lambda way: many(way, [numbers(1), numbers(2, 3)], FixedLenSequenceFeature([], np.int64, True, 9)),
        [[1, 9], [2, 3]],
    ),
]
PARSE = [
    Row(
        "parse_single_example",
        "keys that nobody asks for are ignored",
        lambda way: one(way, make_example({"a": np.int64(1), "b": "x"}), INT),
        1,
    ),
    Row(
        "parse_single_example",
        "no bytes are an empty Example",
        lambda way: one(way, b"", FixedLenFeature([], np.int64, 4)),
        4,
    ),
    Row(
        "parse_single_example",
        "no features are refused",
        lambda way: hr.io.parse_single_example(NONE, {}),
        Raises(ValueError),
    ),
    Row(
        "parse_single_example", "garbage is an error", lambda way: one(way, b"\xff\xff", INT), Raises(hr.HeadraceError)
    ),
    Row("parse_example", "makes columns", lambda way: many(way, [numbers(1), numbers(2)], INT), [1, 2]),
    Row(
        "parse_example",
        "one that fails fails the batch",
        lambda way: many(way, [numbers(1), NONE], INT),
        Raises(hr.HeadraceError),
    ),
    Row(
        "parse_example",
        "of none is empty",
        lambda way: hr.io.parse_example(np.zeros(0, object), {"a": INT})["a"].tolist(),
        [],
    ),
    Row(
        "example_parser",
        "is a function for map",
        lambda way: way(Dataset.from_tensors(numbers(3)).map(hr.io.example_parser({"a": INT}))),
        [{"a": 3}],
    ),
    Row(
        "example_parser",
        "of a batch, too",
        lambda way: way(Dataset.from_tensors(numbers(3)).repeat(2).batch(2).map(hr.io.example_parser({"a": INT}))),
        [{"a": [3, 3]}],
    ),
    Row("example_parser", "refuses no features", lambda way: hr.io.example_parser({}), Raises(ValueError)),
    Row(
        "ExampleParser",
        "is what example_parser makes",
        lambda way: type(hr.io.example_parser({"a": INT})) is hr.io.ExampleParser,
        True,
    ),
    Row(
        "ExampleParser",
        "parses what it is called with",
        lambda way: int(hr.io.ExampleParser({"a": INT})(numbers(4))["a"]),
        4,
    ),
    Row(
        "ExampleParser",
        "and in a map",
        lambda way: way(Dataset.from_tensors(numbers(3)).map(hr.io.ExampleParser({"a": INT}))),
        [{"a": 3}],
    ),
]
SEQUENCES = [
    Row(
        "parse_single_sequence_example",
        "gives context and steps",
        lambda way: sequence(way, steps([1], [2]), FixedLenSequenceFeature([], np.int64)),
        ({"c": 7}, {"s": [1, 2]}),
    ),
    Row(
        "parse_single_sequence_example",
        "a missing list is an error",
        lambda way: sequence(way, steps([1], name="t"), FixedLenSequenceFeature([], np.int64)),
        Raises(hr.HeadraceError),
    ),
    Row(
        "parse_single_sequence_example",
        "unless it may be missing",
        lambda way: sequence(way, steps([1], name="t"), FixedLenSequenceFeature([], np.int64, allow_missing=True)),
        ({"c": 7}, {"s": []}),
    ),
    Row(
        "parse_single_sequence_example",
        "steps of unequal size are an error",
        lambda way: sequence(way, steps([1], [2, 3]), FixedLenSequenceFeature([], np.int64)),
        Raises(hr.HeadraceError),
    ),
    Row(
        "parse_single_sequence_example",
        "FixedLenFeature is refused for steps",
        lambda way: sequence(way, steps([1]), INT),
        Raises(ValueError),
    ),
    Row(
        "parse_sequence_example",
        "fills up to the longest",
        lambda way: sequences(way, [steps([1], [2]), steps([3])])[1],
        {"s": [[1, 2], [3, 0]]},
    ),
    Row(
        "parse_sequence_example",
        "tells lengths",
        lambda way: sequences(way, [steps([1], [2]), steps([3])])[2],
        {"s": [2, 1]},
    ),
    Row("parse_sequence_example", "without context it is empty", lambda way: sequences(way, [steps([1])])[0], {}),
]
MAKE = [
    Row(
        "make_example",
        "what it makes is parsed",
        lambda way: one(way, make_example({"a": [1.5]}), FixedLenFeature([1], np.float32)),
        [1.5],
    ),
    Row("make_example", "text, too", lambda way: one(way, make_example({"a": "x"}), FixedLenFeature([], bytes)), b"x"),
    Row(
        "make_example",
        "keys are sorted",
        lambda way: make_example({"b": 1, "a": 2}) == make_example({"a": 2, "b": 1}),
        True,
    ),
    Row(
        "make_sequence_example",
        "steps may be of unequal size",
        lambda way: sequence(way, steps([1], [2, 3]), VarLenFeature(np.int64))[1]["s"],
        {(0, 0): 1, (1, 0): 2, (1, 1): 3},
    ),
    Row(
        "make_sequence_example",
        "or none",
        lambda way: sequence(way, steps(), FixedLenSequenceFeature([], np.int64))[1],
        {"s": []},
    ),
    Row(
        "make_sequence_example",
        "has its context",
        lambda way: sequence(way, steps([1]), VarLenFeature(np.int64))[0],
        {"c": 7},
    ),
]

ROWS = [*FIXED_LEN, *VAR_LEN, *RAGGED, *SPARSE, *SEQUENCE_FEATURE, *PARSE, *SEQUENCES, *MAKE]
