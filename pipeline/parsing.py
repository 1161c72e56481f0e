"""Parsing serialized tf.train.Examples into arrays, one or many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Column
from .columnwise import Columns
from .errors import InvalidArgumentError
from .kept import kept_parser
from .parser import Parser, Spec, checked_features
from .serialized import joined, rows_of
from .structure import flatten_as_is

__all__ = ["ExampleParser", "example_parser", "parse_column", "parse_example", "parse_single_example"]


def parse_single_example(
    serialized: bytes,
    features: Mapping[str, Spec],
    example_names: str | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """One serialized tf.train.Example as a dict of its features.

    A FixedLenFeature gives an array of its shape and dtype: a NumPy scalar or `bytes` for shape (), an array of
    objects for other shapes of bytes. A VarLenFeature gives a SparseTensor of rank 1, a FixedLenSequenceFeature an
    array [steps, *shape], a RaggedFeature an array of rank 1, or a RaggedTensor where it has partitions, and a
    SparseFeature a SparseTensor of its size. Of repeated keys the last one
    counts, keys that `features` does not name are skipped, and empty bytes are an Example without features.
    `example_names` is how errors call this Example; `name` is there for tf.data's sake and does nothing.

    >>> from headrace.io import FixedLenFeature, make_example
    >>> parse_single_example(make_example({"label": 3, "text": "ab"}), {"text": FixedLenFeature((), bytes)})
    {'text': b'ab'}

    Raises InvalidArgumentError, which says what is wrong with the specification, with the bytes, or with one feature:
    it is missing and has no default, holds another number or kind of values, or one that the dtype does not hold.
    """
    if not isinstance(serialized, bytes):
        raise InvalidArgumentError(f"serialized is {type(serialized).__name__}: an Example comes as bytes")
    return _parser(features).one(serialized, "the Example" if example_names is None else str(example_names))


def parse_example(
    serialized: Sequence[bytes] | npt.NDArray[Any],
    features: Mapping[str, Spec],
    example_names: Sequence[str] | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Many serialized tf.train.Examples as a dict of columns.

    As `parse_single_example`, with a first dimension for the Examples: arrays [n, *shape], SparseTensors of rank 2,
    whose second length is that of the longest row, sequences filled up to the longest, and RaggedTensors of every
    RaggedFeature. `example_names` has one name for each Example.

    >>> from headrace.io import FixedLenFeature, make_example
    >>> rows = [make_example({"x": [1.5, 2.5]}), make_example({})]
    >>> parse_example(rows, {"x": FixedLenFeature([2], "float32", default_value=[0, 0])})["x"].tolist()
    [[1.5, 2.5], [0.0, 0.0]]

    Raises InvalidArgumentError.
    """
    rows = rows_of(serialized)
    if example_names is not None and len(example_names) != len(rows):
        raise InvalidArgumentError(f"{len(example_names)} example_names for {len(rows)} Examples: give one for each")
    data, splits = joined(rows)
    return _parser(features).many(data, splits, example_names)


def example_parser(features: Mapping[str, Spec]) -> ExampleParser:
    """`parse_single_example` and `parse_example` for these features: a function for `Dataset.map`.

    >>> from headrace.io import FixedLenFeature, make_example
    >>> parse = example_parser({"label": FixedLenFeature((), "int64")})
    >>> parse(make_example({"label": 3}))
    {'label': np.int64(3)}
    >>> parse([make_example({"label": 3}), make_example({"label": 4})])
    {'label': array([3, 4])}

    Raises InvalidArgumentError: what `parse_example` would say of `features`, here and now.
    """
    return ExampleParser(features)


class ExampleParser:
    """A function from serialized tf.train.Examples to dicts of features; `example_parser` makes one.

    Of `bytes` it gives what `parse_single_example` gives; of many, as `batch` makes them (a list or a 1-D array of
    objects), what `parse_example` gives. `dataset.batch(n).map(example_parser(features))` is the fastest way to parse.
    The specification is read once, and taken along when the function is sent to workers.

    Raises (when called) InvalidArgumentError, as these do.
    """

    def __init__(self, features: Mapping[str, Spec]) -> None:
        self.features = dict(_check(features))
        self._parser = Parser(self.features)

    def __call__(self, serialized: bytes | Sequence[bytes] | npt.NDArray[Any]) -> dict[str, Any]:
        if isinstance(serialized, bytes):
            return self._parser.one(serialized, "the Example")
        if not isinstance(serialized, (list, tuple, np.ndarray)):
            kind = type(serialized).__name__
            raise InvalidArgumentError(f"serialized is {kind}: an Example comes as bytes, many as a batch of bytes")
        return self._parser.many(*joined(rows_of(serialized)))

    def on_column(self, column: Column) -> Columns | None:
        """What it gives for each Example of a column (see `columnwise`)."""
        if column.rank or column.splits is None:
            return None
        data = column.values.view()
        data.flags.writeable = False  # as the kernel is compiled
        columns = self._parser.columns(data, np.require(column.splits, requirements=["C", "A"]))
        if columns is None:
            return None
        names, structure = flatten_as_is({name: name for name in columns})
        return structure, [columns[name] for name in names]

    def __reduce__(self) -> tuple[Any, ...]:
        return ExampleParser, (self.features,)

    def __repr__(self) -> str:
        return f"example_parser({self.features!r})"


def parse_column(
    data: npt.NDArray[np.uint8], splits: npt.NDArray[np.int64], features: Mapping[str, Spec]
) -> dict[str, Any]:
    """As `parse_example`, for Examples in one buffer: number i is data[splits[i]:splits[i + 1]].

    `data` is uint8, `splits` is int64 [n + 1] for n Examples.

    >>> from headrace.io import FixedLenFeature, make_example
    >>> one = make_example({"x": 7})
    >>> data, splits = np.frombuffer(one + one, np.uint8), np.array([0, len(one), 2 * len(one)])
    >>> parse_column(data, splits, {"x": FixedLenFeature((), "int32")})
    {'x': array([7, 7], dtype=int32)}

    Raises InvalidArgumentError.
    """
    if data.ndim != 1 or data.dtype != np.uint8 or splits.ndim != 1 or not len(splits):
        raise InvalidArgumentError("parse_column takes data, uint8 [bytes], and splits, int64 [Examples + 1]")
    # The kernel is compiled once, for read-only bytes: `bytes` give no others.
    data = np.ascontiguousarray(data).view()
    data.flags.writeable = False
    return _parser(features).many(data, np.ascontiguousarray(splits, np.int64))


def _parser(features: Mapping[str, Spec]) -> Parser:
    parser: Parser = kept_parser((features,), lambda: Parser(_check(features)))
    return parser


def _check(features: Mapping[str, Spec]) -> Mapping[str, Spec]:
    if not isinstance(features, Mapping) or not features:
        raise InvalidArgumentError(f"features is {features!r}: name at least one, as in {{'x': FixedLenFeature(...)}}")
    return checked_features(features)
