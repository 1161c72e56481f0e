"""Which elements come, how often, and in what order."""

from __future__ import annotations

from typing import Any

import numpy as np

import headrace as hr
from headrace import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, InvalidArgumentError, TensorSpec

from .elements import fails_at
from .row import Raises, Row, Way

__all__ = ["ROWS"]


def shuffled(**given: Any) -> Dataset:
    return Dataset.range(20).shuffle(20, **given)


def distinct(found: list[list[Any]]) -> int:
    return len(set(map(tuple, found)))


def resampled(target: list[float], initial: list[float] | None = None, seed: int | None = 1) -> Dataset:
    """Of 0 and 1, of which 1 comes once in four."""
    return Dataset.range(400).map(lambda x: int(x % 4 == 0)).rejection_resample(lambda c: c, target, initial, seed)


def share(way: Way, dataset: Dataset) -> float:
    """How many are of class 1."""
    found = way(dataset)
    return float(sum(each for each, _ in found) / len(found))


SHUFFLE = [
    Row("shuffle", "gives every element once", lambda way: sorted(way(shuffled(seed=1))), list(range(20))),
    Row("shuffle", "reshuffles each epoch, also with a seed", lambda way: distinct(way.epochs(shuffled(seed=1), 3)), 3),
    Row("shuffle", "a new dataset replays", lambda way: way(shuffled(seed=1)) == way(shuffled(seed=1)), True),
    Row("shuffle", "seeds differ", lambda way: way(shuffled(seed=1)) == way(shuffled(seed=2)), False),
    Row("shuffle", "without a seed two differ", lambda way: way(shuffled()) == way(shuffled()), False),
    Row(
        "shuffle",
        "reshuffle_each_iteration=False repeats",
        lambda way: distinct(way.epochs(shuffled(seed=1, reshuffle_each_iteration=False), 3)),
        1,
    ),
    Row("shuffle", "a window of 1 changes nothing", lambda way: way(Dataset.range(9).shuffle(1)), list(range(9))),
    Row("shuffle", "a window of 0 is refused", lambda way: Dataset.range(9).shuffle(0), Raises(InvalidArgumentError)),
    Row(
        "shuffle",
        "none comes before the window reaches it",
        lambda way: all(x < at + 4 for at, x in enumerate(way(Dataset.range(50).shuffle(4, seed=3)))),
        True,
    ),
    Row(
        "shuffle",
        "then repeat keeps passes apart",
        lambda way: [sorted(half) for half in np.split(np.array(way(Dataset.range(4).shuffle(4).repeat(2))), 2)],
        [[0, 1, 2, 3]] * 2,
    ),
]
GLOBAL_SHUFFLE = [
    Row(
        "global_shuffle",
        "gives every element once",
        lambda way: sorted(way(Dataset.range(300).global_shuffle(1))),
        list(range(300)),
    ),
    Row(
        "global_shuffle",
        "is new in each epoch",
        lambda way: distinct(way.epochs(Dataset.range(9).global_shuffle(1), 3)),
        3,
    ),
    Row(
        "global_shuffle",
        "or not",
        lambda way: distinct(way.epochs(Dataset.range(9).global_shuffle(1, reshuffle_each_iteration=False), 3)),
        1,
    ),
    Row(
        "global_shuffle",
        "needs elements that are found by number",
        lambda way: Dataset.range(9).filter(bool).global_shuffle(),
        Raises(InvalidArgumentError, "shuffle(buffer_size)"),
    ),
]
REPEAT = [
    Row("repeat", "so many times", lambda way: way(Dataset.range(2).repeat(3)), [0, 1] * 3),
    Row("repeat", "0 is none", lambda way: way(Dataset.range(2).repeat(0)), []),
    Row("repeat", "for ever without a count", lambda way: way(Dataset.range(2).repeat(), 5), [0, 1, 0, 1, 0]),
    Row("repeat", "-1 is for ever", lambda way: Dataset.range(2).repeat(-1).cardinality(), INFINITE_CARDINALITY),
    Row("repeat", "for ever of nothing ends", lambda way: way(Dataset.range(0).repeat()), []),
    Row("repeat", "for ever of nothing has none", lambda way: Dataset.range(0).repeat().cardinality(), 0),
    Row(
        "repeat",
        "each pass is computed anew",
        lambda way: distinct(np.reshape(way(Dataset.range(6).shuffle(6, seed=3).repeat(4)), (4, 6)).tolist()) > 1,
        True,
    ),
]
TAKE = [
    Row("take", "at most so many", lambda way: way(Dataset.range(9).take(2)), [0, 1]),
    Row("take", "-1 is all", lambda way: way(Dataset.range(3).take(-1)), [0, 1, 2]),
    Row("take", "more than there are", lambda way: way(Dataset.range(2).take(9)), [0, 1]),
    Row(
        "take",
        "does not count what fails",
        lambda way: way.outcomes(Dataset.range(9).map(fails_at(1)).take(3)),
        [0, hr.FunctionError, 2, 3],
    ),
    Row("take", "makes the infinite finite", lambda way: Dataset.range(3).repeat().take(7).cardinality(), 7),
    Row(
        "take",
        "never reaches what it does not take",
        lambda way: way(Dataset.range(9).map(fails_at(3)).take(3)),
        [0, 1, 2],
    ),
]
SKIP = [
    Row("skip", "leaves out the first", lambda way: way(Dataset.range(5).skip(3)), [3, 4]),
    Row("skip", "-1 leaves out all", lambda way: way(Dataset.range(5).skip(-1)), []),
    Row("skip", "more than there are", lambda way: way(Dataset.range(2).skip(9)), []),
    Row(
        "skip", "of the infinite is infinite", lambda way: Dataset.counter().skip(5).cardinality(), INFINITE_CARDINALITY
    ),
    Row("skip", "may stand behind batch", lambda way: way(Dataset.range(5).batch(2).skip(1)), [[2, 3], [4]]),
]
TAKE_WHILE = [
    Row(
        "take_while", "ends at the first", lambda way: way(Dataset.range(9).take_while(lambda x: x % 4 != 3)), [0, 1, 2]
    ),
    Row("take_while", "ends the infinite", lambda way: way(Dataset.counter().take_while(lambda x: x < 3)), [0, 1, 2]),
    Row(
        "take_while",
        "must give one boolean",
        lambda way: way(Dataset.range(3).take_while(lambda x: [True])),
        Raises(InvalidArgumentError),
    ),
    Row(
        "take_while",
        "its length is unknown",
        lambda way: Dataset.range(3).take_while(bool).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
]
SHARD = [
    Row("shard", "every so many", lambda way: way(Dataset.range(10).shard(3, 1)), [1, 4, 7]),
    Row(
        "shard",
        "its cardinality",
        lambda way: [Dataset.range(10).shard(3, i).cardinality() for i in range(3)],
        [4, 3, 3],
    ),
    Row("shard", "refuses an index beyond", lambda way: Dataset.range(9).shard(3, 3), Raises(InvalidArgumentError)),
    Row(
        "shard",
        "counts what comes to it",
        lambda way: way(Dataset.range(9).filter(lambda x: x > 3).shard(2, 0)),
        [4, 6, 8],
    ),
]
ENUMERATE = [
    Row("enumerate", "counts from 0", lambda way: way(Dataset.from_tensor_slices(["a"]).enumerate()), [(0, b"a")]),
    Row("enumerate", "or from elsewhere, int64", lambda way: way.dtypes(Dataset.range(2).enumerate(-3)), ["int64"] * 2),
    Row(
        "enumerate",
        "an element that fails takes its number along",
        lambda way: way.outcomes(Dataset.range(3).map(fails_at(1)).enumerate(5)),
        [(5, 0), hr.FunctionError, (7, 2)],
    ),
    Row(
        "enumerate",
        "in its spec the number comes first",
        lambda way: Dataset.from_tensors(np.float32(1)).enumerate().element_spec,
        (TensorSpec((), "int64"), TensorSpec((), "float32")),
    ),
]
CONCATENATE = [
    Row(
        "concatenate",
        "one behind the other",
        lambda way: way(Dataset.range(2).concatenate(Dataset.range(5, 7))),
        [0, 1, 5, 6],
    ),
    Row(
        "concatenate",
        "cardinalities add up",
        lambda way: [
            Dataset.range(2).concatenate(each).cardinality() for each in (Dataset.range(3), Dataset.counter())
        ],
        [5, INFINITE_CARDINALITY],
    ),
    Row(
        "concatenate",
        "refuses another dtype",
        lambda way: Dataset.range(2).concatenate(Dataset.from_tensors("a")),
        Raises(InvalidArgumentError),
    ),
    Row(
        "concatenate",
        "refuses another structure",
        lambda way: Dataset.range(2).concatenate(Dataset.range(2).enumerate()),
        Raises(InvalidArgumentError),
    ),
    Row(
        "concatenate",
        "unequal shapes make an open spec",
        lambda way: Dataset.from_tensors([1]).concatenate(Dataset.from_tensors([1, 2])).element_spec,
        TensorSpec((None,), "int32"),
    ),
]
UNIQUE = [
    Row(
        "unique", "the first of each", lambda way: way(Dataset.from_tensor_slices([3, 1, 3, 2, 1]).unique()), [3, 1, 2]
    ),
    Row("unique", "of text", lambda way: way(Dataset.from_tensor_slices(["b", "a", "b"]).unique()), [b"b", b"a"]),
    Row(
        "unique", "begins anew in each epoch", lambda way: way.epochs(Dataset.range(2).repeat(2).unique()), [[0, 1]] * 2
    ),
    Row(
        "unique",
        "refuses what is no scalar",
        lambda way: Dataset.from_tensors([1]).unique(),
        Raises(InvalidArgumentError),
    ),
    Row("unique", "its length is unknown", lambda way: Dataset.range(2).unique().cardinality(), UNKNOWN_CARDINALITY),
]
RESAMPLE = [
    Row(
        "rejection_resample",
        "classes come as they should",
        lambda way: abs(share(way, resampled([0.5, 0.5], [0.75, 0.25])) - 0.5) < 0.08,
        True,
    ),
    Row(
        "rejection_resample",
        "gives pairs of class and element",
        lambda way: all(a == b for a, b in way(resampled([0.5, 0.5]))),
        True,
    ),
    Row(
        "rejection_resample",
        "of the target's own distribution keeps all",
        lambda way: len(way(resampled([0.75, 0.25], [0.75, 0.25]))),
        400,
    ),
    Row(
        "rejection_resample",
        "refuses what is no distribution",
        lambda way: resampled([0.5, -0.5]),
        Raises(InvalidArgumentError),
    ),
]
PREFETCH = [
    Row("prefetch", "changes nothing", lambda way: way(Dataset.range(4).prefetch(2)), [0, 1, 2, 3]),
    Row(
        "prefetch",
        "AUTOTUNE and 0 are allowed",
        lambda way: way(Dataset.range(2).prefetch(AUTOTUNE).prefetch(0)),
        [0, 1],
    ),
    Row("prefetch", "keeps the cardinality", lambda way: Dataset.range(4).prefetch(9).cardinality(), 4),
    Row("prefetch", "refuses less than -1", lambda way: Dataset.range(4).prefetch(-2), Raises(InvalidArgumentError)),
]
CACHE = [
    Row("cache", "gives the same", lambda way: way.epochs(Dataset.range(3).cache()), [[0, 1, 2]] * 2),
    Row(
        "cache",
        "what is below is fixed at its first pass",
        lambda way: distinct(way.epochs(shuffled(seed=1).cache(), 3)),
        1,
    ),
    Row(
        "cache",
        "what is behind is not",
        lambda way: distinct(way.epochs(Dataset.range(20).cache().shuffle(20, seed=1), 3)),
        3,
    ),
    Row("cache", "keeps the cardinality", lambda way: Dataset.range(4).cache().cardinality(), 4),
    Row(
        "cache",
        "in a file, too",
        lambda way: way.epochs(shuffled(seed=1).cache(str(way.folder / "kept")), 2),
        [list(shuffled(seed=1))] * 2,
    ),
    Row(
        "cache",
        "carries on behind what failed",
        lambda way: way.outcomes(Dataset.range(3).map(fails_at(1)).cache()),
        [0, hr.FunctionError, 2],
    ),
]

ROWS = [
    *SHUFFLE,
    *GLOBAL_SHUFFLE,
    *REPEAT,
    *TAKE,
    *SKIP,
    *TAKE_WHILE,
    *SHARD,
    *ENUMERATE,
    *CONCATENATE,
    *UNIQUE,
    *RESAMPLE,
    *PREFETCH,
    *CACHE,
]
