"""Fitting: whether elements are what an iterator was said to give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import MismatchError
from .spec import Shape, TensorSpec, spec_of
from .structure import Element, Structure, flatten_as_is

__all__ = ["Fit"]


@dataclass(slots=True)
class Fit:
    """A nesting of specs, and what agrees with it.

    Raises:
        MismatchError: a nesting of anything but TensorSpecs; `what` it is.

    >>> Fit("element_spec", {"x": TensorSpec([None], "float32")}).check({"x": TensorSpec([3], "int64")}, "the dataset")
    Traceback (most recent call last):
    headrace.pipeline.errors.MismatchError: component x is TensorSpec(shape=(None,), dtype=float32) here, and ...
    """

    what: str
    spec: Any
    specs: list[TensorSpec] = field(init=False)
    structure: Structure = field(init=False)

    def __post_init__(self) -> None:
        self.specs, self.structure = flatten_as_is(self.spec)
        for name, each in zip(self.structure.names(), self.specs, strict=True):
            if not isinstance(each, TensorSpec):
                raise MismatchError(f"{self.what}: component {name} is {each!r:.80}, not a TensorSpec")

    def check(self, spec: Any, whose: str) -> None:
        """Refuse a spec that no element can have that has this one.

        Raises:
            MismatchError: another structure, or a component of another dtype or shape, and which.
        """
        self._check(*flatten_as_is(spec), whose)

    def check_element(self, element: Element, whose: str) -> None:
        """Refuse an element that has not this spec, in the same way."""
        components, structure = flatten_as_is(element)
        self._check([spec_of(each) for each in components], structure, whose)

    def _check(self, specs: Sequence[TensorSpec], structure: Structure, whose: str) -> None:
        if structure != self.structure:
            here, there = (", ".join(each.names()) for each in (self.structure, structure))
            if here == there:
                here, there = (f"{each.kind} of {told}" for each, told in ((self.structure, here), (structure, there)))
            raise MismatchError(f"the components are {here} here, and {there} in {whose}: give it the same nesting")
        for name, one, other in zip(self.structure.names(), self.specs, specs, strict=True):
            if one.dtype != other.dtype or not _compatible(one.shape, other.shape):
                raise MismatchError(f"component {name} is {one} here, and {other} in {whose}")


def _compatible(one: Shape, other: Shape) -> bool:
    """Whether some array has both shapes."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(a == b or None in (a, b) for a, b in zip(one, other, strict=True))
