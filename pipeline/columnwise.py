"""Functions that take a whole column at once: those of ours that a map can run without a call for each element.

Such a function has an attribute `on_column`: from the column of what it is given to the column of what it gives, or
the columns, element for element the same as calling it, or None where it cannot. What fails there is called element by
element after all, so that each failure is told in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from .blocks import Block
from .columns import Allocate, Column
from .errors import HeadraceError
from .functions import UserFunction
from .limits import limits
from .structure import Structure

__all__ = ["Columns", "OnColumn", "columnwise", "on_column", "through"]

#: Elements as they are held in a block: their structure, and a column for each component.
Columns: TypeAlias = tuple[Structure, Sequence[Column]]
#: From a column to a column of as many elements, or those of a structure, or None.
OnColumn: TypeAlias = Callable[[Column], Column | Columns | None]
F = TypeVar("F", bound=Callable[..., Any])


def columnwise(column: OnColumn) -> Callable[[F], F]:
    """Decorates a function of one element with what does the same for a column."""

    def decorated(function: F) -> F:
        setattr(function, "on_column", column)  # noqa: B010 - functions have no such attribute for type checkers
        return function

    return decorated


def on_column(function: UserFunction) -> OnColumn | None:
    """What does for a column what the function does for an element, if there is anything."""
    found: OnColumn | None = None if function.wants_rng else getattr(function.call, "on_column", None)
    return found


def through(
    block: Block, offsets: npt.NDArray[np.int64], functions: Sequence[OnColumn | int], allocate: Allocate | None
) -> Block | None:
    """What these functions make of a block's elements, in memory of its own; None where they have to be called.

    A number puts in front of each element its offset, counted from there.
    """
    structure, columns = block.structure, list(block.columns)
    try:
        for each in functions:
            if isinstance(each, int):
                columns = [Column(np.dtype(np.int64), 0, each + offsets), *columns]
                structure = Structure("tuple", (), (Structure(), structure))
            elif structure != Structure() or (found := each(columns[0])) is None:
                return None
            elif isinstance(found, Column):
                columns = [found]
            else:
                structure, columns = found[0], list(found[1])
    except HeadraceError:
        return None
    # One element may be too large, and then it is to be told which.
    if sum(array.nbytes for each in columns for array in each.arrays) > limits().element_bytes:
        return None
    return Block.of_columns(structure, block.rows, columns, allocate)
