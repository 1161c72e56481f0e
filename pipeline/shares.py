"""Shares: how often each class comes, or is to come."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InvalidArgumentError

__all__ = ["are_shares", "shares_given"]


def shares_given(target: Any, initial: Any) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """`target_dist` and `initial_dist` as they were given, in float64, one number a class.

    Raises:
        InvalidArgumentError: what is no distribution; two of unlike length; a class that does not come and is to.
    """
    wanted = _shares("target_dist", target)
    if initial is None:
        return wanted, None
    had = _shares("initial_dist", initial)
    if len(had) != len(wanted):
        raise InvalidArgumentError(f"initial_dist has {len(had)} classes, target_dist {len(wanted)}: they must agree")
    lacking = [k for k, (a, b) in enumerate(zip(had, wanted, strict=True)) if a == 0 < b]
    if lacking:
        raise InvalidArgumentError(
            f"initial_dist is 0 for class {lacking[0]}, and target_dist is not: nothing that never comes can be kept"
        )
    return wanted, had


def _shares(what: str, given: Any) -> tuple[Any, ...]:
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0))
    found = tuple(array.reshape(-1))
    if array.ndim != 1 or not are_shares(found):
        raise InvalidArgumentError(f"{what} must be one number of at least 0 a class, not all 0, and not {given!r:.80}")
    return found


def are_shares(values: tuple[Any, ...]) -> bool:
    """Whether these are numbers in float64, one a class, of which there is one, and none below 0.

    >>> are_shares((np.float64(0.5), np.float64(0.0))), are_shares((np.float64(0.0),)), are_shares((1,))
    (True, False, False)
    """
    numbers = all(isinstance(each, np.float64) and np.isfinite(each) and each >= 0 for each in values)
    return numbers and any(each > 0 for each in values)
