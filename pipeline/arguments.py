"""Arguments: whole numbers as users pass them, checked once."""

from __future__ import annotations

import operator
import os
from typing import Any

from .errors import InvalidArgumentError

__all__ = ["count_of", "on_error_given", "seed_given"]

#: The largest count or seed.
MOST = (1 << 63) - 1


def count_of(name: str, value: Any, least: int = -MOST) -> int:
    """A whole number that an argument of this name was given.

    Raises:
        InvalidArgumentError: it is none, or too small or too large.

    >>> count_of("size", 3, least=1)
    3
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidArgumentError(f"{name} is {value!r}: it must be a whole number") from None
    if not least <= number <= MOST:
        raise InvalidArgumentError(f"{name} is {number}: it must be at least {least} and at most {MOST}")
    return number


def seed_given(seed: Any) -> int | None:
    """A seed, or None where none was given."""
    return None if seed is None else count_of("seed", seed)


def on_error_given(value: Any) -> str:
    """What is to become of elements that fail: "raise", "skip", or the path of a file."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str) or not path or path.endswith("/"):
        raise InvalidArgumentError(f'on_error is {value!r}: it must be "raise", "skip", or the path of a file')
    return path
