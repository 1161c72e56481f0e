"""Numbers to go through a service: in files, and with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import headrace as hr

__all__ = ["noisy", "numbered"]


def noisy(x: Any, rng: np.random.Generator) -> Any:
    """A number that depends on the seed, and 400 bytes that depend on x alone."""
    return x * 1000 + rng.integers(1000), np.full(50, x)


def numbered(path: Path, count: int) -> str:
    """A file of records that hold their number."""
    with hr.io.TFRecordWriter(path) as writer:
        for number in range(count):
            writer.write(b"%08d" % number)
    return str(path)
