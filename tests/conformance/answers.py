"""What one answer is made of all elements, and what a dataset tells of itself."""

from __future__ import annotations

from typing import Any

import numpy as np

import headrace as hr
from headrace import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, InvalidArgumentError

from .elements import fails_at
from .row import Raises, Row, Way

__all__ = ["ROWS"]


def saved(way: Way, dataset: Dataset, **given: Any) -> str:
    path = str(way.folder / "saved")
    dataset.save(path, service=way.service, **given)
    return path


def passes(way: Way, dataset: Dataset) -> list[Any]:
    """Two passes, counted by the dataset in each way."""
    found = []
    for _ in range(2):
        with dataset.make_one_shot_iterator(way.service) as iterator:
            found.append(list(iterator))
    return found


ASSERT_CARDINALITY = [
    Row(
        "assert_cardinality",
        "is believed",
        lambda way: Dataset.range(9).filter(bool).assert_cardinality(8).cardinality(),
        8,
    ),
    Row("assert_cardinality", "and true", lambda way: way(Dataset.range(3).filter(bool).assert_cardinality(2)), [1, 2]),
    Row(
        "assert_cardinality",
        "fewer raise at the end",
        lambda way: way.outcomes(Dataset.range(2).assert_cardinality(3)),
        [0, 1, hr.FailedPreconditionError],
    ),
    Row(
        "assert_cardinality",
        "more raise at the first too many",
        lambda way: way.outcomes(Dataset.range(3).assert_cardinality(2))[:3],
        [0, 1, hr.FailedPreconditionError],
    ),
    Row(
        "assert_cardinality",
        "-1 is for ever",
        lambda way: Dataset.counter().filter(bool).assert_cardinality(INFINITE_CARDINALITY).cardinality(),
        INFINITE_CARDINALITY,
    ),
]
REDUCE = [
    Row(
        "reduce",
        "is the last state",
        lambda way: int(Dataset.range(5).reduce(np.int64(0), lambda s, x: s + x, service=way.service)),
        10,
    ),
    Row(
        "reduce",
        "of nothing is the first",
        lambda way: int(Dataset.range(0).reduce(np.int64(7), lambda s, x: s + x, service=way.service)),
        7,
    ),
    Row(
        "reduce",
        "spreads nothing",
        lambda way: int(
            Dataset.range(3).enumerate().reduce(np.int64(0), lambda s, pair: s + pair[1], service=way.service)
        ),
        3,
    ),
    Row(
        "reduce",
        "a state of another dtype is an error",
        lambda way: Dataset.range(3).reduce(np.int64(0), lambda s, x: 1.5, service=way.service),
        Raises(TypeError),
    ),
    Row(
        "reduce",
        "what an element fails with is raised",
        lambda way: Dataset.range(3).map(fails_at(1)).reduce(np.int64(0), lambda s, x: s, service=way.service),
        Raises(hr.FunctionError),
    ),
]
GET_SINGLE_ELEMENT = [
    Row("get_single_element", "is it", lambda way: int(Dataset.range(1).get_single_element(service=way.service)), 0),
    Row(
        "get_single_element",
        "none is an error",
        lambda way: Dataset.range(0).get_single_element(service=way.service),
        Raises(InvalidArgumentError),
    ),
    Row(
        "get_single_element",
        "two are one",
        lambda way: Dataset.range(2).get_single_element(service=way.service),
        Raises(InvalidArgumentError),
    ),
]
CARDINALITY = [
    Row(
        "cardinality",
        "of a filter is unknown",
        lambda way: Dataset.range(3).filter(bool).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
    Row("cardinality", "of what never ends", lambda way: Dataset.range(3).repeat().cardinality(), INFINITE_CARDINALITY),
    Row("cardinality", "of full batches", lambda way: Dataset.range(7).batch(2, True).cardinality(), 3),
    Row(
        "cardinality",
        "of files is unknown",
        lambda way: hr.TextLineDataset(way.write(b"a\n")).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
    Row("cardinality", "is how many come", lambda way: len(way(Dataset.range(9).shard(4, 1).repeat(2))), 4),
]
LEN = [
    Row("__len__", "is the cardinality", lambda way: len(Dataset.range(7).batch(2)), 4),
    Row(
        "__len__", "of the infinite", lambda way: len(Dataset.counter()), Raises(TypeError, "The dataset is infinite.")
    ),
    Row(
        "__len__",
        "of what is not known",
        lambda way: len(Dataset.range(3).filter(bool)),
        Raises(TypeError, "The dataset length is unknown."),
    ),
]
BOOL = [
    Row("__bool__", "an empty dataset is true", lambda way: bool(Dataset.range(0)), True),
    Row("__bool__", "and one of unknown length", lambda way: bool(Dataset.range(3).filter(bool)), True),
    Row("__bool__", "and an infinite one", lambda way: bool(Dataset.counter()), True),
]
ITER = [
    Row("__iter__", "begins anew each time", lambda way: passes(way, Dataset.range(2)), [[0, 1], [0, 1]]),
    Row(
        "__iter__",
        "each is the next pass",
        lambda way: (lambda dataset: passes(way, dataset) == [list(dataset.iterate(n)) for n in (0, 1)])(
            Dataset.range(30).shuffle(30, seed=2)
        ),
        True,
    ),
    Row("__iter__", "an iterator is its own", lambda way: (lambda it: iter(it) is it)(iter(Dataset.range(3))), True),
]
AS_NUMPY_ITERATOR = [
    Row(
        "as_numpy_iterator",
        "gives NumPy",
        lambda way: [type(x) for x in Dataset.range(1).as_numpy_iterator()],
        [np.int64],
    ),
    Row("as_numpy_iterator", "text is bytes", lambda way: list(Dataset.from_tensors("a").as_numpy_iterator()), [b"a"]),
    Row(
        "as_numpy_iterator",
        "gives what iter() gives",
        lambda way: [x.tolist() for x in Dataset.range(3).batch(2).as_numpy_iterator()],
        [[0, 1], [2]],
    ),
]
ITERATE = [
    Row(
        "iterate",
        "an epoch, whatever was iterated before",
        lambda way: (lambda d: way(d, epoch=2) == way(d, epoch=2))(Dataset.range(9).shuffle(9)),
        True,
    ),
    Row(
        "iterate",
        "epochs differ",
        lambda way: (lambda d: way(d, epoch=1) == way(d, epoch=2))(Dataset.range(30).shuffle(30)),
        False,
    ),
    Row("iterate", "refuses one below 0", lambda way: way(Dataset.range(3), epoch=-1), Raises(InvalidArgumentError)),
]
FINGERPRINT = [
    Row(
        "fingerprint",
        "the same pipeline has the same",
        lambda way: Dataset.range(3).batch(2).fingerprint() == Dataset.range(3).batch(2).fingerprint(),
        True,
    ),
    Row(
        "fingerprint",
        "another argument another",
        lambda way: Dataset.range(3).batch(2).fingerprint() == Dataset.range(3).batch(1).fingerprint(),
        False,
    ),
    Row("fingerprint", "is 64 bits", lambda way: Dataset.range(3).fingerprint().dtype.name, "uint64"),
]
EXPLAIN = [
    Row(
        "explain",
        "shows the pipeline as written",
        lambda way: "range(0, 9, step=1) > batch(2)" in str(Dataset.range(9).batch(2).explain()),
        True,
    ),
    Row(
        "explain",
        "functions run on workers",
        lambda way: "workers, segment 1" in str(Dataset.range(9).map(abs).batch(2).explain()),
        True,
    ),
    Row(
        "explain",
        "batches are made by the broker",
        lambda way: "broker: batch(2)" in str(Dataset.range(9).map(abs).batch(2).explain()),
        True,
    ),
]
SAVE = [
    Row(
        "save",
        "what is saved is loaded",
        lambda way: way(Dataset.load(saved(way, Dataset.range(4).enumerate()))),
        [(0, 0), (1, 1), (2, 2), (3, 3)],
    ),
    Row(
        "save",
        "shard_func says in which file",
        lambda way: way(Dataset.load(saved(way, Dataset.range(5), shard_func=lambda x: x % 2))),
        [0, 2, 4, 1, 3],
    ),
    Row(
        "save",
        "compressed, too",
        lambda way: way(Dataset.load(saved(way, Dataset.range(3), compression="GZIP"))),
        [0, 1, 2],
    ),
    Row(
        "save",
        "what fails is raised",
        lambda way: saved(way, Dataset.range(3).map(fails_at(1))),
        Raises(hr.FunctionError),
    ),
    Row(
        "save",
        "checkpoint_args is not offered",
        lambda way: saved(way, Dataset.range(3), checkpoint_args={}),
        Raises(InvalidArgumentError),
    ),
]
LOAD = [
    Row("load", "knows how many", lambda way: len(Dataset.load(saved(way, Dataset.range(4)))), 4),
    Row(
        "load",
        "knows the spec",
        lambda way: Dataset.load(saved(way, Dataset.range(4))).element_spec,
        hr.TensorSpec((), "int64"),
    ),
    Row(
        "load",
        "of nothing is an error",
        lambda way: way(Dataset.load(str(way.folder / "none"))),
        Raises(hr.NotFoundError),
    ),
    Row(
        "load",
        "another spec is refused",
        lambda way: Dataset.load(saved(way, Dataset.range(4)), element_spec=hr.TensorSpec((), "int32")),
        Raises(InvalidArgumentError),
    ),
    Row(
        "load",
        "reader_func reads the files otherwise",
        lambda way: way(
            Dataset.load(saved(way, Dataset.range(3)), reader_func=lambda files: files.flat_map(lambda f: f.skip(1)))
        ),
        [1, 2],
    ),
]


def kept(way: Way, dataset: Dataset, **given: Any) -> Dataset:
    return dataset.snapshot(str(way.folder / "kept"), **given)


SNAPSHOT = [
    Row(
        "snapshot",
        "gives the same in each epoch",
        lambda way: way.epochs(kept(way, Dataset.range(4))),
        [[0, 1, 2, 3]] * 2,
    ),
    Row(
        "snapshot",
        "what is below is fixed at its first pass",
        lambda way: len(set(map(tuple, way.epochs(kept(way, Dataset.range(20).shuffle(20, seed=1)), 3)))),
        1,
    ),
    Row(
        "snapshot",
        "passes that are read come file after file",
        lambda way: way.epochs(kept(way, Dataset.range(4), shard_func=lambda x: x % 2)),
        [[0, 1, 2, 3], [0, 2, 1, 3]],
    ),
    Row(
        "snapshot",
        "another pipeline has a folder of its own",
        lambda way: [way(kept(way, Dataset.range(n))) for n in (2, 3)],
        [[0, 1], [0, 1, 2]],
    ),
    Row(
        "snapshot",
        "refuses an unknown compression",
        lambda way: kept(way, Dataset.range(2), compression="LZMA"),
        Raises(ValueError),
    ),
]
RESOLVED = [
    Row("resolved", "is the graph", lambda way: type(Dataset.range(3).batch(2).resolved).__name__, "Batch"),
    Row("resolved", "stays what it is", lambda way: (lambda d: d.resolved is d.resolved)(Dataset.range(3)), True),
    Row(
        "resolved",
        "patterns that match nothing raise",
        lambda way: Dataset.list_files(str(way.folder / "*.none")).resolved,
        Raises(InvalidArgumentError),
    ),
]
SEED = [
    Row("seed", "is that of the options", lambda way: Dataset.range(3).with_options(hr.Options(seed=5)).seed, 5),
    Row("seed", "is drawn once", lambda way: (lambda d: d.seed == d.seed)(Dataset.range(3)), True),
    Row("seed", "two datasets have their own", lambda way: Dataset.range(3).seed == Dataset.range(3).seed, False),
]
CONSTANTS = [
    Row("AUTOTUNE", "is -1", lambda way: AUTOTUNE, -1),
    Row("AUTOTUNE", "lets map choose", lambda way: way(Dataset.range(2).map(abs, num_parallel_calls=AUTOTUNE)), [0, 1]),
    Row(
        "AUTOTUNE",
        "lets interleave choose",
        lambda way: way(Dataset.range(3).interleave(Dataset.range, cycle_length=AUTOTUNE)),
        [0, 0, 1],
    ),
    Row("INFINITE_CARDINALITY", "is -1", lambda way: INFINITE_CARDINALITY, -1),
    Row(
        "INFINITE_CARDINALITY",
        "of a repeat",
        lambda way: Dataset.range(1).repeat().cardinality() == INFINITE_CARDINALITY,
        True,
    ),
    Row(
        "INFINITE_CARDINALITY",
        "not of a repeat of nothing",
        lambda way: Dataset.range(0).repeat().cardinality() == INFINITE_CARDINALITY,
        False,
    ),
    Row("UNKNOWN_CARDINALITY", "is -2", lambda way: UNKNOWN_CARDINALITY, -2),
    Row(
        "UNKNOWN_CARDINALITY",
        "of a generator",
        lambda way: Dataset.from_generator(lambda: iter([1])).cardinality() == UNKNOWN_CARDINALITY,
        True,
    ),
    Row(
        "UNKNOWN_CARDINALITY",
        "and of what is made of it",
        lambda way: Dataset.from_generator(lambda: iter([1])).batch(2).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
]

ROWS = [
    *ASSERT_CARDINALITY,
    *REDUCE,
    *GET_SINGLE_ELEMENT,
    *CARDINALITY,
    *LEN,
    *BOOL,
    *ITER,
    *AS_NUMPY_ITERATOR,
    *ITERATE,
    *FINGERPRINT,
    *EXPLAIN,
    *SAVE,
    *LOAD,
    *SNAPSHOT,
    *RESOLVED,
    *SEED,
    *CONSTANTS,
]
