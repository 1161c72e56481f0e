"""Optional: an element, or that there is none."""

from __future__ import annotations

from .errors import InvalidArgumentError
from .structure import Element

__all__ = ["Optional"]


class Optional:
    """What `get_next_as_optional()` gives: the next element, or nothing at the end.

    >>> from headrace import Dataset
    >>> iterator = iter(Dataset.range(1))
    >>> found = [iterator.get_next_as_optional() for _ in range(2)]
    >>> [each.has_value() for each in found], found[0].get_value()
    ([True, False], np.int64(0))
    """

    __slots__ = ("_value",)

    def __init__(self, *value: Element) -> None:
        self._value = value

    def has_value(self) -> bool:
        """Whether there is an element."""
        return bool(self._value)

    def get_value(self) -> Element:
        """The element.

        Raises:
            InvalidArgumentError: there is none.
        """
        if not self._value:
            raise InvalidArgumentError("the optional has no value: ask `has_value()` first")
        return self._value[0]

    def __repr__(self) -> str:
        return f"Optional({', '.join(map(repr, self._value))})"
