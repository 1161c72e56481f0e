"""Dataset: what users build pipelines with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from . import sources
from .arguments import count_of, on_error_given, seed_given
from .cardinality import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, cardinality
from .deferred import Deferred, bound, deferring, has_placeholder, placeholders_of, values_of
from .errors import HeadraceError, InvalidArgumentError
from .explain import Explanation, explain
from .fingerprint import fingerprint
from .initializable import InitializableIterator
from .iterator import Running, TellingIterator, ToldIterator
from .language.answers import Answers
from .language.elements import Elements
from .language.groups import Groups
from .language.keeping import Keeping
from .language.order import Order
from .language.sources import Sources
from .local import LocalIterator
from .memory import Memory
from .nodes import Node
from .options import Noted, Options, options_of
from .probe import element_spec, is_known
from .resolve import resolve
from .seeds import derive, fresh_seed
from .sources import AUTOTUNE

__all__ = ["AUTOTUNE", "Dataset", "Options"]


@deferring
class Dataset(Sources, Elements, Order, Groups, Keeping, Answers):
    """A pipeline of elements; every method gives another, none changes it.

    Each `iter()` is the next pass over the data: pass 0, 1, 2, ... A service's epoch n gives the same
    elements, byte for byte, as pass n.

    >>> list(Dataset.range(10).filter(lambda x: x % 2 == 0).batch(3))
    [array([0, 2, 4]), array([6, 8])]
    """

    def __new__(cls, *args: Any, **given: Any) -> Self:
        """Of a source that is given placeholders, a dataset that waits for their values."""
        made: Any = super().__new__(cls)
        if cls is not Dataset and (has_placeholder(args) or has_placeholder(given)):
            made = cls._made(Deferred(cls, args, given))
        return made  # type: ignore[no-any-return]

    def __init__(self, node: Node) -> None:
        self.node = node
        self._resolved: Node | None = None
        self._seed: int | None = None
        self._passes = 0
        self._memory = Memory()  # of its caches

    def apply(self, transformation_func: Callable[[Dataset], Dataset]) -> Dataset:
        """What a function makes of this dataset.

        Raises:
            InvalidArgumentError: it makes something else than a Dataset.

        >>> len(Dataset.range(10).apply(lambda dataset: dataset.skip(1).batch(3)))
        3
        """
        return self._dataset("apply: transformation_func", transformation_func(self))

    def with_options(self, options: Options, name: str | None = None) -> Dataset:
        """The same pipeline under these options; of what several say, the outermost holds.

        Raises:
            InvalidArgumentError: a value that an option cannot have.
        """
        if not isinstance(options, Options):
            raise InvalidArgumentError(f"with_options needs Options, not {type(options).__name__}")
        given, budget = options.buffer_bytes, options.error_budget
        limit = None if given is None else count_of("buffer_bytes", given, least=1)
        errors = None if budget is None else count_of("error_budget", budget, least=0)
        on_error = None if options.on_error is None else on_error_given(options.on_error)
        kept = Options().merge(options)  # what is changed in them later changes nothing here
        return Dataset(Noted(self.node, seed_given(options.seed), limit, on_error, errors, kept))

    def options(self) -> Options:
        """The options in force, as they were given to this dataset and to those it is made of.

        >>> inner = Dataset.range(3).with_options(hr.Options(seed=1, deterministic=False))
        >>> options = inner.batch(2).with_options(hr.Options(seed=2)).options()
        >>> options.seed, options.deterministic, options.error_budget
        (2, False, None)
        """
        return options_of(self.node)

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

    def fingerprint(self) -> np.uint64:
        """64 bits: datasets that have the same give the same elements, as long as files and random seeds are the same.

        It covers operators, arguments, the code of functions, file names and `Options.seed`; not what is in files, and
        not the seed of a dataset to which none was given. Another minor release of Python may give another.

        >>> one, same, other = (Dataset.range(9).map(lambda x: x + 1).batch(n) for n in (2, 2, 3))
        >>> one.fingerprint() == same.fingerprint() != other.fingerprint()
        np.True_
        """
        node = self.resolved
        return np.uint64(derive("fingerprint", fingerprint(node), sources.seed_of(node)))

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

    def explain(self, look: bool = True) -> Explanation:
        """What runs where, how elements travel, and what costs more than it must; `print` shows it.

        With `look`, a few elements are computed in this process where only they tell what functions give, and how
        large the window of a shuffle is.

        >>> print(Dataset.range(5).map(lambda x: x * 2).batch(2).explain())
        as written: range(0, 5, step=1) > map(<lambda>) > batch(2)
        <BLANKLINE>
        operator                     elements  runs on             what it gives
        batch(2)                            3  broker              int64 [?]
        └ map(<lambda>)                     5  workers, segment 1  int64
          └ range(0, 5, step=1)             5  workers, segment 1  int64
        <BLANKLINE>
        as it runs:
          1. workers, segment 1: range(0, 5, step=1) > map(<lambda>) (rows, cut into splits)
          2. broker: batch(2)
        """
        return explain(self.node, self.resolved, self.seed, look)

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
        self._passes += 1
        return self.iterate(self._passes - 1)

    def _next_pass(self, service: Running | None, like: Dataset | None = None) -> TellingIterator:
        """The next pass, here or on a service; with `like`, it is that one's passes that are counted."""
        counted = like or self
        opened = self.iterate(counted._passes) if service is None else service.iterate(self, epoch=counted._passes)
        counted._passes += 1
        return opened

    def iterate(self, epoch: int) -> LocalIterator:
        """The elements of one epoch, whatever was iterated before.

        >>> dataset = Dataset.range(8).shuffle(8, seed=1)
        >>> list(dataset) == list(dataset.iterate(epoch=0)) != list(dataset.iterate(epoch=1))
        True
        """
        return LocalIterator(
            self.resolved,
            self.seed,
            count_of("epoch", epoch, least=0),
            self._loaded,
            spec=lambda: self.element_spec,
            memory=self._memory,
        )

    def _loaded(self, seed: int, epoch: int) -> None:
        """An iterator loaded a token of this seed and pass: the next passes are those behind it."""
        if seed != self._seed:
            self._memory.clear()
        self._seed, self._passes = seed, epoch + 1

    def make_one_shot_iterator(self, service: Running | None = None) -> TellingIterator:
        """An iterator over the next pass, in this process or on a service, that stays at its end.

        >>> iterator = Dataset.range(1).make_one_shot_iterator()
        >>> iterator.get_next()
        np.int64(0)
        """
        return iter(self) if service is None else ToldIterator(self._next_pass(service))

    def make_initializable_iterator(self, service: Running | None = None) -> InitializableIterator:
        """An iterator that goes through this dataset whenever its `initialize` is called, with what placeholders are.

        Args:
            service: where it runs; None for this process. Each initialization is a job of its own.

        Raises:
            InvalidArgumentError: two placeholders of one name.

        >>> names = hr.placeholder(bytes, shape=[None], name="filenames")
        >>> iterator = hr.TextLineDataset(names).batch(2).make_initializable_iterator()
        >>> iterator.get_next()
        Traceback (most recent call last):
        headrace.pipeline.errors.FailedPreconditionError: this iterator has nothing to go through yet: ...
        """
        placeholders_of(self.node)
        return InitializableIterator(self, service, self._loaded)

    def bind(self, values: Mapping[Any, Any] | None = None, /, **named: Any) -> Dataset:
        """This dataset with values for all its placeholders, by placeholder or by name: a dataset as any other.

        Raises:
            InvalidArgumentError: a placeholder without a value, a value without a placeholder, or one that is of
                another dtype or shape or that the argument cannot be; the message names it.

        >>> size = hr.placeholder(np.int64, shape=(), name="size")
        >>> list(Dataset.range(3).batch(size).bind(size=2))
        [array([0, 1]), array([2])]
        """
        found = Dataset(bound(self.node, values_of(self.node, {**(values or {}), **named})))
        if sources.seed_of(found.node) is None:
            found._seed = self.seed
        return found

    def as_numpy_iterator(self) -> LocalIterator:
        """The same as `iter()`: elements are NumPy already."""
        return iter(self)

    def _spec_to_check(self, look: bool) -> Any:
        node = self.resolved
        if not look and not is_known(node):
            return None
        try:
            return self.element_spec
        except HeadraceError:  # the elements that tell fail, and will where they are asked for
            return None

    @classmethod
    def _made(cls, node: Node) -> Dataset:
        return Dataset(node)

    @staticmethod
    def _dataset(what: str, value: Any) -> Dataset:
        if not isinstance(value, Dataset):
            raise InvalidArgumentError(f"{what} needs a Dataset, not {type(value).__name__}")
        return value
