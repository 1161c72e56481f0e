"""Parsing serialized tf.train.SequenceExamples into arrays, one or many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .features import FixedLenSequenceFeature, VarLenFeature
from .kept import kept_parser
from .parser import Spec, checked_features
from .ragged_feature import RaggedFeature
from .sequence_parser import Listed, SequenceParser
from .serialized import joined, rows_of

__all__ = ["parse_sequence_example", "parse_single_sequence_example"]

_NONE: Mapping[str, Any] = MappingProxyType({})


def parse_single_sequence_example(
    serialized: bytes,
    context_features: Mapping[str, Spec] | None = None,
    sequence_features: Mapping[str, Listed] | None = None,
    example_name: str | None = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """One serialized tf.train.SequenceExample: a dict of its context features, and one of its feature lists.

    The context is parsed as `parse_single_example` parses. Of a list, a FixedLenSequenceFeature gives an array
    [steps, *shape], a VarLenFeature a SparseTensor of rank 2, and a RaggedFeature a RaggedTensor with a row a step,
    whose partitions divide each step. A list that is absent has no steps; with a FixedLenSequenceFeature it needs
    `allow_missing=True`. `example_name` is how errors call it; `name` does nothing.

    >>> from headrace.pipeline.making import make_sequence_example
    >>> made = make_sequence_example({"video": "a"}, {"boxes": [[1, 2], [3]]})
    >>> _, lists = parse_single_sequence_example(made, sequence_features={"boxes": RaggedFeature("int64")})
    >>> lists["boxes"].to_list()
    [[1, 2], [3]]

    Raises InvalidArgumentError, which says what is wrong with the specification, with the bytes, or with one feature
    or step: missing, of another size, of another kind, or with a value that the dtype does not hold.
    """
    if not isinstance(serialized, bytes):
        raise InvalidArgumentError(f"serialized is {type(serialized).__name__}: a SequenceExample comes as bytes")
    who = "the SequenceExample" if example_name is None else str(example_name)
    return _parser(context_features, sequence_features).one(serialized, who)


def parse_sequence_example(
    serialized: Sequence[bytes] | npt.NDArray[Any],
    context_features: Mapping[str, Spec] | None = None,
    sequence_features: Mapping[str, Listed] | None = None,
    example_names: Sequence[str] | None = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, npt.NDArray[np.int64]]]:
    """Many serialized tf.train.SequenceExamples: dicts of context columns, list columns, and lengths.

    As `parse_single_sequence_example`, with a first dimension for the Examples. A FixedLenSequenceFeature is filled
    up to the longest of the batch, [n, longest, *shape], and the third dict has its lengths, int64 [n]. A
    VarLenFeature gives a SparseTensor of rank 3, a RaggedFeature a RaggedTensor of rows of rows.

    >>> from headrace.pipeline.making import make_sequence_example
    >>> made = [make_sequence_example({}, {"frame": [[1], [2]]}), make_sequence_example({}, {"frame": [[3]]})]
    >>> _, lists, lengths = parse_sequence_example(made, None, {"frame": FixedLenSequenceFeature((), "int64")})
    >>> lists["frame"].tolist(), lengths["frame"].tolist()
    ([[1, 2], [3, 0]], [2, 1])

    Raises InvalidArgumentError.
    """
    rows = rows_of(serialized)
    if example_names is not None and len(example_names) != len(rows):
        raise InvalidArgumentError(f"{len(example_names)} example_names for {len(rows)} Examples: give one for each")
    return _parser(context_features, sequence_features).many(*joined(rows), example_names)


def _parser(context: Mapping[str, Spec] | None, lists: Mapping[str, Listed] | None) -> SequenceParser:
    context, lists = context or _NONE, lists or _NONE
    found: SequenceParser = kept_parser((context, lists), lambda: SequenceParser(*_checked(context, lists)))
    return found


def _checked(
    context: Mapping[str, Spec], lists: Mapping[str, Listed]
) -> tuple[Mapping[str, Spec], Mapping[str, Listed]]:
    if not isinstance(context, Mapping) or not isinstance(lists, Mapping) or not (context or lists):
        raise InvalidArgumentError("name at least one feature in context_features or in sequence_features, two dicts")
    for name, spec in lists.items():
        if not isinstance(name, str) or not isinstance(spec, (VarLenFeature, FixedLenSequenceFeature, RaggedFeature)):
            raise InvalidArgumentError(
                f"feature list {name!r} is {spec!r}: a list is a FixedLenSequenceFeature, a VarLenFeature or a "
                "RaggedFeature"
            )
    return checked_features(context), lists
