"""Decoders of Examples and SequenceExamples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from headrace.pipeline.errors import HeadraceError
from headrace.pipeline.features import FixedLenFeature, FixedLenSequenceFeature, SparseFeature, VarLenFeature
from headrace.pipeline.limits import limits
from headrace.pipeline.making import make_example, make_sequence_example
from headrace.pipeline.parser import Spec
from headrace.pipeline.parsing import parse_column, parse_single_example
from headrace.pipeline.ragged import RaggedTensor
from headrace.pipeline.ragged_feature import RaggedFeature
from headrace.pipeline.records import read_records
from headrace.pipeline.sequence_parser import Listed, SequenceParser

from .decoder import Array, Decoder, Place, under

__all__ = ["EXAMPLES"]

DATA = Path(__file__).parents[1] / "data" / "tfrecord"

SPEC: dict[str, Spec] = {
    "label": FixedLenFeature((), "int64", default_value=3),
    "weights": FixedLenFeature([2, 2], "float32", default_value=[0, 1, 2, 3]),
    "name": FixedLenFeature((), bytes, default_value=b"none"),
    "pair": FixedLenFeature([2], bytes, default_value=[b"a", b"b"]),
    "small": FixedLenFeature((), "uint8", default_value=0),
    "ids": VarLenFeature("int64"),
    "values": VarLenFeature("float32"),
    "words": VarLenFeature(bytes),
    "flags": VarLenFeature("bool"),
    "": VarLenFeature("int64"),
}


VARYING: dict[str, Spec] = {
    "ids": RaggedFeature("int64"),
    "pairs": RaggedFeature("int64", "ids", [RaggedFeature.UniformRowLength(3)]),
    "values": RaggedFeature("float32", partitions=[RaggedFeature.RowLengths("lengths")]),
    "texts": RaggedFeature(bytes, "words", [RaggedFeature.RowSplits("splits"), RaggedFeature.ValueRowIds("rows")]),
    "tails": RaggedFeature(bytes, "words", [RaggedFeature.RowStarts("starts")]),
    "heads": RaggedFeature("int64", "flags", [RaggedFeature.RowLimits("limits")], "int64"),
    "steps": FixedLenSequenceFeature([2], "int8", allow_missing=True, default_value=-1),
    "sparse": SparseFeature(["lengths", "starts"], "splits", "int64", [4, 9]),
}

LISTS: dict[str, Listed] = {
    "frame": FixedLenSequenceFeature([], "int64", allow_missing=True),
    "embed": FixedLenSequenceFeature([3], "float32", allow_missing=True),
    "boxes": RaggedFeature("int64"),
    "words": RaggedFeature(bytes, partitions=[RaggedFeature.RowLengths("lengths")]),
    "places": VarLenFeature("int16"),
}


def _alone_and_among(alone: Callable[[], Any], among: Callable[[], Any]) -> tuple[Any, Any]:
    """What both give; the error that both raise."""
    try:
        one = alone()
    except HeadraceError as error:
        try:
            among()
        except HeadraceError:
            raise error from None
        raise AssertionError(f"refused alone and not among others: {error}") from error
    return one, among()


def _between(intact: bytes, data: bytes) -> tuple[bytes, Array]:
    splits = np.cumsum([0, len(intact), len(data), len(intact)])
    return intact + data + intact, splits


def _example(data: bytes, place: Place) -> None:
    """One alone, and among others that are intact: each must fare the same."""
    whole, splits = _between(_examples()[0], data)
    alone, among = _alone_and_among(
        lambda: parse_single_example(data, SPEC), lambda: parse_column(place(whole), splits, SPEC)
    )
    assert among["label"][1] == alone["label"]
    assert among["name"][1] == alone["name"]
    np.testing.assert_array_equal(among["weights"][1], alone["weights"])
    for key in ("ids", "values", "words", "flags"):
        rows = among[key].indices[:, 0] == 1
        np.testing.assert_array_equal(among[key].values[rows], alone[key].values)


def _varying(data: bytes, place: Place) -> None:
    """The same for features of varying length, with a limit that hostile lengths meet."""
    whole, splits = _between(_varying_examples()[0], data)
    with under(replace(limits(), element_bytes=1 << 20)):
        alone, among = _alone_and_among(
            lambda: parse_single_example(data, VARYING), lambda: parse_column(place(whole), splits, VARYING)
        )
    _same_rows(alone, among)
    rows = among["sparse"].indices[:, 0] == 1
    np.testing.assert_array_equal(among["sparse"].indices[rows, 1:], alone["sparse"].indices)


def _sequence(data: bytes, place: Place) -> None:
    whole, splits = _between(_sequences()[0], data)
    parser = SequenceParser({"fps": VarLenFeature("float32")}, LISTS)

    def among() -> Any:
        buffer = place(whole)
        buffer.flags.writeable = False
        return parser.many(buffer, splits)[1]

    _same_rows(*_alone_and_among(lambda: parser.one(data, "one")[1], among))


def _same_rows(alone: dict[str, Any], among: dict[str, Any]) -> None:
    """What is ragged or padded in row 1 of a batch."""
    for key, one in alone.items():
        if isinstance(among[key], RaggedTensor):
            np.testing.assert_equal(
                among[key].to_list()[1], one.to_list() if isinstance(one, RaggedTensor) else one.tolist()
            )
        elif isinstance(among[key], np.ndarray):
            np.testing.assert_array_equal(among[key][1][: len(one)], one)


@lru_cache
def _varying_examples() -> Sequence[bytes]:
    whole: dict[str, Any] = {
        "ids": [1, -1, 1 << 40],
        "values": [0.0, 1.0],
        "words": [b"a", b"", b"cc"],
        "flags": [0, 1],
    }
    whole |= {"lengths": [0, 2], "rows": [0, 0, 1], "splits": [0, 2], "starts": [0, 3], "limits": [2, 2]}
    few = {"steps": [1, 2, 3, 4], "ids": [1, 2, 3]}
    far = {"words": [b"a"], "rows": [1 << 14], "splits": [0, (1 << 14) + 1], "lengths": [0, 0], "starts": [0, 1]}
    return [make_example(whole | {"steps": [7, 8]}), make_example(few), make_example(far), *_examples()]


@lru_cache
def _sequences() -> Sequence[bytes]:
    lists: dict[str, Any] = {"words": [[b"a", b"b"], [b""]], "lengths": [[2, 0], [1]], "places": [[-1, 300], []]}
    lists["places"][1] = np.array([], np.int64)
    lists |= {"frame": [1, 2], "embed": [[1.0, 2.0, 3.0]]}
    real = [p for c in read_records(_golden("sequences.tfrecord")) for p in c.payloads()]
    return [make_sequence_example({"fps": 1.5}, lists), *real]


@lru_cache
def _examples() -> Sequence[bytes]:
    whole: dict[str, Any] = {"label": 7, "weights": [0.5, 1.5, -2.0, 3.0], "name": b"first", "pair": [b"", b"yy"]}
    whole |= {"small": 200, "ids": [1, -1, 1 << 40], "values": [0.0, 1.0], "words": [b"a", b"", b"cc"], "flags": [0, 1]}
    few = {"ids": np.array([], np.int64), "unknown": [b"x" * 100], "": [1, 2, 3]}
    real = [p for n in ("examples", "unpacked") for c in read_records(_golden(f"{n}.tfrecord")) for p in c.payloads()]
    return [make_example(whole), make_example(few), make_example({"name": "alone"}), *real]


def _golden(name: str) -> str:
    return str(DATA / name)


EXAMPLES = (
    Decoder("example", _example, _examples),
    Decoder("varying", _varying, _varying_examples),
    Decoder("sequence", _sequence, _sequences),
)
