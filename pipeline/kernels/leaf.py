"""How kernels that allocate nothing are compiled: without reference counts, as one piece of code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .compile import _compile

__all__ = ["leaf", "leaf_kernel"]

F = TypeVar("F", bound=Callable[..., Any])

# Arrays that go from one compiled function to another are counted, atomically. Where every few bytes are a call,
# that was three quarters of the time (parsing: 715 ns an Example with counts, 195 without). The caller holds them
# all while a kernel runs; one that allocates fails to compile this way.


def leaf_kernel(function: F) -> F:
    """As `kernel`, for one that only reads and writes the arrays that it is given."""
    return _compile(function, _nrt=False)


def leaf(function: F) -> F:
    """As `inline`, for a function that leaf kernels call."""
    return _compile(function, forceinline=True, _nrt=False)
