"""What one answer is made of all elements."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..accumulating import Accumulator, state_given
from ..arguments import count_of
from ..errors import InvalidArgumentError
from ..functions import UserFunction, failure
from ..nodes import AssertCardinality
from ..structure import Element
from .chapter import Chapter

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..iterator import Running, TellingIterator

__all__ = ["Answers"]


class Answers(Chapter):
    """What one answer is made of all elements."""

    if TYPE_CHECKING:

        def _next_pass(self, service: Running | None, like: Dataset | None = None) -> TellingIterator: ...

    def assert_cardinality(self, expected_cardinality: int, name: str | None = None) -> Dataset:
        """The same elements, of which there must be so many; -1 is no end. `cardinality()` is that number.

        Raises (when iterated):
            FailedPreconditionError: at the end, that there are fewer; at the first too many, that there are more.

        >>> evens = Dataset.range(10).filter(lambda x: x % 2 == 0)
        >>> len(evens.assert_cardinality(5).batch(2))
        3
        """
        count = count_of("expected_cardinality", expected_cardinality, least=-1)
        return self._made(AssertCardinality(self.node, count))

    def get_single_element(self, name: str | None = None, *, service: Running | None = None) -> Element:
        """The one element that there is, computed here or on a service.

        Raises:
            InvalidArgumentError: there is none, or more than one.

        >>> int(Dataset.range(10).batch(10).map(np.sum).get_single_element())
        45
        """
        with closing(self._next_pass(service)) as iterator:
            found = iterator.get_next_as_optional()
            if not found.has_value():
                raise InvalidArgumentError("Dataset was empty: get_single_element needs one element")
            if iterator.get_next_as_optional().has_value():
                raise InvalidArgumentError("Dataset had more than one element: get_single_element needs just one")
            return found.get_value()

    def reduce(
        self,
        initial_state: Element,
        reduce_func: Callable[[Any, Any], Any],
        name: str | None = None,
        *,
        service: Running | None = None,
    ) -> Element:
        """The last state, where `reduce_func(state, element)` is the next one for each element of one pass.

        The function runs here, also where a `service` computes the elements. Elements and states are one argument
        each, however they nest. A state keeps its structure and dtypes, its shapes may change.

        Raises:
            TypeError: a state of another structure or dtype; the message names the component.
            FunctionError: the function raised. What an element failed with is raised as it is.

        >>> int(Dataset.range(5).reduce(np.int64(0), lambda total, x: total + x))
        10
        """
        function = UserFunction.of(reduce_func, "reduce")
        state = Accumulator(*state_given(initial_state), function.name)
        with closing(self._next_pass(service)) as iterator:
            for element in iterator:
                try:
                    state.add(function, element)
                except Exception as error:
                    told = failure(function, error)
                    raise told from told.__cause__
        return state.element()
