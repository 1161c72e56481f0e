"""Probing: what a graph's elements look like."""

from __future__ import annotations

from functools import singledispatch
from itertools import islice
from typing import Any

from .errors import InvalidArgumentError
from .local import LocalIterator
from .nodes import (
    Batch,
    Configured,
    Filter,
    Lines,
    ListFiles,
    Map,
    Node,
    PaddedBatch,
    Prefetch,
    Range,
    Records,
    Repeat,
    Rows,
    Shuffle,
    Skip,
    Take,
)
from .spec import Shape, TensorSpec, spec_of, unify
from .structure import Structure, flatten

__all__ = ["element_spec"]

#: How many elements are looked at where a function decides what they are.
SAMPLE = 3


def element_spec(node: Node, seed: int) -> Any:
    """`TensorSpec`s, nested like the elements.

    Raises:
        InvalidArgumentError: a function's results are asked for, and there is no element to see one.
    """
    specs, structure = _specs(node, seed)
    return structure.pack(specs)


@singledispatch
def _specs(node: Node, seed: int) -> tuple[list[TensorSpec], Structure]:
    """By looking at the first elements."""
    sample = [flatten(each) for each in islice(LocalIterator(node, seed, 0), SAMPLE)]
    if not sample:
        raise InvalidArgumentError(
            "element_spec cannot be told: a function makes the elements, and there is none to see"
        )
    specs = [spec_of(each) for each in sample[0][0]]
    for components, structure in sample[1:]:
        if structure != sample[0][1]:
            raise InvalidArgumentError("elements differ in structure: make the function return one nesting for all")
        specs = [unify(one, spec_of(each)) for one, each in zip(specs, components, strict=True)]
    return specs, sample[0][1]


@_specs.register
def _(node: Rows, seed: int) -> tuple[list[TensorSpec], Structure]:
    return [TensorSpec(each.shape[1:], each.dtype) for each in node.arrays], node.structure


@_specs.register
def _(node: Range, seed: int) -> tuple[list[TensorSpec], Structure]:
    return [TensorSpec((), node.dtype)], Structure()


@_specs.register
def _(node: Records | Lines | ListFiles, seed: int) -> tuple[list[TensorSpec], Structure]:
    return [TensorSpec((), bytes)], Structure()


@_specs.register
def _(
    node: Filter | Shuffle | Repeat | Take | Skip | Prefetch | Configured, seed: int
) -> tuple[list[TensorSpec], Structure]:
    return _specs(node.source, seed)


def _batched(node: Batch | PaddedBatch, shape: Shape) -> Shape:
    return None if shape is None else (node.size if node.drop_remainder else None, *shape)


@_specs.register
def _(node: Batch, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed)
    return [TensorSpec(_batched(node, each.shape), each.dtype) for each in specs], structure


@_specs.register
def _(node: PaddedBatch, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed)
    shapes: list[Shape] = [each.shape for each in specs]
    if node.shapes is not None and len(node.shapes) == len(specs):
        shapes = list(node.shapes)
    elif _is_sampled(node):
        # That the first few are of one length is no promise about the others, which is why they are padded.
        shapes = [None if each is None else (None,) * len(each) for each in shapes]
    return [TensorSpec(_batched(node, shape), each.dtype) for shape, each in zip(shapes, specs, strict=True)], structure


def _is_sampled(node: Node) -> bool:
    return isinstance(node, Map) or any(_is_sampled(each) for each in node.inputs)
