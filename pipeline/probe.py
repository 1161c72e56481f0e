"""Probing: what a graph's elements look like."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from itertools import islice
from typing import Any

import numpy as np

from .errors import InvalidArgumentError
from .local import LocalIterator
from .nested import block_of, opened
from .nodes import (
    AssertCardinality,
    Batch,
    Bucket,
    Cache,
    Choose,
    Concatenate,
    Configured,
    Counter,
    Csv,
    Decoded,
    Elements,
    Enumerate,
    FileLeaf,
    Filter,
    FlatMap,
    Generator,
    GlobalShuffle,
    IgnoreErrors,
    Interleave,
    ListFiles,
    Map,
    Node,
    Numbered,
    PaddedBatch,
    Prefetch,
    RaggedBatch,
    Random,
    Range,
    Rebatch,
    Repeat,
    Resample,
    Rows,
    Sample,
    Scan,
    Shard,
    Shelf,
    Shuffle,
    Skip,
    Snapshot,
    SparseBatch,
    Tagged,
    Take,
    TakeWhile,
    Unbatch,
    Unique,
    Window,
    WindowByKey,
    Zip,
)
from .spec import DatasetSpec, Shape, TensorSpec, spec_of, unify
from .stacking import SPARSE, Ragged, is_composite, stacked_specs
from .structure import DATASET, LEAF, Structure, flat_tuple, flatten
from .unstacking import unstacked_specs
from .verdicts import policy_of

__all__ = ["check_alike", "element_spec", "is_known", "known_shapes", "known_specs", "ragged_ranks"]

#: How many elements are looked at where a function decides what they are.
SAMPLE = 3


def element_spec(node: Node, seed: int) -> Any:
    """`TensorSpec`s, nested like the elements.

    Raises:
        InvalidArgumentError: a function's results are asked for, and there is no element to see one.
    """
    specs, structure = _specs(_lenient(node) if policy_of(node).skip else node, seed)
    return structure.plain.pack(specs)


def _lenient(node: Node) -> Node:
    """A graph whose elements can be looked at also where the first ones fail."""
    found = node.with_inputs(_lenient)
    return IgnoreErrors(found) if _is_looked_at(found) else found


def _is_looked_at(node: Node) -> bool:
    """Whether only its elements tell their specs."""
    if isinstance(node, Generator | Decoded):
        return node.structure is None or node.shapes is None or node.dtypes is None
    return _specs.dispatch(type(node)) is _specs.dispatch(Node)


def known_shapes(node: Node) -> tuple[tuple[tuple[int | None, ...], ...], Structure] | None:
    """The shapes of a node's elements, one a component, where they are known without computing any."""
    if not is_known(node):
        return None
    specs, structure = _specs(node, 0)
    shapes = tuple(each.shape for each in specs if each.shape is not None)
    return (shapes, structure) if len(shapes) == len(specs) else None


def check_alike(one: Node, other: Node) -> None:
    """Refuse elements that cannot stand in one dataset, as far as that can be told without computing any.

    Raises:
        InvalidArgumentError: their structures or dtypes differ.
    """
    if is_known(one) and is_known(other):
        _unified([_specs(one, 0), _specs(other, 0)])


def known_specs(node: Node) -> list[TensorSpec] | None:
    """One a component, where they are known without looking at any element."""
    return _specs(node, 0)[0] if is_known(node) else None


def ragged_ranks(node: Node) -> tuple[int | None, ...] | None:
    """How many dimensions of each component may vary, as far as that is known: up to the last that is left open."""
    specs = known_specs(node)
    return None if specs is None else tuple(_varying(each.shape) for each in specs)


def _varying(shape: Shape) -> int | None:
    return None if shape is None else max((k + 1 for k, each in enumerate(shape) if each is None), default=0)


def is_known(node: Node) -> bool:
    """Whether the specs of a node's elements are known without looking at any."""
    if isinstance(node, Generator | Decoded):
        return not _is_looked_at(node)
    if isinstance(node, Snapshot):
        return is_known(node.sources[0])
    return not _is_looked_at(node) and all(map(is_known, node.inputs))


def _unified(found: Sequence[tuple[list[TensorSpec], Structure]]) -> tuple[list[TensorSpec], Structure]:
    """The narrowest specs that cover all of these."""
    specs, structure = found[0]
    for others, other in found[1:]:
        if other != structure:
            raise InvalidArgumentError(
                f"elements differ in structure: {structure.names()} and {other.names()}; give both one nesting in a map"
            )
        specs = [unify(a, b) for a, b in zip(specs, others, strict=True)]
    return specs, structure


@singledispatch
def _specs(node: Node, seed: int) -> tuple[list[TensorSpec], Structure]:
    """By looking at the first elements."""
    return _sampled(node, seed)


def _sampled(node: Node, seed: int) -> tuple[list[TensorSpec], Structure]:
    """The specs that cover the first elements."""
    sample = [flatten(each) for each in islice(LocalIterator(node, seed, 0, tells=False), SAMPLE)]
    if not sample:
        raise InvalidArgumentError(
            "element_spec cannot be told: a function makes the elements, and there is none to see"
        )
    return _unified([(specs_of(components, structure), structure) for components, structure in sample])


def specs_of(components: Sequence[Any], structure: Structure) -> list[TensorSpec]:
    """The specs of an element's components as they stand."""
    pairs = zip(components, structure.leaves(), strict=True)
    return [
        DatasetSpec(element_spec(opened(each).node, 0)) if leaf.kind == "dataset" else spec_of(each)
        for each, leaf in pairs
    ]


@_specs.register
def _(node: Elements, seed: int) -> tuple[list[TensorSpec], Structure]:
    rows = [flatten(each) for each in islice(block_of(node), SAMPLE)]
    return _unified([(specs_of(components, structure), structure) for components, structure in rows])


@_specs.register
def _(node: Window, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed)
    return [DatasetSpec(each) for each in specs], structure.over([DATASET] * len(specs))


@_specs.register
def _(node: WindowByKey, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed)
    return [TensorSpec((), np.int64), DatasetSpec(structure.plain.pack(specs))], flat_tuple(2).over([LEAF, DATASET])


@_specs.register
def _(node: Rows, seed: int) -> tuple[list[TensorSpec], Structure]:
    pairs = zip(node.arrays, node.structure.leaves(), strict=True)
    return [_of_rows(array) if leaf.kind == "leaf" else _of_datasets(array) for array, leaf in pairs], node.structure


def _of_rows(array: Any) -> TensorSpec:
    return TensorSpec(array.shape[1:], array.dtype)


def _of_datasets(contents: Any) -> TensorSpec:
    return DatasetSpec(element_spec(opened(contents[0]).node, 0)) if len(contents) else _of_rows(contents)


@_specs.register
def _(node: Range | Counter, seed: int) -> tuple[list[TensorSpec], Structure]:
    return [TensorSpec((), node.dtype)], Structure()


@_specs.register
def _(node: Random, seed: int) -> tuple[list[TensorSpec], Structure]:
    return [TensorSpec((), np.int64)], Structure()


@_specs.register
def _(node: FileLeaf | Numbered | ListFiles, seed: int) -> tuple[list[TensorSpec], Structure]:
    return [TensorSpec((), bytes)], Structure()


@_specs.register
def _(node: Shelf, seed: int) -> tuple[list[TensorSpec], Structure]:
    return [TensorSpec((), bytes)], DATASET if node.apart else LEAF


@_specs.register
def _(node: Snapshot, seed: int) -> tuple[list[TensorSpec], Structure]:
    return _specs(node.sources[0], seed)


@_specs.register
def _(node: Csv, seed: int) -> tuple[list[TensorSpec], Structure]:
    return [TensorSpec((), each) for each in node.dtypes], flat_tuple(len(node.dtypes))


@_specs.register
def _(
    node: Filter
    | Cache
    | Tagged
    | TakeWhile
    | GlobalShuffle
    | Shuffle
    | Repeat
    | Take
    | Skip
    | Shard
    | Prefetch
    | Configured
    | Unique
    | AssertCardinality,
    seed: int,
) -> tuple[list[TensorSpec], Structure]:
    return _specs(node.source, seed)


@_specs.register
def _(node: IgnoreErrors, seed: int) -> tuple[list[TensorSpec], Structure]:
    return _sampled(node, seed) if _is_looked_at(node.source) else _specs(node.source, seed)


@_specs.register
def _(node: Enumerate | Resample, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed)
    return [TensorSpec((), np.int64), *specs], Structure("tuple", (), (Structure(), structure))


@_specs.register
def _(node: Zip, seed: int) -> tuple[list[TensorSpec], Structure]:
    found = [_specs(each, seed) for each in node.sources]
    return [spec for specs, _ in found for spec in specs], node.structure.over([structure for _, structure in found])


@_specs.register
def _(node: Concatenate | Choose | Sample, seed: int) -> tuple[list[TensorSpec], Structure]:
    return _unified([_specs(each, seed) for each in node.sources])


@_specs.register
def _(node: Generator | Decoded, seed: int) -> tuple[list[TensorSpec], Structure]:
    if node.structure is None or node.shapes is None or node.dtypes is None:
        return _sampled(node, seed)
    return [TensorSpec(*each) for each in zip(node.shapes, node.dtypes, strict=True)], node.structure


@_specs.register
def _(node: Unbatch, seed: int) -> tuple[list[TensorSpec], Structure]:
    return unstacked_specs(*_specs(node.source, seed))


def _batched(node: Batch | PaddedBatch, shape: Shape) -> Shape:
    return None if shape is None else (node.size if node.drop_remainder else None, *shape)


@_specs.register
def _(node: Batch, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed)
    if is_composite(structure):
        return stacked_specs(specs, structure, node.size if node.drop_remainder else None)
    return [TensorSpec(_batched(node, each.shape), each.dtype) for each in specs], structure


@_specs.register
def _(node: RaggedBatch, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed)
    rows = node.size if node.drop_remainder else None
    return stacked_specs(specs, structure, rows, Ragged(node.ranks, node.splits_dtype))


@_specs.register
def _(node: SparseBatch, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, _ = _specs(node.source, seed)
    rank = len(node.row_shape) + 1
    shapes: list[Shape] = [(None, rank), (None,), (rank,)]
    dtypes = [np.int64, specs[0].dtype, np.int64]
    return [TensorSpec(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)], SPARSE


@_specs.register
def _(node: Rebatch, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed)
    rows = node.sizes[0] if node.drop_remainder and len(set(node.sizes)) == 1 else None
    return [TensorSpec(None if each.shape is None else (rows, *each.shape), each.dtype) for each in specs], structure


@_specs.register
def _(node: PaddedBatch, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _padded(node, seed)
    return [TensorSpec(_batched(node, each.shape), each.dtype) for each in specs], structure


@_specs.register
def _(node: Bucket, seed: int) -> tuple[list[TensorSpec], Structure]:
    specs, structure = _specs(node.source, seed) if node.stacked else _padded(node, seed)
    return [TensorSpec(None if each.shape is None else (None, *each.shape), each.dtype) for each in specs], structure


def _padded(node: PaddedBatch | Bucket, seed: int) -> tuple[list[TensorSpec], Structure]:
    """Of an element once it is padded."""
    specs, structure = _specs(node.source, seed)
    shapes: list[Shape] = [each.shape for each in specs]
    if node.shapes is not None and len(node.shapes) == len(specs):
        shapes = list(node.shapes)
    elif _is_sampled(node):
        # That the first few are of one length is no promise about the others, which is why they are padded.
        shapes = [None if each is None else (None,) * len(each) for each in shapes]
    return [TensorSpec(shape, each.dtype) for shape, each in zip(shapes, specs, strict=True)], structure


def _is_sampled(node: Node) -> bool:
    return isinstance(node, Map | FlatMap | Interleave | Generator | Scan) or any(
        _is_sampled(each) for each in node.inputs
    )
