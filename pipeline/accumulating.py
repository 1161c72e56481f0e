"""Accumulating: a state that a function makes anew from each element, of one structure and dtypes throughout."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np

from .blocks import Block, BlockBuilder, BlockLayout
from .errors import InvalidArgumentError, MalformedMessage, MismatchError
from .functions import UserFunction
from .ownership import own
from .spec import DType, dtype_name
from .structure import Element, Structure, flatten, restack

__all__ = ["Accumulator", "packed", "state_given", "unpacked"]


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


def packed(components: list[Any], structure: Structure) -> bytes:
    """A state as bytes, to be carried from one worker to another."""
    builder = BlockBuilder()
    builder.add(components, structure)
    block = builder.build()
    return bytes(msgpack.packb([block.layout.to_data(), block.buffer.tobytes()]))


def unpacked(data: bytes) -> tuple[list[Any], Structure]:
    """The reverse of `packed`.

    Raises:
        MalformedMessage: what is no state.
    """
    try:
        layout, content = msgpack.unpackb(data)
        block = Block.over(BlockLayout.from_data(layout), np.frombuffer(content, np.uint8).copy())
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise MalformedMessage(f"a state that is none: {error}") from error
    for column in block.columns:
        column.check()
    if block.rows != 1:
        raise MalformedMessage(f"a state of {block.rows} rows")
    return [column.get(0) for column in block.columns], block.structure


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
        self.check(components, structure)
        own(components)
        return components

    def check(self, components: list[Any], structure: Structure) -> None:
        """See that these can be the state: as `next`."""
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

    def add(self, function: UserFunction, value: Element) -> None:
        """The state that a function of it and an element gives; nothing is spread over arguments."""
        self.components = self.next(function.call(self.copy(), value))
