"""An epoch whose workers are killed again and again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

__all__ = ["epoch_with_kills"]


def epoch_with_kills(
    iterator: Any, workers: Callable[[], list[int]], eventually: Callable[..., Any]
) -> tuple[list[Any], int]:
    """All batches, and how many workers died: after each hundred batches all that were not there at the last time."""
    got: list[Any] = []
    killed: set[int] = set()
    for batch in iterator:
        got.append(batch)
        if len(got) % 100 == 10:
            fresh = eventually(lambda: set(workers()) - killed)  # noqa: B023  (waited for)
            killed |= fresh
            for pid in fresh:
                os.kill(pid, signal.SIGKILL)
    return got, len(killed)
