"""Validity: nodes that nobody builds with the methods of Dataset are refused, and those that it builds are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace import Dataset
from headrace.pipeline.nodes import (
    AssertCardinality,
    Counter,
    Decoded,
    Node,
    RaggedBatch,
    Random,
    Range,
    Rebatch,
    Sample,
    Scan,
    Shelf,
    Snapshot,
    SparseBatch,
    Tagged,
)
from headrace.pipeline.structure import Structure
from headrace.pipeline.validity import fault

NUMBERS = Range(0, 3, 1, np.dtype(np.int64))
INT64, HALF = np.dtype(np.int64), np.float64(0.5)
SCAN: Any = Dataset.range(3).scan(0, lambda state, x: (state, x)).node

WRONG: list[Node] = [
    Counter(0, 1, bytes),
    Counter(0.5, 1, INT64),
    Counter(0, 1, np.dtype(np.float32)),
    Counter(1 << 64, 1, INT64),
    Random(1 << 64),
    Sample((NUMBERS, NUMBERS), (HALF,)),
    Sample((NUMBERS, NUMBERS), (HALF, np.float64(-1))),
    Sample((NUMBERS, NUMBERS), (HALF, np.float64(np.nan))),
    Sample((NUMBERS, NUMBERS), 3),
    Sample((NUMBERS, NUMBERS), (HALF, HALF), 1 << 64),
    RaggedBatch(NUMBERS, 0, False, None, INT64),
    RaggedBatch(NUMBERS, 2, False, (-1,), INT64),
    RaggedBatch(NUMBERS, 2, False, None, np.dtype(np.int8)),
    SparseBatch(NUMBERS, 0, (1,)),
    SparseBatch(NUMBERS, 2, (-1,)),
    Rebatch(NUMBERS, ()),
    Rebatch(NUMBERS, (0, 0)),
    Rebatch(NUMBERS, (2, -1)),
    AssertCardinality(NUMBERS, -2),
    Scan(NUMBERS, SCAN.function, Structure(), ()),
    Scan(NUMBERS, SCAN.function, Structure(), (np.zeros(2),)),
    Scan(NUMBERS, SCAN.function, Structure(), (np.zeros(()),)),
    Decoded(NUMBERS, count=-3),
    Decoded(NUMBERS, Structure(), ((),), (INT64, INT64)),
    Snapshot((NUMBERS,), "kept"),
    Snapshot((NUMBERS, NUMBERS), ""),
    Snapshot((NUMBERS, NUMBERS), "kept", "LZ4"),
    Snapshot((NUMBERS, NUMBERS), "kept", "", "../elsewhere"),
    Snapshot((Tagged(NUMBERS, SCAN.function, "predicate"), NUMBERS), "kept"),
    Snapshot((NUMBERS, Tagged(NUMBERS, SCAN.function, "number")), "kept"),
    Shelf("a\0b"),
    Shelf("kept", "a/b"),
]


@pytest.mark.parametrize("node", WRONG, ids=lambda node: type(node).__name__)
def test_what_no_method_builds_is_refused(node: Node) -> None:
    assert fault(node)


def test_what_methods_build_is_not() -> None:
    numbers = Dataset.range(3)
    for dataset in (
        Dataset.counter(1, 0.5, np.float16),
        Dataset.counter(-1, -1, np.uint8),
        Dataset.random(3),
        Dataset.sample_from_datasets([numbers, numbers], [1, 2]),
        Dataset.sample_from_datasets([numbers, numbers], Dataset.from_tensors([1.0, 2.0]).repeat()),
        numbers.ragged_batch(2),
        numbers.sparse_batch(2, [None, 3]),
        numbers.batch(2).rebatch([0, 2]),
        numbers.assert_cardinality(-1),
        numbers.scan((0, b"a"), lambda state, x: (state, x)),
    ):
        assert fault(dataset.node) is None
