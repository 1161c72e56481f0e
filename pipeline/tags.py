"""Tags: what a user's function says of an element beside it, a boolean or a whole number, as int64.

    predicate   a boolean
    number      a whole number: a length, a key, a class
    size        a whole number of at least 1 that the function makes of the tag before it

Workers evaluate them as the last steps of a segment. Operators look at them and move elements; the server runs none
of these functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InvalidArgumentError
from .functions import UserFunction

__all__ = ["KINDS", "NUMBER", "PREDICATE", "SIZE", "WIDEST", "tag_of", "truth"]

PREDICATE, NUMBER, SIZE = KINDS = ("predicate", "number", "size")
#: No element has more tags than this.
WIDEST = 3
_MOST = np.iinfo(np.int64).max


def tag_of(kind: str, result: Any, function: UserFunction) -> int:
    """What a function returned, as a tag of this kind.

    Raises:
        InvalidArgumentError: it is none.
    """
    if kind == PREDICATE:
        return int(truth(result, function))
    number = _whole(result, function)
    if kind == SIZE and number < 1:
        raise InvalidArgumentError(f"{function.name} gave a window size of {number}: it must be at least 1")
    return number


def truth(result: Any, function: UserFunction) -> bool:
    """What a predicate returned.

    Raises:
        InvalidArgumentError: it is not one boolean.
    """
    if isinstance(result, bool | np.bool_):
        return bool(result)
    if isinstance(result, np.ndarray) and result.shape == () and result.dtype == np.bool_:
        return bool(result)
    raise InvalidArgumentError(
        f"{function.name} must return one boolean, not {_described(result)}: "
        "compare, as in `x > 0`, or wrap it in bool()"
    )


def _whole(result: Any, function: UserFunction) -> int:
    is_array = isinstance(result, np.ndarray) and result.shape == () and result.dtype.kind in "iu"
    if not is_array and (isinstance(result, bool) or not isinstance(result, int | np.integer)):
        raise InvalidArgumentError(
            f"{function.name} must return one whole number, not {_described(result)}: use len(), or wrap it in int()"
        )
    number = int(result)
    if not -_MOST - 1 <= number <= _MOST:
        raise InvalidArgumentError(f"{function.name} returned {number}, which does not fit into 64 bits")
    return number


def _described(result: Any) -> str:
    shape = getattr(result, "shape", "")
    return f"{type(result).__name__}{f' of shape {shape}' if shape else ''}"
