"""Where data comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from .. import sources
from ..arguments import seed_given
from ..generating import generator as generator_node
from ..indexable import Indexable, items
from ..mixing import chosen, sampled
from ..nodes import Random
from ..structure import Element
from .chapter import Chapter

if TYPE_CHECKING:
    from ..dataset import Dataset

__all__ = ["Sources"]


class Sources(Chapter):
    """Where data comes from."""

    @classmethod
    def from_tensors(cls, tensors: Element, name: str | None = None) -> Dataset:
        """One element: `tensors` itself.

        >>> list(Dataset.from_tensors({"a": [1, 2]}))
        [{'a': array([1, 2], dtype=int32)}]
        """
        return cls._made(sources.from_tensors(tensors))

    @classmethod
    def from_tensor_slices(cls, tensors: Element, name: str | None = None) -> Dataset:
        """One element for each row of the arrays.

        Raises:
            InvalidArgumentError: a scalar, or arrays of unequal length.

        >>> list(Dataset.from_tensor_slices(([1, 2], ["a", "b"])))
        [(np.int32(1), b'a'), (np.int32(2), b'b')]
        """
        return cls._made(sources.from_tensor_slices(tensors))

    @classmethod
    def range(cls, *args: SupportsIndex, output_type: npt.DTypeLike = np.int64, name: str | None = None) -> Dataset:
        """Integers: `range(stop)`, `range(start, stop)` or `range(start, stop, step)`."""
        return cls._made(sources.integers(*args, output_type=output_type))

    @classmethod
    def counter(
        cls, start: float = 0, step: float = 1, dtype: npt.DTypeLike = np.int64, name: str | None = None
    ) -> Dataset:
        """Numbers from `start`, `step` apart, for ever.

        Integers wrap around at the end of their dtype, as NumPy's do; of floats, number i is start + i * step,
        rounded once. `take`, `skip` and `shard` directly behind cost nothing, as behind `range`.

        Raises:
            InvalidArgumentError: a dtype of other than integers or floats, or numbers that are none.

        >>> list(Dataset.counter(254, dtype=np.uint8).take(3))
        [np.uint8(254), np.uint8(255), np.uint8(0)]
        """
        return cls._made(sources.counted(start, step, dtype))

    @classmethod
    def random(
        cls, seed: int | None = None, rerandomize_each_iteration: bool | None = None, name: str | None = None
    ) -> Dataset:
        """Random integers from 0 to below 2**32, int64, for ever.

        They are the same in every epoch and every pass of a `repeat`, unless `rerandomize_each_iteration`. Without a
        seed they are drawn from that of the whole pipeline. A number depends on the seed and its place alone, so that
        `take`, `skip` and `shard` directly behind cost nothing. SplitMix64 (Steele, Lea and Flood, 2014).

        >>> dataset = Dataset.random(seed=7).skip(1000).take(4)
        >>> list(dataset) == list(dataset) == list(Dataset.random(seed=7).take(1004))[1000:]
        True
        """
        return cls._made(Random(seed_given(seed), bool(rerandomize_each_iteration)))

    @classmethod
    def from_indexable(cls, indexable: Indexable, name: str | None = None) -> Dataset:
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
        return cls._made(items(indexable))

    @classmethod
    def from_generator(
        cls,
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
        return cls._made(generator_node(generator, output_types, output_shapes, args, output_signature))

    @classmethod
    def list_files(
        cls,
        file_pattern: str | Sequence[str],
        shuffle: bool | None = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Names of the files that match one or several glob patterns, shuffled unless `shuffle=False`.

        The file system is looked at when iteration begins. `*` matches names that begin with a dot, too.

        Raises (when iterated):
            InvalidArgumentError: nothing matches.
        """
        return cls._made(sources.list_files(file_pattern, shuffle is None or shuffle, seed_given(seed)))

    @classmethod
    def sample_from_datasets(
        cls,
        datasets: Sequence[Dataset],
        weights: Any = None,
        seed: int | None = None,
        stop_on_empty_dataset: bool = False,
        rerandomize_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Each element the next one of a dataset that is drawn at random, by `weights`.

        Draws are the same in every epoch and every pass of a `repeat`, unless `rerandomize_each_iteration`; without a
        seed they follow that of the whole pipeline. A drawn dataset that has ended is passed over and not drawn
        again, or ends all with `stop_on_empty_dataset`. An element that fails takes its draw along.

        Args:
            weights: one number a dataset, those of weight 0 are left out; or a dataset of vectors, one for each draw;
                equal where not given.

        Raises:
            InvalidArgumentError: no dataset, elements that are known to be unlike, or weights that do not fit.

        >>> mixed = Dataset.sample_from_datasets([Dataset.range(3), Dataset.range(10, 13)], [0.5, 0.5], seed=1)
        >>> sorted(int(each) for each in mixed)
        [0, 1, 2, 10, 11, 12]
        """
        given = [cls._dataset("sample_from_datasets", each).node for each in datasets]
        drawn = weights.node if isinstance(weights, Chapter) else weights
        anew = bool(rerandomize_each_iteration)
        return cls._made(sampled(given, drawn, seed_given(seed), bool(stop_on_empty_dataset), anew))

    @classmethod
    def choose_from_datasets(
        cls,
        datasets: Sequence[Dataset],
        choice_dataset: Dataset,
        stop_on_empty_dataset: bool = True,
        name: str | None = None,
    ) -> Dataset:
        """Each element the next one of the dataset that the next element of `choice_dataset` numbers.

        A chosen dataset that has ended ends all, or is passed over without `stop_on_empty_dataset`. An element that
        fails takes its choice along.

        Raises:
            InvalidArgumentError: no dataset, elements that are known to be unlike, or choices that are no integers;
                when iterated, in the place of its element, a choice that is none of the datasets.

        >>> letters = [Dataset.from_tensors(each).repeat() for each in "abc"]
        >>> list(Dataset.choose_from_datasets(letters, Dataset.range(3).repeat(2)))
        [b'a', b'b', b'c', b'a', b'b', b'c']
        """
        given = [cls._dataset("choose_from_datasets", each).node for each in datasets]
        choices = cls._dataset("choose_from_datasets", choice_dataset).node
        return cls._made(chosen(choices, given, bool(stop_on_empty_dataset)))

    @classmethod
    def zip(cls, *args: Any, datasets: Any = None, name: str | None = None) -> Dataset:
        """One element of each dataset together, until the shortest ends.

        `zip(a, b)` gives tuples; `zip((a, {"b": b}))` and `datasets=` nest as their argument does. Where an element
        of one dataset fails, those beside it are lost with it: what comes behind still belongs together.

        Raises:
            InvalidArgumentError: no dataset, or something that is none.

        >>> numbers = Dataset.range(3)
        >>> list(Dataset.zip({"a": numbers, "b": (numbers.skip(1), Dataset.range(7, 9))}))[1]
        {'a': np.int64(1), 'b': (np.int64(2), np.int64(8))}
        """
        return cls._made(sources.joined(*args, datasets=datasets, kind=Chapter))
