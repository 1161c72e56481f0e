"""Fields: what each field of a saved state must be, wherever in it it stands.

States of operators are plain data (see `operators`). One that was loaded may come from anywhere, and operators trust
what they restore: a count that is none would be met elements later, where nobody expects it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arguments import MOST
from .errors import MalformedMessage, from_data
from .work import STATE_ROOM, Work

__all__ = ["check_fields"]


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST


def _number(value: Any) -> bool:
    return type(value) is int and -MOST <= value <= MOST


def _flag(value: Any) -> bool:
    return type(value) is bool


def _state(value: Any) -> bool:
    return isinstance(value, dict) and _fits(value)


def _maybe_state(value: Any) -> bool:
    return value is None or _state(value)


def _states(value: Any) -> bool:
    return isinstance(value, list) and all(map(_state, value))


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_count, value))


def _error(value: Any) -> bool:
    if isinstance(value, dict):
        from_data(value)
    return isinstance(value, dict)


def _maybe_error(value: Any) -> bool:
    return value is None or _error(value)


def _stops(value: Any) -> bool:
    return isinstance(value, list) and all(_flag(each) or _error(each) for each in value)


def _carried(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) <= STATE_ROOM


def _flags(value: Any) -> bool:
    return isinstance(value, list) and all(map(_flag, value))


def _slots(value: Any) -> bool:
    pairs = isinstance(value, list) and all(isinstance(each, list) and len(each) == 2 for each in value)
    return pairs and all(_count(turn) and _state(state) for turn, state in value)


def _pairs(value: Any) -> bool:
    """Keys of windows, and how many elements each has."""
    pairs = isinstance(value, list) and all(isinstance(each, list) and len(each) == 2 for each in value)
    return pairs and all(type(key) is int and -MOST - 1 <= key <= MOST and _count(size) for key, size in value)


def _ready(value: Any) -> bool:
    """Windows, and what failed between them."""
    return isinstance(value, list) and all(_state(each) if isinstance(each, dict) else _pairs([each]) for each in value)


def _work(value: Any) -> bool:
    Work.from_data(value)
    return True


def _works(value: Any) -> bool:
    return isinstance(value, list) and all(map(_work, value))


def _file(value: Any) -> bool:
    """A path and an origin, or none."""
    if value is None:
        return True
    pair = isinstance(value, list) and [type(each) for each in value] == [str, int]
    return pair and 0 <= value[1] < 1 << 64


#: What each field must be. One that is not here is the business of who reads it.
FIELDS: dict[str, Callable[[Any], bool]] = {
    # Inputs, and what is under way.
    "source": _maybe_state,
    "names": _state,
    "feed": _state,
    "stream": _state,
    "picker": _state,
    "job": _maybe_state,
    "sources": _states,
    "lanes": _states,
    "ahead": _states,
    "slots": _slots,
    "stops": _stops,
    "windows": _pairs,
    "ready": _ready,
    "error": _error,
    "failed": _maybe_error,
    "work": _work,
    "pieces": _works,
    "file": _file,
    # Counts, and the numbers of what is held.
    "at": _count,
    "branch": _counts,
    "classes": _counts,
    "drawn": _count,
    "given": _count,
    "grain": _count,
    "full": _count,
    "held": _count,
    "inputs": _count,
    "left": _count,
    "rest": _count,
    "segment": _counts,
    "skip": _count,
    "start": _count,
    "taken": _count,
    "turn": _count,
    "waiting": _counts,
    "within": _count,
    "number": _number,
    "passes": _number,
    "carried": _carried,
    # Yes or no.
    "alive": _flags,
    "checked": _flag,
    "ended": _flag,
    "exhausted": _flag,
    "reads": _flag,
    "seen": _flag,
    "turns": _flag,
}


def check_fields(state: Any) -> None:
    """See that the fields of a state, and of all states in it, are what they must be.

    >>> check_fields({"source": {"at": 3}, "left": "all"})
    Traceback (most recent call last):
    headrace.pipeline.errors.MalformedMessage: a saved state whose 'left' cannot be 'all'

    Raises:
        MalformedMessage: one is not; the message names it.
    """
    if not _state(state):
        raise MalformedMessage(f"a saved state that is {type(state).__name__}")


def _fits(state: dict[Any, Any]) -> bool:
    for name, value in state.items():
        check = FIELDS.get(name)
        if check is not None and not check(value):
            raise MalformedMessage(f"a saved state whose {name!r:.30} cannot be {value!r:.60}")
    return True
