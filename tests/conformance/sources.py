"""Sources of the language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import headrace as hr
from headrace import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, InvalidArgumentError, TensorSpec

from .row import Raises, Row, Way

__all__ = ["ROWS"]


def numbers(*args: int) -> Iterator[int]:
    yield from range(*args)


def then_fails() -> Iterator[int]:
    yield 1
    raise ValueError("no more")


def unequal() -> Iterator[Any]:
    yield [1]
    yield [1, 2]


def sampled(**given: Any) -> Dataset:
    return Dataset.sample_from_datasets([Dataset.range(6), Dataset.range(10, 16)], **given)


def chosen(numbers: list[int], *datasets: Dataset, **given: Any) -> Dataset:
    return Dataset.choose_from_datasets(datasets, Dataset.from_tensor_slices(np.array(numbers, np.int64)), **given)


def in_order(found: list[int]) -> bool:
    """Whether each of two inputs came in its own order."""
    low, high = [x for x in found if x < 10], [x for x in found if x >= 10]
    return low == sorted(low) and high == sorted(high)


def three_names(way: Way) -> str:
    for name in ("c.txt", "a.txt", ".b.txt"):
        way.write(b"", name)
    return str(way.folder / "*.txt")


def last_parts(names: list[bytes]) -> list[bytes]:
    return [name.rpartition(b"/")[2] for name in names]


FROM_TENSORS = [
    Row("from_tensors", "is one element, whatever its shape", lambda way: way(Dataset.from_tensors([1, 2])), [[1, 2]]),
    Row("from_tensors", "small Python ints are int32", lambda way: way.dtypes(Dataset.from_tensors(1)), ["int32"]),
    Row("from_tensors", "large ones int64", lambda way: way.dtypes(Dataset.from_tensors(1 << 40)), ["int64"]),
    Row("from_tensors", "floats are float32", lambda way: way.dtypes(Dataset.from_tensors(1.5)), ["float32"]),
    Row("from_tensors", "text is bytes", lambda way: way(Dataset.from_tensors("ü")), ["ü".encode()]),
    Row("from_tensors", "has cardinality 1", lambda way: Dataset.from_tensors((1, 2)).cardinality(), 1),
]
FROM_TENSOR_SLICES = [
    Row(
        "from_tensor_slices",
        "cuts every component",
        lambda way: way(Dataset.from_tensor_slices({"a": [1, 2], "b": (["x", "y"], [[1.0], [2.0]])})),
        [{"a": 1, "b": (b"x", [1.0])}, {"a": 2, "b": (b"y", [2.0])}],
    ),
    Row(
        "from_tensor_slices",
        "refuses unequal lengths",
        lambda way: Dataset.from_tensor_slices(([1, 2], [1])),
        Raises(InvalidArgumentError),
    ),
    Row(
        "from_tensor_slices",
        "refuses a scalar",
        lambda way: Dataset.from_tensor_slices(7),
        Raises(InvalidArgumentError),
    ),
    Row("from_tensor_slices", "of no rows is empty", lambda way: way(Dataset.from_tensor_slices(np.zeros((0, 3)))), []),
    Row(
        "from_tensor_slices",
        "keeps the dtype of arrays",
        lambda way: way.dtypes(Dataset.from_tensor_slices(np.zeros(2, np.float16))),
        ["float16"],
    ),
    Row(
        "from_tensor_slices",
        "has a spec without the first dimension",
        lambda way: Dataset.from_tensor_slices(np.zeros((4, 2, 3), np.uint8)).element_spec,
        TensorSpec((2, 3), "uint8"),
    ),
]
RANGE = [
    Row("range", "stops before its end", lambda way: way(Dataset.range(3)), [0, 1, 2]),
    Row("range", "steps down", lambda way: way(Dataset.range(5, 0, -2)), [5, 3, 1]),
    Row("range", "is empty where the step leads away", lambda way: way(Dataset.range(5, 0)), []),
    Row("range", "refuses a step of 0", lambda way: Dataset.range(1, 5, 0), Raises(InvalidArgumentError)),
    Row("range", "is int64", lambda way: way.dtypes(Dataset.range(1)), ["int64"]),
    Row("range", "output_type", lambda way: way.dtypes(Dataset.range(1, output_type=np.float32)), ["float32"]),
    Row("range", "tells its cardinality", lambda way: Dataset.range(1, 10, 4).cardinality(), 3),
]
COUNTER = [
    Row("counter", "begins at 0 and never ends", lambda way: way(Dataset.counter(), 3), [0, 1, 2]),
    Row("counter", "start and step", lambda way: way(Dataset.counter(10, -3), 3), [10, 7, 4]),
    Row("counter", "is infinite", lambda way: Dataset.counter().cardinality(), INFINITE_CARDINALITY),
    Row("counter", "dtype", lambda way: way.dtypes(Dataset.counter(dtype=np.float64)), ["float64"]),
    Row(
        "counter",
        "integers wrap around",
        lambda way: way(Dataset.counter(126, dtype=np.int8), 4),
        [126, 127, -128, -127],
    ),
    Row("counter", "begins anew each epoch", lambda way: way.epochs(Dataset.counter().take(2)), [[0, 1], [0, 1]]),
]
RANDOM = [
    Row(
        "random",
        "a seed gives the same in every epoch",
        lambda way: len(set(map(tuple, way.epochs(Dataset.random(seed=3).take(4), 3)))),
        1,
    ),
    Row(
        "random",
        "rerandomize_each_iteration gives others",
        lambda way: len(set(map(tuple, way.epochs(Dataset.random(3, rerandomize_each_iteration=True).take(4), 3)))),
        3,
    ),
    Row(
        "random",
        "stays in 32 bits",
        lambda way: all(0 <= x < 1 << 32 for x in way(Dataset.random(seed=1), 100)),
        True,
    ),
    Row("random", "is infinite", lambda way: Dataset.random().cardinality(), INFINITE_CARDINALITY),
    Row("random", "is int64", lambda way: way.dtypes(Dataset.random()), ["int64"]),
    Row(
        "random",
        "two without a seed differ",
        lambda way: way(Dataset.random(), 3) == way(Dataset.random(), 3),
        False,
    ),
]
FROM_INDEXABLE = [
    Row(
        "from_indexable",
        "items become elements",
        lambda way: way(Dataset.from_indexable([(1, "a"), (2, "b")])),
        [(1, b"a"), (2, b"b")],
    ),
    Row("from_indexable", "tells its length", lambda way: Dataset.from_indexable("abc").cardinality(), 3),
    Row(
        "from_indexable",
        "an index that fails raises in its place",
        lambda way: way.outcomes(Dataset.from_indexable(Holes())),
        [0, hr.FunctionError, 2],
    ),
    Row(
        "from_indexable",
        "refuses what has no length",
        lambda way: Dataset.from_indexable(iter("abc")),  # type: ignore[arg-type]
        Raises(InvalidArgumentError),
    ),
]


class Holes:
    """Without its item 1."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        if index == 1:
            raise OSError("gone")
        return index


FROM_GENERATOR = [
    Row(
        "from_generator",
        "args go to the function",
        lambda way: way(Dataset.from_generator(numbers, args=[2, 5])),
        [2, 3, 4],
    ),
    Row(
        "from_generator",
        "is called anew for each epoch",
        lambda way: way.epochs(Dataset.from_generator(numbers, args=[2])),
        [[0, 1], [0, 1]],
    ),
    Row(
        "from_generator",
        "output_types makes numbers what they say",
        lambda way: way.dtypes(Dataset.from_generator(numbers, np.float32, args=[2])),
        ["float32"],
    ),
    Row(
        "from_generator",
        "what was declared otherwise is an error, not cut off",
        lambda way: way(Dataset.from_generator(lambda: iter([1.5]), output_types=np.int64)),
        Raises(TypeError),
    ),
    Row(
        "from_generator",
        "output_signature is the spec",
        lambda way: Dataset.from_generator(unequal, output_signature=TensorSpec((None,), "int32")).element_spec,
        TensorSpec((None,), "int32"),
    ),
    Row(
        "from_generator",
        "raises behind what came",
        lambda way: way.outcomes(Dataset.from_generator(then_fails)),
        [1, hr.FunctionError],
    ),
    Row(
        "from_generator",
        "its length is unknown",
        lambda way: Dataset.from_generator(numbers, args=[2]).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
]
LIST_FILES = [
    Row(
        "list_files",
        "is sorted without shuffle, dot files too",
        lambda way: last_parts(way(Dataset.list_files(three_names(way), shuffle=False))),
        [b".b.txt", b"a.txt", b"c.txt"],
    ),
    Row(
        "list_files",
        "shuffles by default, anew in each epoch",
        lambda way: len(set(map(tuple, way.epochs(Dataset.list_files(three_names(way), seed=2), 8)))) > 1,
        True,
    ),
    Row(
        "list_files",
        "no match is an error",
        lambda way: way(Dataset.list_files(str(way.folder / "none*"))),
        Raises(InvalidArgumentError),
    ),
    Row(
        "list_files",
        "several patterns are sorted together",
        lambda way: last_parts(
            way(
                Dataset.list_files(
                    [three_names(way).replace("*", "c"), three_names(way).replace("*", "a")], shuffle=False
                )
            )
        ),
        [b"a.txt", b"c.txt"],
    ),
]
ZIP = [
    Row(
        "zip",
        "ends with the shortest",
        lambda way: way(Dataset.zip(Dataset.range(3), Dataset.range(5, 7))),
        [(0, 5), (1, 6)],
    ),
    Row(
        "zip",
        "nests as its argument",
        lambda way: way(Dataset.zip({"a": Dataset.range(1), "b": (Dataset.range(4, 9),)})),
        [{"a": 0, "b": (4,)}],
    ),
    Row(
        "zip",
        "cardinality is the least",
        lambda way: [
            Dataset.zip(Dataset.range(3), each).cardinality()
            for each in (Dataset.range(9), Dataset.counter(), Dataset.range(9).filter(lambda x: True))
        ],
        [3, 3, UNKNOWN_CARDINALITY],
    ),
    Row("zip", "of one dataset twice", lambda way: way(Dataset.zip(*[Dataset.range(2)] * 2)), [(0, 0), (1, 1)]),
    Row(
        "zip", "refuses what is no dataset", lambda way: Dataset.zip(Dataset.range(2), 3), Raises(InvalidArgumentError)
    ),
    Row(
        "zip",
        "datasets= is the same",
        lambda way: way(Dataset.zip(datasets=(Dataset.range(1), Dataset.range(1)))),
        [(0, 0)],
    ),
]
SAMPLE = [
    Row(
        "sample_from_datasets",
        "all of each comes, each in its order",
        lambda way: (sorted(way(sampled(seed=1))), in_order(way(sampled(seed=1)))),
        ([0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15], True),
    ),
    Row(
        "sample_from_datasets", "weight 0 leaves out", lambda way: way(sampled(weights=[1.0, 0.0])), [0, 1, 2, 3, 4, 5]
    ),
    Row(
        "sample_from_datasets",
        "goes on when one is empty",
        lambda way: sorted(way(Dataset.sample_from_datasets([Dataset.range(0), Dataset.range(3)], seed=1))),
        [0, 1, 2],
    ),
    Row(
        "sample_from_datasets",
        "stop_on_empty_dataset ends with the first that does",
        lambda way: len(way(sampled(seed=4, stop_on_empty_dataset=True))) < 12,
        True,
    ),
    Row(
        "sample_from_datasets",
        "a seed draws the same in every epoch",
        lambda way: len(set(map(tuple, way.epochs(sampled(seed=4), 3)))),
        1,
    ),
    Row(
        "sample_from_datasets",
        "is infinite as soon as one is",
        lambda way: Dataset.sample_from_datasets([Dataset.range(3), Dataset.counter()]).cardinality(),
        INFINITE_CARDINALITY,
    ),
    Row(
        "sample_from_datasets",
        "refuses none",
        lambda way: Dataset.sample_from_datasets([]),
        Raises(InvalidArgumentError),
    ),
]
CHOOSE = [
    Row(
        "choose_from_datasets",
        "in the order of the choices",
        lambda way: way(chosen([1, 0, 1], Dataset.range(5), Dataset.range(10, 15))),
        [10, 0, 11],
    ),
    Row(
        "choose_from_datasets",
        "stops when one has ended",
        lambda way: way(chosen([0, 0, 1], Dataset.range(1), Dataset.range(10, 15))),
        [0],
    ),
    Row(
        "choose_from_datasets",
        "passes over it without stop_on_empty_dataset",
        lambda way: way(chosen([0, 0, 1], Dataset.range(1), Dataset.range(10, 15), stop_on_empty_dataset=False)),
        [0, 10],
    ),
    Row(
        "choose_from_datasets",
        "a choice that is none raises in its place",
        lambda way: way.outcomes(chosen([0, 2, 0], Dataset.range(5), Dataset.range(5))),
        [0, InvalidArgumentError, 1],
    ),
    Row(
        "choose_from_datasets",
        "its length is unknown",
        lambda way: chosen([0], Dataset.range(5), Dataset.range(5)).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
]

ROWS = [
    *FROM_TENSORS,
    *FROM_TENSOR_SLICES,
    *RANGE,
    *COUNTER,
    *RANDOM,
    *FROM_INDEXABLE,
    *FROM_GENERATOR,
    *LIST_FILES,
    *ZIP,
    *SAMPLE,
    *CHOOSE,
]
