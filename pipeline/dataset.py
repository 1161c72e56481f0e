"""Dataset: what users build pipelines with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import sources
from .arguments import count_of, on_error_given, seed_given
from .cardinality import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, cardinality
from .errors import InvalidArgumentError
from .functions import UserFunction
from .generating import generator as generator_node
from .indexable import Indexable, items
from .local import LocalIterator
from .nodes import (
    Batch,
    Configured,
    Enumerate,
    Filter,
    FlatMap,
    IgnoreErrors,
    Map,
    Node,
    PaddedBatch,
    Prefetch,
    Repeat,
    Shard,
    Shuffle,
    Skip,
    Take,
    Unbatch,
)
from .options import Options
from .padding import padding_arguments
from .probe import check_alike, element_spec
from .resolve import resolve
from .seeds import fresh_seed
from .sources import AUTOTUNE
from .structure import Element

__all__ = ["AUTOTUNE", "Dataset", "Options"]


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
    def from_indexable(indexable: Indexable, name: str | None = None) -> Dataset:
        """`indexable[i]` for each i below its length: lists, and datasets as PyTorch has them ("map-style").

        Items are taken apart as what `map` returns. In a service the object goes to the workers as functions do,
        pickled, and they index it. `shuffle(n)` behind it, with n at least its length, is a permutation of the
        indices: no element waits for it, and all orders are possible however long it is. An index is there whether
        or not its item fails: `take`, `skip` and `shard` directly behind count indices.

        Raises:
            InvalidArgumentError: an object without `__getitem__` or `__len__`.
            FunctionError (when iterated): indexing raised; the message names the index.

        >>> list(Dataset.from_indexable([(1, "a"), (2, "b"), (3, "c")]).shard(2, 0))
        [(np.int32(1), b'a'), (np.int32(3), b'c')]
        """
        return Dataset(items(indexable))

    @staticmethod
    def from_generator(
        generator: Callable[..., Any],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Sequence[Any] | None = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """What the iterable that `generator(*args)` returns gives; the function is called anew for each pass.

        `output_signature` is `TensorSpec`s nested like the elements, and `output_types` dtypes: plain Python numbers
        become what they say; anything else must be it. Without them elements are taken as what `map` returns. In a
        service one worker runs it; where that is lost, another runs it from its start and leaves out what came.

        Raises (when iterated):
            TypeError: an element that is not what was declared, which names the component.
            FunctionError: the generator raised; nothing is behind it.

        >>> def squares(n):
        ...     yield from (i * i for i in range(n))
        >>> list(Dataset.from_generator(squares, args=[4], output_types=np.float32))
        [np.float32(0.0), np.float32(1.0), np.float32(4.0), np.float32(9.0)]
        """
        return Dataset(generator_node(generator, output_types, output_shapes, args, output_signature))

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> Dataset:
        """One element of each dataset together, until the shortest ends.

        `zip(a, b)` gives tuples; `zip((a, {"b": b}))` and `datasets=` nest as their argument does. Where an element
        of one dataset fails, those beside it are lost with it: what comes behind still belongs together.

        Raises:
            InvalidArgumentError: no dataset, or something that is none.

        >>> numbers = Dataset.range(3)
        >>> list(Dataset.zip({"a": numbers, "b": (numbers.skip(1), Dataset.range(7, 9))}))[1]
        {'a': np.int64(1), 'b': (np.int64(2), np.int64(8))}
        """
        return Dataset(sources.joined(*args, datasets=datasets, kind=Dataset))

    @staticmethod
    def list_files(
        file_pattern: str | Sequence[str], shuffle: bool | None = None, seed: int | None = None, name: str | None = None
    ) -> Dataset:
        """Names of the files that match one or several glob patterns, shuffled unless `shuffle=False`.

        The file system is looked at when iteration begins. `*` matches names that begin with a dot, too.

        Raises (when iterated):
            InvalidArgumentError: nothing matches.
        """
        return Dataset(sources.list_files(file_pattern, shuffle is None or shuffle, seed_given(seed)))

    # What happens to it.

    def map(
        self,
        map_func: Callable[..., Any] | str,
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
        accepted for tf.data's sake and change nothing. A text "MODULE:FUNCTION" names a function that is
        installed where the workers are: its name travels, and no code.

        >>> list(Dataset.range(3).map(lambda x: (x, x * x)))
        [(np.int64(0), np.int64(0)), (np.int64(1), np.int64(1)), (np.int64(2), np.int64(4))]
        """
        return Dataset(Map(self.node, UserFunction.of(map_func, "map")))

    def filter(self, predicate: Callable[..., Any] | str, name: str | None = None) -> Dataset:
        """The elements for which `predicate` gives a true boolean."""
        return Dataset(Filter(self.node, UserFunction.of(predicate, "filter")))

    def ignore_errors(self, log_warning: bool = False, name: str | None = None) -> Dataset:
        """The elements that do not fail; with `log_warning`, each that does is told on standard error.

        What is left out is counted in `summary()`, but has no limit, and is told in no file: `Options(on_error=...)`
        has both. It is left out here, so that operators behind it never knew of it: numbers of `enumerate` have no
        gaps, and behind `zip` other elements come together.

        >>> list(Dataset.range(3).map(lambda x: 1 / (x - 1) if x != 1 else {}[x]).ignore_errors())
        [np.float64(-1.0), np.float64(1.0)]
        """
        return Dataset(IgnoreErrors(self.node, bool(log_warning)))

    def flat_map(self, map_func: Callable[..., Any] | str, name: str | None = None) -> Dataset:
        """The elements of the dataset that `map_func` makes of each element, one dataset behind the other.

        All that is inside these datasets (files, maps, shuffles, batches) runs where the function does.

        >>> [int(x) for x in Dataset.range(4).flat_map(lambda n: Dataset.range(n))]
        [0, 0, 1, 0, 1, 2]
        """
        return Dataset(FlatMap(self.node, UserFunction.of(map_func, "flat_map")))

    def interleave(
        self,
        map_func: Callable[..., Any] | str,
        cycle_length: int | None = None,
        block_length: int | None = None,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Like `flat_map`, but `cycle_length` datasets in turn, `block_length` elements of each at a time.

        A dataset that has ended gives its place to the next at its next turn. By default 16 and 1, on every machine.

        >>> [int(x) for x in Dataset.range(1, 5).interleave(lambda n: Dataset.from_tensors(n).repeat(n), 3)]
        [1, 2, 3, 2, 3, 4, 3, 4, 4, 4]
        """
        cycle = None if cycle_length in (None, AUTOTUNE) else count_of("cycle_length", cycle_length, least=1)
        block = None if block_length is None else count_of("block_length", block_length, least=1)
        return Dataset(sources.interleaved(self.node, UserFunction.of(map_func, "interleave"), cycle, block))

    def unbatch(self, name: str | None = None) -> Dataset:
        """The rows of each element, whose components must have one length.

        >>> list(Dataset.from_tensors(([1, 2], ["a", "b"])).unbatch())
        [(np.int32(1), b'a'), (np.int32(2), b'b')]
        """
        return Dataset(Unbatch(self.node))

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
        size = count_of("buffer_size", buffer_size, least=1)
        return Dataset(Shuffle(self.node, size, seed_given(seed), reshuffle_each_iteration is not False))

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
        return Dataset(Batch(self.node, count_of("batch_size", batch_size, least=1), bool(drop_remainder)))

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
        size = count_of("batch_size", batch_size, least=1)
        return Dataset(
            PaddedBatch(self.node, size, bool(drop_remainder), *padding_arguments(padded_shapes, padding_values))
        )

    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """The data `count` times over; None or -1 is for ever."""
        return Dataset(Repeat(self.node, -1 if count is None else count_of("count", count)))

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """The elements of `dataset` behind these.

        Raises:
            InvalidArgumentError: elements of another structure or dtype, where that can be told without computing any.

        >>> [int(x) for x in Dataset.range(2).concatenate(Dataset.range(5, 7))]
        [0, 1, 5, 6]
        """
        then = self._dataset("concatenate", dataset).node
        check_alike(self.node, then)
        return Dataset(sources.concatenated(self.node, then))

    def enumerate(self, start: int = 0, name: str | None = None) -> Dataset:
        """Pairs of a number, counted from `start`, and an element. One that fails takes its number along.

        >>> list(Dataset.from_tensor_slices(["a", "b"]).enumerate(start=5))
        [(np.int64(5), b'a'), (np.int64(6), b'b')]
        """
        return Dataset(Enumerate(self.node, count_of("start", start)))

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Dataset:
        """Every `num_shards`-th element, beginning with number `index`.

        Raises:
            InvalidArgumentError: `index` is not in 0 to `num_shards` - 1.

        >>> [int(x) for x in Dataset.range(8).shard(3, 1)]
        [1, 4, 7]
        """
        count = count_of("num_shards", num_shards, least=1)
        number = count_of("index", index)
        if not 0 <= number < count:
            raise InvalidArgumentError(f"index is {number}: of {count} shards it must be 0 to {count - 1}")
        return Dataset(Shard(self.node, count, number))

    def apply(self, transformation_func: Callable[[Dataset], Dataset]) -> Dataset:
        """What a function makes of this dataset.

        Raises:
            InvalidArgumentError: it makes something else than a Dataset.

        >>> len(Dataset.range(10).apply(lambda dataset: dataset.skip(1).batch(3)))
        3
        """
        return self._dataset("apply: transformation_func", transformation_func(self))

    def take(self, count: int, name: str | None = None) -> Dataset:
        """At most the first `count` elements; -1 is all."""
        return Dataset(Take(self.node, count_of("count", count)))

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """All but the first `count` elements; -1 is none."""
        return Dataset(Skip(self.node, count_of("count", count)))

    def prefetch(self, buffer_size: int | None, name: str | None = None) -> Dataset:
        """The same elements; at the end of a pipeline, `buffer_size` of them wait ready at the trainer."""
        size = AUTOTUNE if buffer_size is None else count_of("buffer_size", buffer_size, least=AUTOTUNE)
        return Dataset(Prefetch(self.node, size))

    def with_options(self, options: Options, name: str | None = None) -> Dataset:
        """The same pipeline under these options."""
        given, budget = options.buffer_bytes, options.error_budget
        limit = None if given is None else count_of("buffer_bytes", given, least=1)
        errors = None if budget is None else count_of("error_budget", budget, least=0)
        on_error = None if options.on_error is None else on_error_given(options.on_error)
        return Dataset(Configured(self.node, seed_given(options.seed), limit, on_error, errors))

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
        return LocalIterator(self.resolved, self.seed, count_of("epoch", epoch, least=0), self._loaded)

    def _loaded(self, seed: int, epoch: int) -> None:
        """An iterator loaded a token of this seed and pass: the next passes are those behind it."""
        self._seed, self._passes = seed, epoch + 1

    def make_one_shot_iterator(self) -> LocalIterator:
        """An iterator over the next pass, with `get_next()`."""
        return iter(self)

    def as_numpy_iterator(self) -> Iterator[Element]:
        """The same as `iter()`: elements are NumPy already."""
        return iter(self)

    @staticmethod
    def _dataset(what: str, value: Any) -> Dataset:
        if not isinstance(value, Dataset):
            raise InvalidArgumentError(f"{what} needs a Dataset, not {type(value).__name__}")
        return value
