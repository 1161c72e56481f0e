"""Declarations: what a user said that elements would be, and whether they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from .errors import InvalidArgumentError, MismatchError
from .spec import DType, Shape, TensorSpec, as_dtype, spec_of
from .structure import Structure, as_component, flatten_as_is

__all__ = ["apart", "declaration", "fitted"]

Declaration: TypeAlias = tuple[Structure, tuple[Shape, ...], tuple[DType, ...]]


def apart(value: Any, structure: Structure) -> list[Any]:
    """The components of a value that nests as declared; a list does for a tuple."""
    return list(_parts(value, structure, ""))


def _parts(value: Any, structure: Structure, name: str) -> Iterator[Any]:
    if structure.kind == "leaf":
        yield value
        return
    what = f"component {name}" if name else "an element"
    if structure.kind == "dict":
        if not isinstance(value, dict) or set(value) != set(structure.keys):
            raise MismatchError(f"{what} must be a dict with the keys {list(structure.keys)}, not {_shown(value)}")
        values = [value[key] for key in structure.keys]
    else:
        if not isinstance(value, tuple | list) or len(value) != len(structure.parts):
            raise MismatchError(f"{what} must be a tuple of {len(structure.parts)}, not {_shown(value)}")
        values = list(value)
    keys = structure.keys or range(len(values))
    for key, each, part in zip(keys, values, structure.parts, strict=True):
        yield from _parts(each, part, f"{name}.{key}" if name else str(key))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"one with {sorted(map(str, value))}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__


def fitted(what: str, value: Any, shape: Shape, dtype: DType) -> Any:
    """A value of the declared dtype and shape; plain Python numbers become what was declared, without loss.

    Raises:
        MismatchError: it is of another; the message says `what` it is.
    """
    declared = TensorSpec(shape, dtype)
    component = as_component(value)
    found = spec_of(component)
    if found.dtype != declared.dtype:
        component = _converted(what, value, component, declared)
    if not _shape_fits(np.shape(component) if not isinstance(component, bytes) else (), shape):
        raise MismatchError(f"{what} has shape {np.shape(component)}, and {declared} was declared")
    return component


def _converted(what: str, value: Any, component: Any, declared: TensorSpec) -> Any:
    """Plain Python numbers, also in lists, in the declared dtype."""
    dtype = declared.dtype
    if _is_plain(value) and dtype is not bytes and not isinstance(component, bytes) and component.dtype != object:
        exact = np.asarray(value)
        if np.can_cast(exact.dtype, dtype, "same_kind") or (
            exact.dtype.kind in "iu" and np.dtype(dtype).kind in "iufc"
        ):
            with np.errstate(all="ignore"):
                made = exact.astype(dtype)
            if exact.dtype.kind not in "iu" or np.dtype(dtype).kind not in "iu" or (made == exact).all():
                return made[()]
    given = spec_of(component)
    raise MismatchError(f"{what} is {given}, and {declared} was declared: convert it, or declare what it is")


def _is_plain(value: Any) -> bool:
    """Whether a value is made of Python's own numbers, which have no dtype yet."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return type(value) in (bool, int, float, complex)


def _shape_fits(found: tuple[int, ...], declared: Shape) -> bool:
    if declared is None:
        return True
    return len(found) == len(declared) and all(b in (None, a) for a, b in zip(found, declared, strict=True))


def declaration(types: Any, shapes: Any, signature: Any) -> Declaration | None:
    """Structure, shapes and dtypes from what a user gave; None where that is nothing.

    Raises:
        InvalidArgumentError: a signature beside types or shapes, or shapes alone.
        MismatchError: a signature of anything but TensorSpecs.
    """
    if signature is not None:
        if types is not None or shapes is not None:
            raise InvalidArgumentError("give output_signature, or output_types and output_shapes, not both")
        specs, structure = flatten_as_is(signature)
        for name, each in zip(structure.names(), specs, strict=True):
            if not isinstance(each, TensorSpec):
                raise MismatchError(f"output_signature: component {name} is {each!r}, not a TensorSpec")
    elif types is not None:
        dtypes, structure = flatten_as_is(types)
        found: list[Any] = [None] * len(dtypes) if shapes is None else apart(shapes, structure)
        specs = [TensorSpec(shape, as_dtype(dtype)) for shape, dtype in zip(found, dtypes, strict=True)]
    elif shapes is not None:
        raise InvalidArgumentError("output_shapes needs output_types beside it")
    else:
        return None
    return structure, tuple(each.shape for each in specs), tuple(each.dtype for each in specs)
