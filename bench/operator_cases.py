"""Each built-in operator, in a pipeline that ends in `batch(1024)`, in words that both libraries understand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["BATCH", "CASES", "Case", "Library"]

BATCH = 1024

COLUMNS = {
    "dense": np.random.default_rng(1).random((262_144, 13), np.float32),
    "label": np.arange(262_144, dtype=np.int64),
}


@dataclass(frozen=True)
class Library:
    """What the cases need of a library; `files` are the same for both."""

    Dataset: Any
    TFRecordDataset: Any
    TextLineDataset: Any
    FixedLengthRecordDataset: Any
    CsvDataset: Any
    parse_batch: Callable[[Any], Any]  #: From a batch of serialized Examples to their features.
    parse_row: Callable[[Any], Any]  #: From one serialized Example to its `ids`, 0 to 15 numbers.
    length: Callable[[Any], Any]  #: Of one such row.
    files: Path


@dataclass(frozen=True)
class Case:
    """A pipeline, and how many elements go through the operator that it is about."""

    name: str
    elements: int
    build: Callable[[Library], Any]
    reason: str = ""  #: Why it may be slower than tf.data's; nothing where it must not be.


M = 1_000_000
USER = "calls a Python function for each element, where tf.data runs a traced graph"
INNER = "makes a dataset in Python for each"


def _rows(lib: Library) -> Any:
    """65,536 unequal rows of int64."""
    return lib.TFRecordDataset(str(lib.files / "rows.tfrecord")).map(lib.parse_row)


def _range(operator: Callable[[Any], Any], elements: int = M, source: int | None = None) -> dict[str, Any]:
    """A case that begins with a range."""

    def build(lib: Library) -> Any:
        return operator(lib.Dataset.range(elements if source is None else source)).batch(BATCH)

    return {"elements": elements, "build": build}


CASES = (
    # sources
    Case("range", **_range(lambda d: d)),
    Case(
        "from_tensor_slices",
        len(COLUMNS["label"]),
        lambda lib: lib.Dataset.from_tensor_slices(COLUMNS).batch(BATCH),
    ),
    Case("counter", M, lambda lib: lib.Dataset.counter().take(M).batch(BATCH)),
    Case("random", M, lambda lib: lib.Dataset.random(seed=3).take(M).batch(BATCH)),
    Case(
        "TFRecordDataset",
        262_144,
        lambda lib: lib.TFRecordDataset(str(lib.files / "examples.tfrecord")).batch(BATCH),
    ),
    Case(
        "TFRecordDataset, parse_example",
        262_144,
        lambda lib: lib.TFRecordDataset(str(lib.files / "examples.tfrecord")).batch(BATCH).map(lib.parse_batch),
    ),
    Case("TextLineDataset", 262_144, lambda lib: lib.TextLineDataset(str(lib.files / "lines.txt")).batch(BATCH)),
    Case(
        "FixedLengthRecordDataset",
        262_144,
        lambda lib: lib.FixedLengthRecordDataset(str(lib.files / "records.bin"), 64).batch(BATCH),
    ),
    Case(
        "CsvDataset",
        131_072,
        lambda lib: lib.CsvDataset(str(lib.files / "rows.csv"), [np.int64(0), np.float32(0), b""]).batch(BATCH),
    ),
    # order
    Case("take", **_range(lambda d: d.take(M), source=2 * M)),
    Case("skip", **_range(lambda d: d.skip(M), source=2 * M)),
    Case("shard", **_range(lambda d: d.shard(2, 1), source=2 * M)),
    Case("enumerate", **_range(lambda d: d.enumerate())),
    Case("concatenate", **_range(lambda d: d.concatenate(d), 2 * M, source=M)),
    Case("repeat", **_range(lambda d: d.repeat(250), source=4000)),
    Case(
        "from_tensors, repeat",
        16_384,
        lambda lib: lib.Dataset.from_tensors(np.int64(3)).repeat(16_384).batch(BATCH),
        reason="every pass has leases and pieces of its own: 0.1 ms",
    ),
    Case("zip", M, lambda lib: lib.Dataset.zip((lib.Dataset.range(M), lib.Dataset.range(M))).batch(BATCH)),
    Case("shuffle(1024)", **_range(lambda d: d.shuffle(1024, seed=1))),
    Case("shuffle(65536)", **_range(lambda d: d.shuffle(65_536, seed=1))),
    Case("unique", **_range(lambda d: d.unique(), 262_144)),
    Case("prefetch", **_range(lambda d: d.prefetch(4))),
    Case("assert_cardinality", **_range(lambda d: d.assert_cardinality(M))),
    Case("ignore_errors", **_range(lambda d: d.ignore_errors())),
    Case(
        "sample_from_datasets",
        M,
        lambda lib: lib.Dataset.sample_from_datasets(
            [lib.Dataset.range(M // 2), lib.Dataset.range(M // 2)], [0.5, 0.5], seed=1
        ).batch(BATCH),
    ),
    Case(
        "choose_from_datasets",
        M,
        lambda lib: lib.Dataset.choose_from_datasets(
            [lib.Dataset.range(M // 2), lib.Dataset.range(M // 2)],
            lib.Dataset.from_tensor_slices(np.arange(M) % 2),
        ).batch(BATCH),
    ),
    # groups
    Case("batch(64), unbatch", **_range(lambda d: d.batch(64).unbatch())),
    Case("rebatch", M, lambda lib: lib.Dataset.range(M).batch(100).rebatch(BATCH)),
    Case("padded_batch", 65_536, lambda lib: _rows(lib).padded_batch(BATCH)),
    Case("ragged_batch", 65_536, lambda lib: _rows(lib).ragged_batch(BATCH)),
    Case(
        "sparse_batch",
        len(COLUMNS["label"]),
        lambda lib: lib.Dataset.from_tensor_slices(COLUMNS["dense"]).sparse_batch(BATCH, [13]),
    ),
    Case("window, flat_map", **_range(lambda d: d.window(64).flat_map(lambda w: w), 262_144), reason=INNER),
    Case("flat_map", **_range(lambda d: d.flat_map(lambda x: _inner(d, x)), 131_072, source=2048), reason=INNER),
    Case(
        "interleave",
        **_range(lambda d: d.interleave(lambda x: _inner(d, x), cycle_length=4), 131_072, source=2048),
        reason=INNER,
    ),
    # functions of the user
    Case("map", **_range(lambda d: d.map(lambda x: x + 1), 131_072), reason=USER),
    Case("filter", **_range(lambda d: d.filter(lambda x: x % 2 == 0), 131_072), reason=USER),
    Case("take_while", **_range(lambda d: d.take_while(lambda x: x >= 0), 131_072), reason=USER),
    Case("scan", **_range(lambda d: d.scan(np.int64(0), lambda s, x: (s + x, s)), 131_072), reason=USER),
    Case(
        "group_by_window",
        **_range(lambda d: d.group_by_window(lambda x: x % 4, lambda k, w: w.batch(64), 64).unbatch(), 65_536),
        reason=USER,
    ),
    Case(
        "bucket_by_sequence_length",
        65_536,
        lambda lib: _rows(lib).bucket_by_sequence_length(lib.length, [4, 8, 12], [BATCH] * 4),
        reason=USER,
    ),
)


def _inner(dataset: Any, element: Any) -> Any:
    """64 numbers."""
    return type(dataset).range(element * 0, element * 0 + 64)
