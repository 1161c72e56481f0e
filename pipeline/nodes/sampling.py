"""What takes each element from one of several inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .node import Node

__all__ = ["Choose", "Sample"]


@dataclass(frozen=True, slots=True, eq=False)
class Choose(Node):
    """The next element of the input that the next element of `choices` numbers."""

    choices: Node
    sources: tuple[Node, ...]
    stop_on_empty: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Sample(Node):
    """The next element of an input that is drawn at random.

    `weights` are np.float64 above 0, one an input; or a node whose elements are vectors of such, one a draw.
    """

    sources: tuple[Node, ...]
    weights: Any
    seed: int | None = None
    stop_on_empty: bool = False
    rerandomize: bool = False
