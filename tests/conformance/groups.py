"""Several elements as one."""

from __future__ import annotations

from typing import Any

import numpy as np

import headrace as hr
from headrace import UNKNOWN_CARDINALITY, Dataset, InvalidArgumentError, TensorSpec

from .elements import fails_at
from .row import Raises, Row

__all__ = ["ROWS"]


def lengths(*sizes: int) -> Dataset:
    """Arrays of these lengths, each full of its own."""
    return Dataset.from_tensor_slices(np.array(sizes, np.int64)).map(lambda n: np.full(n, n))


def bucketed(*sizes: int, **given: Any) -> Dataset:
    given = {"bucket_boundaries": [3], "bucket_batch_sizes": [2, 2], **given}
    return lengths(*sizes).bucket_by_sequence_length(len, **given)


def grouped(count: int, size: int) -> Dataset:
    return Dataset.range(count).group_by_window(lambda x: x % 2, lambda key, window: window.batch(size), size)


BATCH = [
    Row("batch", "keeps a short last one", lambda way: way(Dataset.range(5).batch(2)), [[0, 1], [2, 3], [4]]),
    Row("batch", "drop_remainder drops it", lambda way: way(Dataset.range(5).batch(2, True)), [[0, 1], [2, 3]]),
    Row("batch", "of too little and drop_remainder is empty", lambda way: way(Dataset.range(2).batch(5, True)), []),
    Row(
        "batch",
        "its cardinality",
        lambda way: [Dataset.range(5).batch(2, drop).cardinality() for drop in (False, True)],
        [3, 2],
    ),
    Row(
        "batch",
        "then repeat gives a short one in each pass",
        lambda way: way(Dataset.range(3).batch(2).repeat(2)),
        [[0, 1], [2], [0, 1], [2]],
    ),
    Row(
        "batch",
        "behind repeat straddles",
        lambda way: way(Dataset.range(3).repeat(2).batch(2)),
        [[0, 1], [2, 0], [1, 2]],
    ),
    Row(
        "batch",
        "refuses unequal shapes, and says which",
        lambda way: way(lengths(1, 2).batch(2)),
        Raises(InvalidArgumentError, "First element had shape [1] and element 1 had shape [2]"),
    ),
    Row(
        "batch",
        "only the element that fails is lost",
        lambda way: way.outcomes(Dataset.range(5).map(fails_at(1)).batch(2)),
        [hr.FunctionError, [0, 2], [3, 4]],
    ),
    Row("batch", "refuses a size of 0", lambda way: Dataset.range(3).batch(0), Raises(InvalidArgumentError)),
    Row("batch", "of text", lambda way: way(Dataset.from_tensor_slices(["a", "bc"]).batch(2)), [[b"a", b"bc"]]),
]
PADDED_BATCH = [
    Row(
        "padded_batch",
        "pads to the longest of each batch",
        lambda way: way(lengths(1, 2, 1, 0).padded_batch(2)),
        [[[1, 0], [2, 2]], [[1], [0]]],
    ),
    Row(
        "padded_batch",
        "padded_shapes pads to more",
        lambda way: way(lengths(1, 2).padded_batch(2, padded_shapes=[3])),
        [[[1, 0, 0], [2, 2, 0]]],
    ),
    Row(
        "padded_batch",
        "a shape that is too small is an error",
        lambda way: way(lengths(1, 2).padded_batch(2, padded_shapes=[1])),
        Raises(hr.DataLossError),
    ),
    Row(
        "padded_batch",
        "padding_values",
        lambda way: way(lengths(1, 2).padded_batch(2, padding_values=np.int64(-1))),
        [[[1, -1], [2, 2]]],
    ),
    Row(
        "padded_batch",
        "values of another dtype are refused",
        lambda way: way(lengths(1, 2).padded_batch(2, padding_values=np.float32(0))),
        Raises(InvalidArgumentError),
    ),
    Row(
        "padded_batch",
        "pads text with nothing",
        lambda way: way(lengths(1, 2).map(lambda row: np.array([b"x"] * len(row), object)).padded_batch(2)),
        [[[b"x", b""], [b"x", b"x"]]],
    ),
    Row(
        "padded_batch",
        "drop_remainder",
        lambda way: way(lengths(1, 1, 1).padded_batch(2, drop_remainder=True)),
        [[[1], [1]]],
    ),
]
RAGGED_BATCH = [
    Row("ragged_batch", "keeps lengths", lambda way: way(lengths(1, 3, 0).ragged_batch(2)), [[[1], [3, 3, 3]], [[]]]),
    Row("ragged_batch", "stacks scalars", lambda way: way(Dataset.range(3).ragged_batch(2)), [[0, 1], [2]]),
    Row(
        "ragged_batch",
        "row_splits_dtype",
        lambda way: way(
            lengths(1, 2).ragged_batch(2, row_splits_dtype=np.int32).map(lambda rows: rows.row_splits.dtype.name)
        ),
        [b"int32"],
    ),
    Row("ragged_batch", "drop_remainder", lambda way: way(lengths(1, 2, 3).ragged_batch(2, True)), [[[1], [2, 2]]]),
    Row(
        "ragged_batch",
        "refuses other splits",
        lambda way: lengths(1).ragged_batch(2, row_splits_dtype=np.float32),
        Raises(InvalidArgumentError),
    ),
]
SPARSE_BATCH = [
    Row(
        "sparse_batch",
        "holds every value at its place",
        lambda way: way(lengths(1, 2).sparse_batch(2, [3])),
        [{(0, 0): 1, (1, 0): 2, (1, 1): 2}],
    ),
    Row(
        "sparse_batch",
        "its shape is that of the row",
        lambda way: way(lengths(1, 2).sparse_batch(2, [4]).map(lambda sparse: sparse.dense_shape)),
        [[2, 4]],
    ),
    Row(
        "sparse_batch",
        "an element longer than a row is an error",
        lambda way: way(lengths(1, 2).sparse_batch(2, [1])),
        Raises(hr.DataLossError),
    ),
    Row(
        "sparse_batch",
        "-1 is the longest of the batch",
        lambda way: way(lengths(1, 2).sparse_batch(2, [-1]).map(lambda sparse: sparse.dense_shape)),
        [[2, 2]],
    ),
]
REBATCH = [
    Row("rebatch", "cuts anew", lambda way: way(Dataset.range(7).batch(3).rebatch(2)), [[0, 1], [2, 3], [4, 5], [6]]),
    Row(
        "rebatch",
        "several sizes in turn",
        lambda way: way(Dataset.range(7).batch(3).rebatch([1, 2])),
        [[0], [1, 2], [3], [4, 5], [6]],
    ),
    Row(
        "rebatch",
        "a size of 0 adds an empty batch, behind the last, too",
        lambda way: way(Dataset.range(4).batch(4).rebatch([0, 2])),
        [[], [0, 1], [], [2, 3], []],
    ),
    Row("rebatch", "drop_remainder", lambda way: way(Dataset.range(5).batch(3).rebatch(2, True)), [[0, 1], [2, 3]]),
    Row(
        "rebatch",
        "its length is unknown",
        lambda way: Dataset.range(4).batch(2).rebatch(4).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
    Row("rebatch", "needs rows", lambda way: way(Dataset.range(3).rebatch(2)), Raises(InvalidArgumentError)),
]
BUCKET = [
    Row(
        "bucket_by_sequence_length",
        "a length equal to a boundary goes up",
        lambda way: way(bucketed(1, 3, 2, 4)),
        [[[1, 0], [2, 2]], [[3, 3, 3, 0], [4, 4, 4, 4]]],
    ),
    Row(
        "bucket_by_sequence_length",
        "what is left comes at the end, the shortest first",
        lambda way: way(bucketed(4, 1)),
        [[[1]], [[4, 4, 4, 4]]],
    ),
    Row("bucket_by_sequence_length", "drop_remainder", lambda way: way(bucketed(4, 1, drop_remainder=True)), []),
    Row(
        "bucket_by_sequence_length",
        "pad_to_bucket_boundary pads to the boundary - 1",
        lambda way: way(bucketed(1, 1, pad_to_bucket_boundary=True)),
        [[[1, 0], [1, 0]]],
    ),
    Row(
        "bucket_by_sequence_length",
        "with which none may be as long as the last boundary",
        lambda way: way(bucketed(3, 3, pad_to_bucket_boundary=True)),
        Raises(InvalidArgumentError),
    ),
    Row(
        "bucket_by_sequence_length",
        "needs one size more than boundaries",
        lambda way: bucketed(1, bucket_batch_sizes=[2]),
        Raises(InvalidArgumentError),
    ),
]
WINDOW = [
    Row("window", "datasets of so many", lambda way: way(Dataset.range(7).window(3)), [[0, 1, 2], [3, 4, 5], [6]]),
    Row(
        "window",
        "shift and drop_remainder",
        lambda way: way(Dataset.range(7).window(3, 2, 1, True)),
        [[0, 1, 2], [2, 3, 4], [4, 5, 6]],
    ),
    Row(
        "window",
        "stride",
        lambda way: way(Dataset.range(7).window(3, 1, 2, True)),
        [[0, 2, 4], [1, 3, 5], [2, 4, 6]],
    ),
    Row(
        "window",
        "each component is a dataset",
        lambda way: way(Dataset.range(3).map(lambda x: {"a": x, "b": -x}).window(2)),
        [{"a": [0, 1], "b": [0, -1]}, {"a": [2], "b": [-2]}],
    ),
    Row(
        "window",
        "flat_map makes batches of them",
        lambda way: way(Dataset.range(4).window(3, 1, drop_remainder=True).flat_map(lambda w: w.batch(3))),
        [[0, 1, 2], [1, 2, 3]],
    ),
    Row("window", "refuses a size of 0", lambda way: Dataset.range(4).window(0), Raises(InvalidArgumentError)),
]
GROUP_BY_WINDOW = [
    Row("group_by_window", "windows of one key", lambda way: way(grouped(7, 3)), [[0, 2, 4], [1, 3, 5], [6]]),
    Row(
        "group_by_window",
        "what is left comes in the order of keys",
        lambda way: way(
            Dataset.range(4).group_by_window(lambda x: -x, lambda key, window: window, 5),
        ),
        [3, 2, 1, 0],
    ),
    Row(
        "group_by_window",
        "the function gets the key",
        lambda way: way(
            Dataset.range(4).group_by_window(lambda x: x % 2, lambda key, window: window.map(lambda x: (key, x)), 2)
        ),
        [(0, 0), (0, 2), (1, 1), (1, 3)],
    ),
    Row(
        "group_by_window",
        "window_size_func says how many of a key",
        lambda way: way(
            Dataset.range(6).group_by_window(
                lambda x: x % 2, lambda key, window: window.batch(9), window_size_func=lambda key: key + 1
            )
        ),
        [[0], [2], [1, 3], [4], [5]],
    ),
    Row(
        "group_by_window",
        "needs one of the sizes",
        lambda way: Dataset.range(4).group_by_window(lambda x: x, lambda key, window: window),
        Raises(InvalidArgumentError),
    ),
]
SPECS = [
    Row(
        "padded_batch",
        "padded_shapes are in its spec",
        lambda way: (
            Dataset.from_generator(lambda: iter([[1]]), output_signature=TensorSpec((None,), "int32"))
            .padded_batch(2, [4], drop_remainder=True)
            .element_spec
        ),
        TensorSpec((2, 4), "int32"),
    ),
]

ROWS = [
    *BATCH,
    *PADDED_BATCH,
    *RAGGED_BATCH,
    *SPARSE_BATCH,
    *REBATCH,
    *BUCKET,
    *WINDOW,
    *GROUP_BY_WINDOW,
    *SPECS,
]
