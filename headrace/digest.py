"""A digest of everything that an iteration delivers: equal digests, equal batches."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from .pipeline.structure import Structure, flatten_as_is

__all__ = ["Digest", "size_of"]


class Digest:
    """Of elements in order: their structure, dtypes, shapes and bytes. Two ways of running can be compared by it.

    >>> one, other = Digest(), Digest()
    >>> one.add({"x": np.arange(3), "name": b"a"})
    >>> other.add({"name": b"a", "x": np.arange(3)})
    >>> one.hexdigest() == other.hexdigest()
    True
    >>> other.add(np.int64(1))
    >>> one.hexdigest() == other.hexdigest()
    False
    """

    def __init__(self) -> None:
        self._state = blake2b(digest_size=16)

    def add(self, element: Any) -> None:
        """One more element."""
        components, structure = flatten_as_is(element)
        self._say(_shape_of(structure))
        for component in components:
            self._add_component(component)

    def _add_component(self, component: Any) -> None:
        if isinstance(component, bytes):
            self._say("bytes", len(component))
            self._state.update(component)
            return
        array = np.asarray(component)
        self._say(array.dtype.str, array.shape)
        if array.dtype == object:
            for each in array.reshape(-1):
                self._add_component(each)
        else:
            self._state.update(np.ascontiguousarray(array).data)

    def _say(self, *facts: object) -> None:
        self._state.update(f"{facts!r}\n".encode())

    def hexdigest(self) -> str:
        """Of all that was added, in order, as 32 hexadecimal digits."""
        return self._state.hexdigest()


def _shape_of(structure: Structure) -> Any:
    """How components nest, without the class of a named tuple: another process may have one like it."""
    return structure.kind, structure.keys, tuple(_shape_of(part) for part in structure.parts)


def size_of(element: Any) -> int:
    """Bytes of data in an element.

    >>> size_of((np.zeros((2, 3), np.float32), b"abc"))
    27
    """
    return sum(_bytes(component) for component in flatten_as_is(element)[0])


def _bytes(component: Any) -> int:
    if isinstance(component, bytes):
        return len(component)
    array = np.asarray(component)
    return sum(map(_bytes, array.reshape(-1))) if array.dtype == object else array.nbytes
