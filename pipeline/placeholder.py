"""A placeholder: a value of a pipeline that is said later."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy.typing as npt

from .declaring import fitted
from .errors import InvalidArgumentError
from .spec import TensorSpec, dtype_name

__all__ = ["Placeholder", "placeholder"]

_unnamed = count()


@dataclass(frozen=True, slots=True, eq=False)
class Placeholder:
    """Stands for a value in the arguments of a pipeline, until that is bound; `placeholder` makes one."""

    name: str
    spec: TensorSpec

    def taken(self, value: Any) -> Any:
        """A value that is to stand in its place: numbers and arrays in its dtype, text as it was given.

        Raises:
            MismatchError: another dtype or shape. It is an InvalidArgumentError and a TypeError.
        """
        if self.spec.dtype is not bytes:
            return fitted(f"placeholder {self.name}", value, self.spec.shape, self.spec.dtype)
        fitted(f"placeholder {self.name}", _text(value), self.spec.shape, bytes)
        return value

    def __repr__(self) -> str:
        return f"<placeholder {self.told}>"

    @property
    def told(self) -> str:
        """Its name and what it takes, for messages."""
        return f"{self.name} ({dtype_name(self.spec.dtype)} of shape {self.spec.shape})"


def _text(value: Any) -> Any:
    """Paths are text, too."""
    if isinstance(value, list | tuple):
        return [_text(each) for each in value]
    return os.fsencode(value) if isinstance(value, os.PathLike) else value


def placeholder(
    dtype: npt.DTypeLike | type[bytes], shape: Sequence[int | None] | None = None, name: str | None = None
) -> Any:
    """A value that is not known yet, for the arguments of sources and of Dataset's methods.

    File names, arrays, counts, bounds, seeds, patterns, the `args` of `from_generator`: whatever an argument takes,
    also inside tuples, lists and dicts. `make_initializable_iterator` and `Dataset.bind` say the values.

    Args:
        dtype: of the value; `bytes` for text.
        shape: of the value, with None for a length that may be any; None for any shape.
        name: by which the value is given; "placeholder_0" and so on without it.

    Raises:
        InvalidArgumentError: a name that is no identifier, or a dtype that no element has.

    >>> count = placeholder(np.int64, shape=(), name="count")
    >>> iterator = Dataset.range(10).take(count).make_initializable_iterator()
    >>> iterator.initialize(count=2)
    >>> [int(each) for each in iterator]
    [0, 1]
    """
    name = f"placeholder_{next(_unnamed)}" if name is None else name
    if not isinstance(name, str) or not name.isidentifier():
        raise InvalidArgumentError(f"a placeholder's name is {name!r}: it must be an identifier, as in initialize(n=3)")
    return Placeholder(name, TensorSpec(shape, dtype))
