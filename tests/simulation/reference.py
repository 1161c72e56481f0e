"""The reference: what the in-process run gives, in a form that compares bit for bit."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from headrace.pipeline.dataset import Dataset
from headrace.pipeline.errors import PoisonError

__all__ = ["in_short", "plain", "reference"]


def plain(element: Any) -> Any:
    """An element in a form that compares by value, bit for bit."""
    if isinstance(element, tuple):
        return tuple(map(plain, element))
    if isinstance(element, dict):
        return {key: plain(value) for key, value in element.items()}
    if isinstance(element, bytes):
        return element
    array = np.asarray(element)
    content = array.tolist() if array.dtype == object else array.tobytes()
    return (str(array.dtype), array.shape, content)


def in_short(error: Exception) -> str:
    """Kind and first line; of poison the kind, for in process nobody dies of it."""
    return "PoisonError" if isinstance(error, PoisonError) else f"{type(error).__name__}: {error}".partition("\n")[0]


@lru_cache(maxsize=1024)
def reference(dataset: Dataset, epoch: int) -> list[Any]:
    """What the in-process run gives."""
    found: list[Any] = []
    iterator = dataset.iterate(epoch)
    while True:
        try:
            found.append(plain(next(iterator)))
        except StopIteration:
            return found
        except Exception as error:
            found.append(in_short(error))
