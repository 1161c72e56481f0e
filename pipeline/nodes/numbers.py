"""Numbers without end that nobody stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..spec import DType
from .node import Node

__all__ = ["Counter", "Random"]


@dataclass(frozen=True, slots=True, eq=False)
class Counter(Node):
    """Numbers from `start`, `step` apart, for ever: integers, or np.float64 where the dtype is one of floats."""

    start: Any
    step: Any
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class Random(Node):
    """Random integers, for ever: the same in each epoch and pass, unless `rerandomize`."""

    seed: int | None = None
    rerandomize: bool = False
