"""What happens to each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import sources
from ..arguments import count_of
from ..functions import UserFunction
from ..nodes import (
    Filter,
    FlatMap,
    IgnoreErrors,
    Map,
    Unbatch,
)
from ..scanning import scan
from ..sources import AUTOTUNE
from ..structure import Element
from .chapter import Chapter

if TYPE_CHECKING:
    from ..dataset import Dataset

__all__ = ["Elements"]


class Elements(Chapter):
    """What happens to each element, or is made of it."""

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
        return self._made(Map(self.node, UserFunction.of(map_func, "map")))

    def filter(self, predicate: Callable[..., Any] | str, name: str | None = None) -> Dataset:
        """The elements for which `predicate` gives a true boolean."""
        return self._made(Filter(self.node, UserFunction.of(predicate, "filter")))

    def ignore_errors(self, log_warning: bool = False, name: str | None = None) -> Dataset:
        """The elements that do not fail; with `log_warning`, each that does is told on standard error.

        What is left out is counted in `summary()`, but has no limit, and is told in no file: `Options(on_error=...)`
        has both. It is left out here, so that operators behind it never knew of it: numbers of `enumerate` have no
        gaps, and behind `zip` other elements come together.

        >>> list(Dataset.range(3).map(lambda x: 1 / (x - 1) if x != 1 else {}[x]).ignore_errors())
        [np.float64(-1.0), np.float64(1.0)]
        """
        return self._made(IgnoreErrors(self.node, bool(log_warning)))

    def flat_map(self, map_func: Callable[..., Any] | str, name: str | None = None) -> Dataset:
        """The elements of the dataset that `map_func` makes of each element, one dataset behind the other.

        All that is inside these datasets (files, maps, shuffles, batches) runs where the function does.

        >>> [int(x) for x in Dataset.range(4).flat_map(lambda n: Dataset.range(n))]
        [0, 0, 1, 0, 1, 2]
        """
        return self._made(FlatMap(self.node, UserFunction.of(map_func, "flat_map")))

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
        return self._made(sources.interleaved(self.node, UserFunction.of(map_func, "interleave"), cycle, block))

    def scan(
        self, initial_state: Element, scan_func: Callable[..., tuple[Any, Any]] | str, name: str | None = None
    ) -> Dataset:
        """`scan_func(state, element)` gives the next state and an element, for one element after the other.

        A state begins anew in each epoch and each pass of a `repeat`. It keeps its structure and dtypes, its shapes may
        change. Elements and states are one argument each, however they nest. In a service one worker at a time runs
        the function; the state goes from one to the next. A call that fails leaves the state as it was.

        Raises:
            InvalidArgumentError: a state of no component.
            ResourceExhaustedError: a state of more than 1 MiB; when iterated, in its place, too.
            TypeError (when iterated, in its place): a state of another structure or dtype; it names the component.

        >>> totals = Dataset.range(1, 5).scan(np.int64(0), lambda total, x: (total + x, total + x))
        >>> [int(x) for x in totals]
        [1, 3, 6, 10]
        """
        return self._made(scan(self.node, initial_state, scan_func))

    def unbatch(self, name: str | None = None) -> Dataset:
        """The rows of each element, whose components must have one length.

        >>> list(Dataset.from_tensors(([1, 2], ["a", "b"])).unbatch())
        [(np.int32(1), b'a'), (np.int32(2), b'b')]
        """
        return self._made(Unbatch(self.node))
