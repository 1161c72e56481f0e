"""Accumulating: a state that a function makes anew from each element, of one structure and dtypes throughout."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InvalidArgumentError, MismatchError
from .functions import UserFunction
from .ownership import own
from .spec import DType, dtype_name
from .structure import Element, Structure, flatten, restack

__all__ = ["Accumulator", "state_given"]


def state_given(initial_state: Element) -> tuple[list[Any], Structure]:
    """The components of a first state, and how they nest.

    Raises:
        InvalidArgumentError: it has none.
    """
    components, structure = flatten(initial_state)
    if not components:
        raise InvalidArgumentError("initial_state has no component: give at least one number")
    own(components)
    return components, structure


def _dtype(component: Any) -> DType:
    return bytes if isinstance(component, bytes) or component.dtype == object else component.dtype


class Accumulator:
    """A state, and the check of what is to become of it."""

    def __init__(self, components: list[Any], structure: Structure, operator: str) -> None:
        self.components, self.structure, self.operator = components, structure, operator

    def element(self) -> Element:
        """The state, as a function takes it."""
        return self.structure.pack(self.components)

    def copy(self) -> Element:
        """The state in memory of its own: a function may write into what it is given."""
        return self.structure.pack([each.copy() if isinstance(each, np.ndarray) else each for each in self.components])

    def next(self, value: Any) -> list[Any]:
        """The components of a state that a function returned; shapes may change.

        Raises:
            MismatchError: it is of another structure or dtype; the message names the component.
        """
        components, structure = flatten(restack(value))
        if structure != self.structure:
            raise MismatchError(
                f"{self.operator} returned a state of components {structure.names()}, and the initial state has "
                f"{self.structure.names()}: return one nested alike"
            )
        for name, new, old in zip(structure.names(), components, self.components, strict=True):
            if _dtype(new) != _dtype(old):
                raise MismatchError(
                    f"{self.operator} returned a state whose component {name} is {dtype_name(_dtype(new))}, and that "
                    f"of the initial state is {dtype_name(_dtype(old))}: begin with one of the same dtype, or convert"
                )
        own(components)
        return components

    def add(self, function: UserFunction, value: Element) -> None:
        """The state that a function of it and an element gives; nothing is spread over arguments."""
        self.components = self.next(function.call(self.copy(), value))
