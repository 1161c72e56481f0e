"""What is made of elements one after the other, each call knowing what the one before left."""

from __future__ import annotations

from dataclasses import dataclass

from ..columns import Array
from ..functions import UserFunction
from ..structure import Structure
from .node import Node

__all__ = ["Scan"]


@dataclass(frozen=True, slots=True, eq=False)
class Scan(Node):
    """What a function makes of a state and each element, beside the next state.

    `arrays` hold the first state, one row in each, one array a component.
    """

    source: Node
    function: UserFunction
    structure: Structure
    arrays: tuple[Array, ...]
