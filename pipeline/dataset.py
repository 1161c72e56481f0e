"""Dataset: what users build pipelines with."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import sources
from .cardinality import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, cardinality
from .errors import InvalidArgumentError
from .functions import UserFunction
from .local import LocalIterator
from .nodes import Batch, Configured, Filter, Map, Node, PaddedBatch, Prefetch, Repeat, Shuffle, Skip, Take
from .padding import padding_arguments
from .probe import element_spec
from .resolve import resolve
from .seeds import fresh_seed
from .structure import Element

__all__ = ["AUTOTUNE", "Dataset", "Options", "TFRecordDataset", "TextLineDataset"]

#: The largest count or seed.
MOST = (1 << 63) - 1
#: Leave a number to headrace.
AUTOTUNE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of a pipeline; what is None keeps what was set before."""

    #: What everything random is drawn from that has no seed of its own. Without it each Dataset draws one.
    seed: int | None = None
    #: Bytes that the window of each shuffle may take; one that would need more, by its first elements, is an error.
    buffer_bytes: int | None = None


class Dataset:
    """A pipeline of elements; every method gives another, none changes it.

    Each `iter()` is the next pass over the data: pass 0, 1, 2, ... A service's epoch n gives the same
    elements, byte for byte, as pass n.

    >>> list(Dataset.range(10).filter(lambda x: x % 2 == 0).batch(3))
    [array([0, 2, 4]), array([6, 8])]
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._resolved: Node | None = None
        self._seed: int | None = None
        self._passes = 0

    # Where data comes from.

    @staticmethod
    def from_tensors(tensors: Element, name: str | None = None) -> Dataset:
        """One element: `tensors` itself.

        >>> list(Dataset.from_tensors({"a": [1, 2]}))
        [{'a': array([1, 2], dtype=int32)}]
        """
        return Dataset(sources.from_tensors(tensors))

    @staticmethod
    def from_tensor_slices(tensors: Element, name: str | None = None) -> Dataset:
        """One element for each row of the arrays.

        Raises:
            InvalidArgumentError: a scalar, or arrays of unequal length.

        >>> list(Dataset.from_tensor_slices(([1, 2], ["a", "b"])))
        [(np.int32(1), b'a'), (np.int32(2), b'b')]
        """
        return Dataset(sources.from_tensor_slices(tensors))

    @staticmethod
    def range(*args: SupportsIndex, output_type: npt.DTypeLike = np.int64, name: str | None = None) -> Dataset:
        """Integers: `range(stop)`, `range(start, stop)` or `range(start, stop, step)`."""
        return Dataset(sources.integers(*args, output_type=output_type))

    @staticmethod
    def list_files(
        file_pattern: str | Sequence[str], shuffle: bool | None = None, seed: int | None = None, name: str | None = None
    ) -> Dataset:
        """Names of the files that match one or several glob patterns, shuffled unless `shuffle=False`.

        The file system is looked at when iteration begins. `*` matches names that begin with a dot, too.

        Raises (when iterated):
            InvalidArgumentError: nothing matches.
        """
        return Dataset(sources.list_files(file_pattern, shuffle is None or shuffle, Dataset._seed_given(seed)))

    # What happens to it.

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        synchronous: bool | None = None,
        use_unbounded_threadpool: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """`map_func` of each element: any Python callable.

        Plain tuples spread over its arguments; other elements are its one argument. A parameter named
        `rng` gets a `numpy.random.Generator` that depends on the seed, the epoch, the operator and the
        element alone. How many calls run at once is the service's business: the arguments about it are
        accepted for tf.data's sake and change nothing.

        >>> list(Dataset.range(3).map(lambda x: (x, x * x)))
        [(np.int64(0), np.int64(0)), (np.int64(1), np.int64(1)), (np.int64(2), np.int64(4))]
        """
        return Dataset(Map(self.node, UserFunction.of(map_func, "map")))

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements for which `predicate` gives a true boolean."""
        return Dataset(Filter(self.node, UserFunction.of(predicate, "filter")))

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = True,
        name: str | None = None,
    ) -> Dataset:
        """Elements drawn at random from a window of `buffer_size`.

        The order is new in every epoch and pass, also with a seed; `reshuffle_each_iteration=False` keeps one.
        """
        size = self._count("buffer_size", buffer_size, least=1)
        return Dataset(Shuffle(self.node, size, self._seed_given(seed), reshuffle_each_iteration is not False))

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """`batch_size` consecutive elements stacked along a new first dimension.

        Raises (when iterated):
            InvalidArgumentError: elements of unequal shapes; `padded_batch` takes those.
        """
        return Dataset(Batch(self.node, self._count("batch_size", batch_size, least=1), bool(drop_remainder)))

    def padded_batch(
        self,
        batch_size: int,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Like `batch` for elements of unequal shapes: pads each to the longest of its batch, or to `padded_shapes`.

        Args:
            padded_shapes: nested like the elements; None or -1 in a shape means the longest of the batch.
            padding_values: nested like the elements, or one value for all; 0 or "" where not given.

        >>> list(Dataset.from_tensor_slices([1, 3]).map(lambda n: np.full(n, n)).padded_batch(2))
        [array([[1, 0, 0],
               [3, 3, 3]], dtype=int32)]
        """
        size = self._count("batch_size", batch_size, least=1)
        return Dataset(
            PaddedBatch(self.node, size, bool(drop_remainder), *padding_arguments(padded_shapes, padding_values))
        )

    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """The data `count` times over; None or -1 is for ever."""
        return Dataset(Repeat(self.node, -1 if count is None else self._count("count", count)))

    def take(self, count: int, name: str | None = None) -> Dataset:
        """At most the first `count` elements; -1 is all."""
        return Dataset(Take(self.node, self._count("count", count)))

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """All but the first `count` elements; -1 is none."""
        return Dataset(Skip(self.node, self._count("count", count)))

    def prefetch(self, buffer_size: int | None, name: str | None = None) -> Dataset:
        """The same elements; at the end of a pipeline, `buffer_size` of them wait ready at the trainer."""
        size = AUTOTUNE if buffer_size is None else self._count("buffer_size", buffer_size, least=AUTOTUNE)
        return Dataset(Prefetch(self.node, size))

    def with_options(self, options: Options, name: str | None = None) -> Dataset:
        """The same pipeline under these options."""
        given = options.buffer_bytes
        limit = None if given is None else self._count("buffer_bytes", given, least=1)
        return Dataset(Configured(self.node, self._seed_given(options.seed), limit))

    # What it is.

    @property
    def element_spec(self) -> Any:
        """`TensorSpec`s, nested like the elements.

        Plain Python does not say what it returns: below a `map`, the first elements are computed to see,
        and a length that differs among them is None.
        """
        return element_spec(self.resolved, self.seed)

    def cardinality(self) -> int:
        """The number of elements, INFINITE_CARDINALITY, or UNKNOWN_CARDINALITY where only reading tells."""
        return cardinality(self.resolved)

    def __len__(self) -> int:
        known = self.cardinality()
        if known == INFINITE_CARDINALITY:
            raise TypeError("The dataset is infinite.")
        if known == UNKNOWN_CARDINALITY:
            raise TypeError("The dataset length is unknown.")
        return known

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {sources.describe(self.node)}>"

    # Running it, in this process.

    @property
    def resolved(self) -> Node:
        """The graph with file patterns replaced by the names found, once for this Dataset."""
        if self._resolved is None:
            self._resolved = resolve(self.node)
        return self._resolved

    @property
    def seed(self) -> int:
        """What everything random without a seed of its own is drawn from: `Options.seed`, else drawn once."""
        if self._seed is None:
            chosen = sources.seed_of(self.node)
            self._seed = fresh_seed() if chosen is None else chosen
        return self._seed

    def __iter__(self) -> LocalIterator:
        number, self._passes = self._passes, self._passes + 1
        return self.iterate(number)

    def iterate(self, epoch: int) -> LocalIterator:
        """The elements of one epoch, whatever was iterated before.

        >>> dataset = Dataset.range(8).shuffle(8, seed=1)
        >>> list(dataset) == list(dataset.iterate(epoch=0)) != list(dataset.iterate(epoch=1))
        True
        """
        return LocalIterator(self.resolved, self.seed, self._count("epoch", epoch, least=0))

    def make_one_shot_iterator(self) -> LocalIterator:
        """An iterator over the next pass, with `get_next()`."""
        return iter(self)

    def as_numpy_iterator(self) -> Iterator[Element]:
        """The same as `iter()`: elements are NumPy already."""
        return iter(self)

    @staticmethod
    def _count(name: str, value: Any, least: int | None = None) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise InvalidArgumentError(f"{name} is {value!r}: it must be a whole number") from None
        least = -MOST if least is None else least
        if not least <= number <= MOST:
            raise InvalidArgumentError(f"{name} is {number}: it must be at least {least} and at most {MOST}")
        return number

    @classmethod
    def _seed_given(cls, seed: int | None) -> int | None:
        return None if seed is None else cls._count("seed", seed)


class TFRecordDataset(Dataset):
    """The records of TFRecord files as `bytes`, file after file.

    Args:
        filenames: a name, a list of names, or a Dataset of names.
        compression_type: "", "GZIP" or "ZLIB".

    Raises (when iterated):
        NotFoundError: a file is missing; the files after it can still be read.
        DataLossError: a damaged record, with file and offset.

    >>> list(TFRecordDataset("tests/data/tfrecord/small.tfrecord").take(2))
    [b'record 0', b'']
    """

    def __init__(
        self,
        filenames: str | Sequence[str] | Dataset,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(sources.records(_names(filenames), compression_type, num_parallel_reads))


class TextLineDataset(Dataset):
    """The lines of text files as `bytes`, without their line ends, file after file. Arguments as TFRecordDataset."""

    def __init__(
        self,
        filenames: str | Sequence[str] | Dataset,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(sources.lines(_names(filenames), compression_type, num_parallel_reads))


def _names(filenames: Any) -> Node:
    if isinstance(filenames, Dataset):
        return filenames.node
    return sources.file_names(filenames)
