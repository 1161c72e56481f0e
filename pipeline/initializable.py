"""An iterator over a dataset with placeholders, whose values it is told, as often as wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .iterator import Running, ToldIterator
from .token import Token

if TYPE_CHECKING:
    from .dataset import Dataset

__all__ = ["InitializableIterator"]


class InitializableIterator(ToldIterator):
    """An iterator over a dataset with placeholders; `Dataset.make_initializable_iterator` makes it.

    The dataset counts its passes: whatever the values, what is initialized first goes through pass 0, what is
    initialized next through pass 1, so that a shuffle gives each its own order.

    >>> high = hr.placeholder(np.int64, shape=(), name="high")
    >>> iterator = Dataset.range(high).batch(2).make_initializable_iterator()
    >>> iterator.initialize(high=3)
    >>> list(iterator)
    [array([0, 1]), array([2])]
    >>> iterator.initialize(high=1)
    >>> iterator.get_next()
    array([0])
    """

    def __init__(self, dataset: Dataset, service: Running | None, moved: Callable[[int, int], None]) -> None:
        super().__init__()
        self._dataset, self._service, self._moved = dataset, service, moved

    @property
    def element_spec(self) -> Any:
        """`TensorSpec`s, nested like the elements; FailedPreconditionError where placeholders have no value yet."""
        return self._dataset.element_spec if self._at is None else super().element_spec

    def initialize(self, values: Mapping[Any, Any] | None = None, /, **named: Any) -> None:
        """Go through the dataset from its start, with these values of its placeholders.

        Args:
            values: by placeholder, or by its name, as a feed_dict has them.
            named: by name.

        Raises:
            InvalidArgumentError: a placeholder without a value, a value without a placeholder, or one that is of
                another dtype or shape or that the argument cannot be; the message names it. The iterator stays where
                it was.
        """
        dataset = self._dataset.bind(values, **named)
        self.begin(dataset._next_pass(self._service, like=self._dataset))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Stand where `state_dict` was taken: initialize it first, with the values of then.

        Raises:
            InvalidArgumentError: a state of another pipeline, or of other values; the message names the difference.
            FailedPreconditionError: it is not initialized.
        """
        super().load_state_dict(state_dict)
        token = Token.from_dict(state_dict)
        self._moved(token.seed, token.epoch)
