"""What happens to each element, and what is made of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import headrace as hr
from headrace import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, InvalidArgumentError, TensorSpec

from .row import Raises, Row, Way

__all__ = ["ROWS"]


class Pair(NamedTuple):
    x: Any
    y: Any


def fails_at(*which: int) -> Any:
    """The element itself, but for those that fail."""

    def fail(x: Any) -> Any:
        if x in which:
            raise ValueError(int(x))
        return x

    return fail


def noisy(x: Any, rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 30))


def noise(way: Way, seed: int, epoch: int = 0) -> list[int]:
    return way(Dataset.range(5).map(noisy).with_options(hr.Options(seed=seed)), epoch=epoch)


def repeated(n: Any) -> Dataset:
    return Dataset.from_tensors(n).repeat(n)


def interleaved(way: Way, *args: Any) -> list[int]:
    return way(Dataset.range(1, 5).interleave(repeated, *args))


def summed(state: Any, x: Any) -> Any:
    return state + x, state + x


MAP = [
    Row("map", "gives what the function gives", lambda way: way(Dataset.range(3).map(lambda x: x * x)), [0, 1, 4]),
    Row(
        "map",
        "spreads plain tuples over arguments",
        lambda way: way(Dataset.from_tensors((3, 4)).map(lambda x, y: x - y)),
        [-1],
    ),
    Row(
        "map",
        "does not spread dicts, named tuples and inner tuples",
        lambda way: way(
            Dataset.zip(Dataset.from_tensors(Pair(1, {"a": 5})), Dataset.from_tensors(2)).map(
                lambda pair, z: pair.x + pair.y["a"] + z
            )
        ),
        [8],
    ),
    Row("map", "a list becomes a tuple", lambda way: way(Dataset.range(2).map(lambda x: [x, -x])), [(0, 0), (1, -1)]),
    Row(
        "map",
        "a list within is stacked",
        lambda way: way(Dataset.range(1).map(lambda x: {"a": [x, x + 1]})),
        [{"a": [0, 1]}],
    ),
    Row(
        "map",
        "Python numbers become int32 and float32",
        lambda way: way.dtypes(Dataset.range(1).map(lambda x: (1, 2.0, "s", True))),
        ["int32", "float32", "bytes", "bool"],
    ),
    Row(
        "map",
        "an error raises in its place, and the rest comes",
        lambda way: way.outcomes(Dataset.range(4).map(fails_at(1))),
        [0, hr.FunctionError, 2, 3],
    ),
    Row("map", "rng follows the seed", lambda way: noise(way, 1) == noise(way, 1) != noise(way, 2), True),
    Row("map", "rng is another in each epoch", lambda way: noise(way, 1) == noise(way, 1, epoch=1), False),
    Row("map", "keeps the cardinality", lambda way: Dataset.range(7).map(lambda x: x).cardinality(), 7),
    Row(
        "map",
        "num_parallel_calls and deterministic change nothing",
        lambda way: way(Dataset.range(30).map(lambda x: -x, num_parallel_calls=hr.AUTOTUNE, deterministic=False)),
        [-i for i in range(30)],
    ),
]
FILTER = [
    Row("filter", "keeps what is true", lambda way: way(Dataset.range(6).filter(lambda x: x % 3 == 0)), [0, 3]),
    Row("filter", "may keep nothing", lambda way: way(Dataset.range(6).filter(lambda x: False)), []),
    Row(
        "filter", "its length is unknown", lambda way: Dataset.range(6).filter(bool).cardinality(), UNKNOWN_CARDINALITY
    ),
    Row(
        "filter",
        "and infinite behind repeat()",
        lambda way: Dataset.range(6).filter(bool).repeat().cardinality(),
        INFINITE_CARDINALITY,
    ),
    Row(
        "filter",
        "must give one boolean",
        lambda way: way(Dataset.range(2).filter(lambda x: np.array([True, False]))),
        Raises(hr.HeadraceError),
    ),
    Row(
        "filter",
        "a predicate that fails raises in its place",
        lambda way: way.outcomes(Dataset.range(4).filter(lambda x: bool(fails_at(2)(x) >= 0))),
        [0, 1, hr.FunctionError, 3],
    ),
]
IGNORE_ERRORS = [
    Row(
        "ignore_errors",
        "leaves out what fails",
        lambda way: way(Dataset.range(4).map(fails_at(0, 2)).ignore_errors()),
        [1, 3],
    ),
    Row(
        "ignore_errors",
        "enumerate behind it has no gaps",
        lambda way: way(Dataset.range(3).map(fails_at(1)).ignore_errors().enumerate()),
        [(0, 0), (1, 2)],
    ),
    Row(
        "ignore_errors",
        "does not ignore what fails behind it",
        lambda way: way.outcomes(Dataset.range(3).ignore_errors().map(fails_at(1))),
        [0, hr.FunctionError, 2],
    ),
    Row(
        "ignore_errors",
        "a missing file is skipped once, and the next is read",
        lambda way: way(hr.TextLineDataset([str(way.folder / "none"), way.write(b"a\nb\n")]).ignore_errors()),
        [b"a", b"b"],
    ),
]
FLAT_MAP = [
    Row(
        "flat_map",
        "one dataset behind the other",
        lambda way: way(Dataset.range(4).flat_map(Dataset.range)),
        [0, 0, 1, 0, 1, 2],
    ),
    Row(
        "flat_map",
        "what fails inside raises in its place",
        lambda way: way.outcomes(Dataset.range(2).flat_map(lambda i: Dataset.range(2).map(fails_at(1)))),
        [0, hr.FunctionError, 0, hr.FunctionError],
    ),
    Row(
        "flat_map",
        "must give a dataset",
        lambda way: way(Dataset.range(2).flat_map(lambda x: x)),
        Raises(hr.HeadraceError),
    ),
    Row(
        "flat_map",
        "its length is unknown",
        lambda way: Dataset.range(2).flat_map(Dataset.range).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
    Row(
        "flat_map",
        "functions see what is around them",
        lambda way: way(Dataset.range(3).flat_map(lambda i: Dataset.range(2).map(lambda x: x + 10 * i))),
        [0, 1, 10, 11, 20, 21],
    ),
]
INTERLEAVE = [
    Row("interleave", "takes turns and refills", lambda way: interleaved(way, 3), [1, 2, 3, 2, 3, 4, 3, 4, 4, 4]),
    Row("interleave", "cycle 1 is flat_map", lambda way: interleaved(way, 1), [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]),
    Row(
        "interleave",
        "block_length elements at a time, and an ended one gives up its turn",
        lambda way: interleaved(way, 2, 2),
        [1, 2, 2, 3, 3, 3, 4, 4, 4, 4],
    ),
    Row("interleave", "takes 16 by default", lambda way: interleaved(way), [1, 2, 3, 4, 2, 3, 4, 3, 4, 4]),
    Row(
        "interleave",
        "deterministic=False changes nothing",
        lambda way: way(
            Dataset.range(1, 5).interleave(repeated, 3, num_parallel_calls=hr.AUTOTUNE, deterministic=False)
        ),
        [1, 2, 3, 2, 3, 4, 3, 4, 4, 4],
    ),
    Row("interleave", "refuses a cycle of 0", lambda way: interleaved(way, 0), Raises(InvalidArgumentError)),
    Row(
        "interleave",
        "its length is unknown",
        lambda way: Dataset.range(3).interleave(repeated).cardinality(),
        UNKNOWN_CARDINALITY,
    ),
]
SCAN = [
    Row("scan", "hands the state on", lambda way: way(Dataset.range(1, 5).scan(np.int64(0), summed)), [1, 3, 6, 10]),
    Row(
        "scan",
        "the state begins anew in each epoch",
        lambda way: way.epochs(Dataset.range(1, 3).scan(np.int64(0), summed)),
        [[1, 3], [1, 3]],
    ),
    Row(
        "scan",
        "and in each pass of a repeat",
        lambda way: way(Dataset.range(1, 3).scan(np.int64(0), summed).repeat(2)),
        [1, 3, 1, 3],
    ),
    Row(
        "scan",
        "spreads nothing over arguments",
        lambda way: way(Dataset.from_tensors((1, 2)).scan((np.int32(3), np.int32(4)), lambda s, x: (s, s[0] + x[1]))),
        [5],
    ),
    Row(
        "scan",
        "carries on behind an element that failed",
        lambda way: way.outcomes(Dataset.range(1, 5).map(fails_at(2)).scan(np.int64(0), summed)),
        [1, hr.FunctionError, 4, 8],
    ),
    Row(
        "scan",
        "a state of another dtype is an error",
        lambda way: way(Dataset.range(2).scan(np.int64(0), lambda s, x: (np.float32(1), x))),
        Raises(TypeError),
    ),
    Row("scan", "keeps the cardinality", lambda way: Dataset.range(4).scan(np.int64(0), summed).cardinality(), 4),
]
UNBATCH = [
    Row(
        "unbatch",
        "gives rows",
        lambda way: way(Dataset.from_tensors(([1, 2], ["a", "b"])).unbatch()),
        [(1, b"a"), (2, b"b")],
    ),
    Row("unbatch", "undoes batch", lambda way: way(Dataset.range(5).batch(2).unbatch()), [0, 1, 2, 3, 4]),
    Row(
        "unbatch",
        "refuses components of unequal lengths",
        lambda way: way(Dataset.from_tensors(([1, 2], [1])).unbatch()),
        Raises(InvalidArgumentError),
    ),
    Row("unbatch", "refuses scalars", lambda way: way(Dataset.range(2).unbatch()), Raises(InvalidArgumentError)),
    Row(
        "unbatch",
        "its length is known where batches are full",
        lambda way: [Dataset.range(13).batch(5, drop_remainder=drop).unbatch().cardinality() for drop in (True, False)],
        [10, UNKNOWN_CARDINALITY],
    ),
]
APPLY = [
    Row("apply", "is what the function makes", lambda way: way(Dataset.range(4).apply(lambda d: d.skip(2))), [2, 3]),
    Row("apply", "calls it at once", lambda way: Dataset.range(3).apply(lambda d: d.batch(2)).cardinality(), 2),
    Row(
        "apply",
        "must make a dataset",
        lambda way: Dataset.range(3).apply(lambda d: 3),  # type: ignore[arg-type,return-value]
        Raises(InvalidArgumentError),
    ),
]
ELEMENT_SPEC = [
    Row(
        "element_spec",
        "nests as the elements",
        lambda way: Dataset.from_tensors({"a": np.zeros((2, 3), np.float32), "b": "x"}).element_spec,
        {"a": TensorSpec((2, 3), "float32"), "b": TensorSpec((), bytes)},
    ),
    Row(
        "element_spec",
        "the first dimension of a batch is open, unless remainders are dropped",
        lambda way: [Dataset.range(9).batch(2, drop).element_spec.shape for drop in (False, True)],
        [(None,), (2,)],
    ),
    Row(
        "element_spec",
        "is what functions gave",
        lambda way: Dataset.range(3).map(lambda x: (np.full(x, 1.0), "s")).element_spec,
        (TensorSpec((None,), "float64"), TensorSpec((), bytes)),
    ),
]

ROWS = [
    *MAP,
    *FILTER,
    *IGNORE_ERRORS,
    *FLAT_MAP,
    *INTERLEAVE,
    *SCAN,
    *UNBATCH,
    *APPLY,
    *ELEMENT_SPEC,
]
