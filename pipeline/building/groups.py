"""How operators that make elements of several are built: batches, buckets, windows."""

from __future__ import annotations

import numpy as np

from ..bucketing import Buckets
from ..folding import Fold
from ..nodes import (
    Batch,
    Bucket,
    PaddedBatch,
    RaggedBatch,
    Rebatch,
    Resample,
    SparseBatch,
    Window,
    WindowByKey,
)
from ..operators.batch import BatchOperator
from ..operators.group import GroupOperator
from ..operators.protocol import Operator
from ..operators.rebatch import RebatchOperator
from ..operators.resample import ResampleOperator
from ..operators.window import WindowOperator
from ..padding import Padding
from ..place import START, Place
from ..seeds import derive
from ..stacking import Ragged, Sparse
from ..windowing import KeyedWindows, WindowFold
from .core import Settings, build

__all__ = ["padding_of"]


@build.register
def _(node: Batch, to: Settings, at: Place = START) -> Operator:
    allocate = to.allocate if node is to.top else None
    source = build(node.source, to, at)
    return BatchOperator(source, to.store, node.size, node.drop_remainder, Fold(allocate=allocate))


@build.register
def _(node: RaggedBatch, to: Settings, at: Place = START) -> Operator:
    fold = Fold(Ragged(node.ranks, node.splits_dtype), at.path(node))
    return BatchOperator(build(node.source, to, at), to.store, node.size, node.drop_remainder, fold)


@build.register
def _(node: SparseBatch, to: Settings, at: Place = START) -> Operator:
    fold = Fold(Sparse(node.row_shape), at.path(node))
    return BatchOperator(build(node.source, to, at), to.store, node.size, False, fold)


@build.register
def _(node: Rebatch, to: Settings, at: Place = START) -> Operator:
    source = build(node.source, to, at)
    if len(node.sizes) == 1:
        return BatchOperator(source, to.store, node.sizes[0], node.drop_remainder)
    origin = derive("rebatch", list(at.path(node)), list(at.passes))
    return RebatchOperator(source, to.store, node.sizes, node.drop_remainder, origin)


def padding_of(node: PaddedBatch) -> Padding:
    """How a padded batch makes its elements equal."""
    return Padding(node.shapes, node.values, node.shapes_nest, node.values_nest)


@build.register
def _(node: PaddedBatch, to: Settings, at: Place = START) -> Operator:
    fold = Fold(padding_of(node), at.path(node))
    return BatchOperator(build(node.source, to, at), to.store, node.size, node.drop_remainder, fold)


@build.register
def _(node: Bucket, to: Settings, at: Place = START) -> Operator:
    return GroupOperator(build(node.source, to, at), to.store, Buckets(node, at.path(node)), to.buffer_bytes)


@build.register
def _(node: Window, to: Settings, at: Place = START) -> Operator:
    fold, source = WindowFold(at.path(node), False), build(node.source, to, at)
    return WindowOperator(source, to.store, node.size, node.shift, node.stride, node.drop_remainder, fold)


@build.register
def _(node: WindowByKey, to: Settings, at: Place = START) -> Operator:
    return GroupOperator(build(node.source, to, at), to.store, KeyedWindows(node, at.path(node)), to.buffer_bytes)


@build.register
def _(node: Resample, to: Settings, at: Place = START) -> Operator:
    own = ["seed", node.seed] if node.seed is not None else ["path", to.seed, *at.path(node)]
    key = derive("resample", own, to.epoch, list(at.passes))
    initial = None if node.initial is None else np.array(node.initial)
    return ResampleOperator(build(node.source, to, at), to.store, np.array(node.target), initial, key)
