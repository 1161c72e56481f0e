"""Which elements come, how often, and in what order."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import sources
from ..arguments import count_of, seed_given
from ..errors import InvalidArgumentError
from ..functions import UserFunction
from ..nodes import (
    Cache,
    Enumerate,
    Prefetch,
    Repeat,
    Resample,
    Shard,
    Shuffle,
    Skip,
    Tagged,
    Take,
    TakeWhile,
    Unique,
)
from ..numbering import shuffled
from ..probe import check_alike, known_specs
from ..shares import shares_given
from ..sources import AUTOTUNE
from ..tags import NUMBER, PREDICATE
from .chapter import Chapter

if TYPE_CHECKING:
    from ..dataset import Dataset

__all__ = ["Order"]


class Order(Chapter):
    """Which elements come, how often, and in what order."""

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
        return self._made(Shuffle(self.node, size, seed_given(seed), reshuffle_each_iteration is not False))

    def global_shuffle(
        self, seed: int | None = None, reshuffle_each_iteration: bool | None = True, name: str | None = None
    ) -> Dataset:
        """All elements in a random order, each equally likely, found by number: none waits, and none is held.

        For what can be counted and read at any place: rows of arrays (`np.load(path, mmap_mode="r")` too), ranges,
        `from_indexable`, `FixedLengthRecordDataset`, `TFRecordDataset(..., index=True)`, and `take`, `skip`, `shard`
        and `map` of these. The order is new in every epoch and pass, also with a seed;
        `reshuffle_each_iteration=False` keeps one. However large the data, it resumes at once.

        Raises:
            InvalidArgumentError: elements that cannot be found by number; `shuffle(buffer_size)` takes those.

        >>> sorted(int(x) for x in Dataset.range(1000).global_shuffle(seed=1).take(1000)) == list(range(1000))
        True
        """
        return self._made(shuffled(self.node, seed_given(seed), reshuffle_each_iteration is not False))

    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """The data `count` times over; None or -1 is for ever."""
        return self._made(Repeat(self.node, -1 if count is None else count_of("count", count)))

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """The elements of `dataset` behind these.

        Raises:
            InvalidArgumentError: elements of another structure or dtype, where that can be told without computing any.

        >>> [int(x) for x in Dataset.range(2).concatenate(Dataset.range(5, 7))]
        [0, 1, 5, 6]
        """
        then = self._dataset("concatenate", dataset).node
        check_alike(self.node, then)
        return self._made(sources.concatenated(self.node, then))

    def enumerate(self, start: int = 0, name: str | None = None) -> Dataset:
        """Pairs of a number, counted from `start`, and an element. One that fails takes its number along.

        >>> list(Dataset.from_tensor_slices(["a", "b"]).enumerate(start=5))
        [(np.int64(5), b'a'), (np.int64(6), b'b')]
        """
        return self._made(Enumerate(self.node, count_of("start", start)))

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
        return self._made(Shard(self.node, count, number))

    def take(self, count: int, name: str | None = None) -> Dataset:
        """At most the first `count` elements; -1 is all."""
        return self._made(Take(self.node, count_of("count", count)))

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """All but the first `count` elements; -1 is none."""
        return self._made(Skip(self.node, count_of("count", count)))

    def take_while(self, predicate: Callable[..., Any] | str, name: str | None = None) -> Dataset:
        """The elements before the first for which `predicate` gives False; it must give one boolean.

        An element for which the predicate fails raises in its place, and those behind it still come.

        Raises (when iterated):
            InvalidArgumentError: the predicate gave something else than one boolean.

        >>> [int(x) for x in Dataset.range(10).take_while(lambda x: x < 3)]
        [0, 1, 2]
        """
        function = UserFunction.of(predicate, "take_while")
        return self._made(TakeWhile(Tagged(self.node, function, PREDICATE)))

    def rejection_resample(
        self,
        class_func: Callable[..., Any] | str,
        target_dist: Any,
        initial_dist: Any = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Pairs of a class and an element, of which so many are left out that classes come as `target_dist` says.

        `class_func` gives the class of an element, a number from 0. Both distributions have one number a class, in
        any unit. Without `initial_dist`, how often each class comes is estimated from the elements that came. None
        comes twice. Which are left out depends on the seed, the epoch and their numbers alone.

        Raises:
            InvalidArgumentError: what is no distribution, or a class that never comes and is to. When iterated: an
                element of a class that there is not.

        >>> numbers = Dataset.range(9000).rejection_resample(lambda x: int(x % 3 == 0), [0.5, 0.5], seed=1)
        >>> counts = np.bincount([int(each) for each, _ in numbers])
        >>> bool(abs(counts[0] / counts[1] - 1) < 0.1), bool(counts[1] > 2900)
        (True, True)
        """
        classes = UserFunction.of(class_func, "rejection_resample")
        target, initial = shares_given(target_dist, initial_dist)
        return self._made(Resample(Tagged(self.node, classes, NUMBER), target, initial, seed_given(seed)))

    def unique(self, name: str | None = None) -> Dataset:
        """Each value once, where it comes first: of elements that are one number or text.

        A state holds the numbers, and 16 bytes of each text, that came, as far as it has room: about half a MiB. With
        more, a resume computes from where they had room, or from the epoch's start.

        Raises:
            InvalidArgumentError: elements that are known to be no scalars; when iterated, in its place, one that is
                none.

        >>> [int(x) for x in Dataset.from_tensor_slices([3, 1, 3, 2, 1]).unique()]
        [3, 1, 2]
        """
        specs = known_specs(self.node)
        if specs is not None and (len(specs) != 1 or specs[0].shape != ()):
            raise InvalidArgumentError(f"unique needs elements of one scalar, not {specs}")
        return self._made(Unique(self.node))

    def prefetch(self, buffer_size: int | None, name: str | None = None) -> Dataset:
        """The same elements; at the end of a pipeline, `buffer_size` of them wait ready at the trainer."""
        size = AUTOTUNE if buffer_size is None else count_of("buffer_size", buffer_size, least=AUTOTUNE)
        return self._made(Prefetch(self.node, size))

    def cache(self, filename: str | bytes | os.PathLike[str] = "", name: str | None = None) -> Dataset:
        """What these elements are in their first pass, kept in memory, or in files, and given in every pass.

        What is below is fixed at epoch 0: a shuffle there has one order, and what is drawn there does not change; put
        those behind the cache. So it does not show whether elements are read or computed again, as they are until
        all of them came once, and where memory would take more than `Options(buffer_bytes=...)`. With a `filename`
        they are in `FILENAME.cache.tfrecord`, also for other processes, which read what is there, whatever their
        pipeline is: remove the files when it changes. On a service the server writes them, below its roots.

        Raises:
            InvalidArgumentError: a filename that is none.

        Raises (when iterated, with a filename):
            FailedPreconditionError: another iterator is writing these files.
            FileError: they cannot be read or written; DataLossError where they are damaged.

        >>> calls = []
        >>> numbers = Dataset.range(3).map(lambda x: calls.append(int(x)) or x * x).cache()
        >>> [[int(x) for x in numbers] for epoch in range(2)], calls
        ([[0, 1, 4], [0, 1, 4]], [0, 1, 2])
        """
        try:
            return self._made(Cache(self.node, os.fsdecode(filename)))
        except TypeError:
            raise InvalidArgumentError(f"cache needs the name of a file, or nothing, not {filename!r:.80}") from None
