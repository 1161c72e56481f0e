"""What fuzzing tests share."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """`peak()`: the most memory, in bytes, that was taken since it was called last, beyond what was taken then."""
    tracemalloc.start()
    before = [0]

    def since() -> int:
        now, most = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        found, before[0] = most - before[0], now
        return found

    yield since
    tracemalloc.stop()
