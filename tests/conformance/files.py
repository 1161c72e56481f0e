"""What reads files."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np

import headrace as hr
from headrace import UNKNOWN_CARDINALITY, CsvDataset, Dataset, InvalidArgumentError, TensorSpec, TextLineDataset
from headrace import FixedLengthRecordDataset as Fixed
from headrace import TFRecordDataset as Records

from .row import Raises, Row, Way

__all__ = ["ROWS"]

GOLDEN = "tests/data/tfrecord/"
#: Of small.tfrecord, as TensorFlow reads it.
FIRST = [b"record 0", b""]


def table(way: Way, content: str, *defaults: Any, **given: Any) -> CsvDataset:
    return CsvDataset(way.write(content.encode(), "a.csv"), list(defaults), **given)


def fixed(way: Way, content: bytes, record: int, header: int | None = None, footer: int | None = None) -> Fixed:
    return Fixed(way.write(content, "a.bin"), record, header, footer)


def indexed(way: Way) -> Dataset:
    path = way.records([b"a", b"b", b"c"])
    hr.io.write_index([path])
    return Records(path, index=True)


TF_RECORD = [
    Row("TFRecordDataset", "reads a golden file", lambda way: way(Records(GOLDEN + "small.tfrecord").take(2)), FIRST),
    Row(
        "TFRecordDataset",
        "reads compressed ones",
        lambda way: [
            way(Records(f"{GOLDEN}small.{kind.lower()}.tfrecord", compression_type=kind).take(2))
            for kind in ("GZIP", "ZLIB")
        ],
        [FIRST] * 2,
    ),
    Row(
        "TFRecordDataset",
        "file after file",
        lambda way: way(Records([way.records([b"1", b"2"]), way.records([b"3"], "b")])),
        [b"1", b"2", b"3"],
    ),
    Row(
        "TFRecordDataset",
        "num_parallel_reads takes turns",
        lambda way: way(Records([way.records([b"1", b"2"]), way.records([b"3", b"4"], "b")], num_parallel_reads=2)),
        [b"1", b"3", b"2", b"4"],
    ),
    Row(
        "TFRecordDataset",
        "names may come from a dataset",
        lambda way: way(Records(Dataset.from_tensor_slices([way.records([b"1"])] * 2))),
        [b"1", b"1"],
    ),
    Row(
        "TFRecordDataset",
        "a damaged record is an error",
        lambda way: hr.DataLossError in way.outcomes(Records(GOLDEN + "bad_data_crc.tfrecord")),
        True,
    ),
    Row(
        "TFRecordDataset",
        "a file cut in a header, too",
        lambda way: way.outcomes(Records(GOLDEN + "cut_in_header.tfrecord"))[-1],
        hr.DataLossError,
    ),
    Row(
        "TFRecordDataset",
        "a missing file is an error, and the next is read",
        lambda way: way.outcomes(Records([str(way.folder / "none"), way.records([b"1"])])),
        [hr.NotFoundError, b"1"],
    ),
    Row(
        "TFRecordDataset",
        "refuses an unknown compression",
        lambda way: Records("a", compression_type="LZMA"),
        Raises(ValueError),
    ),
    Row(
        "TFRecordDataset",
        "with an index it knows how many",
        lambda way: (len(indexed(way)), way(indexed(way).skip(2))),
        (3, [b"c"]),
    ),
]
TEXT_LINE = [
    Row(
        "TextLineDataset",
        "strips line ends, keeps blank lines and the last without one",
        lambda way: way(TextLineDataset(way.write(b"a\r\n\nb\nc"))),
        [b"a", b"", b"b", b"c"],
    ),
    Row(
        "TextLineDataset",
        "drops every carriage return",
        lambda way: way(TextLineDataset(way.write(b"a\rb\n"))),
        [b"ab"],
    ),
    Row("TextLineDataset", "an empty file has no line", lambda way: way(TextLineDataset(way.write(b""))), []),
    Row(
        "TextLineDataset",
        "reads all members of a gzip file",
        lambda way: way(TextLineDataset(way.write(gzip.compress(b"a\n") + gzip.compress(b"b\n")), "GZIP")),
        [b"a", b"b"],
    ),
    Row("TextLineDataset", "gives text", lambda way: TextLineDataset("x").element_spec, TensorSpec((), bytes)),
    Row(
        "TextLineDataset",
        "a missing file",
        lambda way: way(TextLineDataset(str(way.folder / "none"))),
        Raises(hr.NotFoundError),
    ),
]
FIXED_LENGTH = [
    Row("FixedLengthRecordDataset", "cuts records", lambda way: way(fixed(way, b"abcdef", 2)), [b"ab", b"cd", b"ef"]),
    Row(
        "FixedLengthRecordDataset",
        "leaves out header and footer",
        lambda way: way(fixed(way, b"HabcdF!", 2, 1, 2)),
        [b"ab", b"cd"],
    ),
    Row(
        "FixedLengthRecordDataset", "refuses a rest", lambda way: way(fixed(way, b"abcde", 2)), Raises(hr.DataLossError)
    ),
    Row(
        "FixedLengthRecordDataset",
        "refuses records of no bytes",
        lambda way: fixed(way, b"", 0),
        Raises(InvalidArgumentError),
    ),
]
CSV = [
    Row(
        "CsvDataset",
        "columns as their dtypes",
        lambda way: way(table(way, "1,a\n2,b\n", np.int64, bytes)),
        [(1, b"a"), (2, b"b")],
    ),
    Row(
        "CsvDataset",
        "a default stands where nothing does",
        lambda way: way(table(way, ",a\n", [7], bytes)),
        [(7, b"a")],
    ),
    Row(
        "CsvDataset",
        "a dtype alone means required",
        lambda way: way(table(way, ",a\n", np.int32, bytes)),
        Raises(InvalidArgumentError),
    ),
    Row(
        "CsvDataset",
        "quotes hold delimiters and quotes",
        lambda way: way(table(way, '"a,""b"""\n', bytes)),
        [(b'a,"b"',)],
    ),
    Row(
        "CsvDataset",
        "header leaves out the first",
        lambda way: way(table(way, "n\n5\n", np.int32, header=True)),
        [(5,)],
    ),
    Row(
        "CsvDataset",
        "select_cols",
        lambda way: way(table(way, "1,2,3\n", np.int32, np.int32, select_cols=[0, 2])),
        [(1, 3)],
    ),
    Row(
        "CsvDataset",
        "na_value and field_delim",
        lambda way: way(table(way, "-;2\n", [9], [9], na_value="-", field_delim=";")),
        [(9, 2)],
    ),
    Row(
        "CsvDataset",
        "a record of too few fields raises in its place",
        lambda way: way.outcomes(table(way, "1,2\n3\n4,5\n", np.int32, np.int32)),
        [(1, 2), InvalidArgumentError, (4, 5)],
    ),
    Row(
        "CsvDataset",
        "its length is unknown",
        lambda way: table(way, "1\n", np.int32).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
]
WRITER = [
    Row("TFRecordWriter", "what it writes is read", lambda way: way(Records(way.records([b"", b"x"]))), [b"", b"x"]),
    Row(
        "TFRecordWriter",
        "compressed",
        lambda way: way(Records(way.records([b"x"], compression="ZLIB"), "ZLIB")),
        [b"x"],
    ),
    Row(
        "TFRecordWriter",
        "refuses an unknown compression",
        lambda way: way.records([], compression="LZMA"),
        Raises(ValueError),
    ),
    Row("write_index", "makes files countable", lambda way: len(indexed(way)), 3),
    Row(
        "write_index",
        "and found by number",
        lambda way: sorted(way(indexed(way).global_shuffle(1))),
        [b"a", b"b", b"c"],
    ),
    Row(
        "write_index",
        "needs the files",
        lambda way: hr.io.write_index([str(way.folder / "none")]),
        Raises(hr.NotFoundError),
    ),
    Row(
        "read_file",
        "is the whole content",
        lambda way: way(Dataset.from_tensors(way.write(b"a\r\nb")).map(hr.io.read_file)),
        [b"a\r\nb"],
    ),
    Row(
        "read_file",
        "in any order",
        lambda way: way(Dataset.from_tensors(way.write(b"a")).repeat(2).map(hr.io.read_file)),
        [b"a", b"a"],
    ),
    Row(
        "read_file",
        "of none is an error",
        lambda way: way(Dataset.from_tensors(str(way.folder / "none")).map(hr.io.read_file)),
        Raises(hr.NotFoundError),
    ),
]

ROWS = [*TF_RECORD, *TEXT_LINE, *FIXED_LENGTH, *CSV, *WRITER]
