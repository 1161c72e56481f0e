"""Ownership: which arrays nobody else holds, and copies of the others.

A user's function may hand out the same buffer again and again, or keep what it returned and write into
it later. What is kept of its results must be ours alone; copying everything would be safe and slow.
CPython's reference counts tell which arrays only the result holds.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np

__all__ = ["own"]


def own(components: list[Any]) -> None:
    """Copy the arrays in the list that something else holds, too; the list must be all that holds the others.

    >>> buffer = np.zeros(2)
    >>> mine = [buffer]
    >>> own(mine)
    >>> mine[0] is buffer
    False
    """
    for i in range(len(components)):
        if type(components[i]) is np.ndarray and not _is_sole(components, i):
            components[i] = components[i].copy()


def _is_sole(components: list[Any], i: int) -> bool:
    if getrefcount(components[i]) > _SOLE:
        return False
    if components[i].base is None:
        return bool(components[i].flags.owndata)
    return (
        type(components[i].base) is np.ndarray
        and getrefcount(components[i].base) <= _SOLE
        and bool(components[i].base.flags.owndata)
    )


def _count(components: list[Any], i: int) -> int:
    return getrefcount(components[i])


#: What the interpreter counts where only a list, or only a view, holds an array.
_SOLE = _count([np.empty(1)], 0)
