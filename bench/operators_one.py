"""The rate of each operator in one library: one JSON line a case. Runs where that library is installed."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from operator_cases import CASES, Library

#: Iterations of a case; the best counts, since whatever else runs can only slow one down.
TURNS = 3


def headrace(files: Path) -> Library:
    """Our side."""
    import headrace as hr

    features = {"dense": hr.io.FixedLenFeature([13], "float32"), "label": hr.io.FixedLenFeature([], "int64")}
    ids = hr.io.example_parser({"ids": hr.io.FixedLenSequenceFeature([], "int64", allow_missing=True)})
    return Library(
        Dataset=hr.Dataset,
        TFRecordDataset=hr.TFRecordDataset,
        TextLineDataset=hr.TextLineDataset,
        FixedLengthRecordDataset=hr.FixedLengthRecordDataset,
        CsvDataset=hr.CsvDataset,
        parse_batch=hr.io.example_parser(features),
        parse_row=ids,
        length=lambda row: len(row["ids"]),
        files=files,
    )


def tf_data(files: Path) -> Library:
    """tf.data's side."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    features = {"dense": tf.io.FixedLenFeature([13], tf.float32), "label": tf.io.FixedLenFeature([], tf.int64)}
    ids = {"ids": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)}
    return Library(
        Dataset=tf.data.Dataset,
        TFRecordDataset=tf.data.TFRecordDataset,
        TextLineDataset=tf.data.TextLineDataset,
        FixedLengthRecordDataset=tf.data.FixedLengthRecordDataset,
        CsvDataset=tf.data.experimental.CsvDataset,
        parse_batch=lambda batch: tf.io.parse_example(batch, features),
        parse_row=lambda record: tf.io.parse_single_example(record, ids),
        length=lambda row: tf.shape(row["ids"])[0],
        files=files,
    )


LIBRARIES = {"headrace": headrace, "tf.data": tf_data}


def seconds(dataset: Any) -> float:
    """How long one iteration takes, everything delivered as NumPy arrays."""
    begun = time.perf_counter()
    for _ in dataset.as_numpy_iterator():
        pass
    return time.perf_counter() - begun


def main() -> None:
    """Measure the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=sorted(LIBRARIES))
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--only", default="", help="cases whose names contain this")
    arguments = parser.parse_args()
    lib = LIBRARIES[arguments.library](arguments.files)
    for case in CASES:
        if arguments.only in case.name:
            dataset = case.build(lib)
            seconds(dataset)  # what is compiled or traced once
            rate = case.elements / min(seconds(dataset) for _ in range(TURNS))
            print(json.dumps({"case": case.name, "per_s": rate}), flush=True)


if __name__ == "__main__":
    main()
