"""Indexable objects as leaves: whatever has `__getitem__` and `__len__`, as PyTorch's map-style datasets have."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from .errors import InvalidArgumentError
from .functions import UserFunction
from .nodes import Items, Range

__all__ = ["Indexable", "items"]


class Indexable(Protocol):
    """Gives an item for each whole number from 0 to before its length."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Fetch:
    """The function from an index to an item: it takes the object along to the workers."""

    def __init__(self, source: Indexable) -> None:
        self.source = source

    def __call__(self, index: np.int64) -> Any:
        return self.source[int(index)]

    def __repr__(self) -> str:
        return f"from_indexable({type(self.source).__name__})"


def items(source: Any) -> Items:
    """The items of an object, in order; its length is asked for now.

    Raises:
        InvalidArgumentError: an object that cannot be indexed, or has no length.
    """
    kind = type(source).__name__
    if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
        raise InvalidArgumentError(
            f"from_indexable needs an object with __getitem__ and __len__, not {kind}: from_generator takes what can "
            "only be iterated over"
        )
    try:
        count = len(source)
    except (TypeError, NotImplementedError) as error:
        raise InvalidArgumentError(f"from_indexable needs a length, and this {kind} tells none: {error}") from error
    fetch = Fetch(source)
    return Items(Range(0, count, 1, np.dtype(np.int64)), UserFunction(fetch, repr(fetch), wants_rng=False))
