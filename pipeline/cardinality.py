"""How many elements a graph gives, without running it."""

from __future__ import annotations

from functools import singledispatch

from .nodes import (
    AssertCardinality,
    Batch,
    Bucket,
    Cache,
    Choose,
    Concatenate,
    Configured,
    Counter,
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

__all__ = ["INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "cardinality", "empty"]

#: The data never ends.
INFINITE_CARDINALITY = -1
#: Only reading tells.
UNKNOWN_CARDINALITY = -2


@singledispatch
def cardinality(node: Node) -> int:
    """The number of elements, INFINITE_CARDINALITY or UNKNOWN_CARDINALITY, by tf.data's rules."""
    raise TypeError(f"{type(node).__name__} has no cardinality")


@cardinality.register
def _(node: Rows) -> int:
    return len(node.arrays[0])


@cardinality.register
def _(node: Elements) -> int:
    return node.rows


@cardinality.register
def _(node: Numbered) -> int:
    return node.count


@cardinality.register
def _(node: Range) -> int:
    return len(range(node.start, node.stop, node.step))


@cardinality.register
def _(node: FileLeaf | ListFiles | Shelf | Generator) -> int:
    return UNKNOWN_CARDINALITY


@cardinality.register
def _(node: Decoded) -> int:
    known = cardinality(node.source)
    return node.count if known == UNKNOWN_CARDINALITY else known


@cardinality.register
def _(node: Counter | Random) -> int:
    return INFINITE_CARDINALITY


@cardinality.register
def _(node: Choose) -> int:
    known = {cardinality(each) for each in node.inputs}
    return INFINITE_CARDINALITY if known == {INFINITE_CARDINALITY} else UNKNOWN_CARDINALITY


@cardinality.register
def _(node: Sample) -> int:
    endless = [cardinality(each) == INFINITE_CARDINALITY for each in node.sources]
    ends = not (all(endless) if node.stop_on_empty else any(endless))
    return UNKNOWN_CARDINALITY if ends else INFINITE_CARDINALITY


@cardinality.register
def _(node: Cache | Map | Scan | Tagged | GlobalShuffle | Shuffle | Prefetch | Configured | Enumerate) -> int:
    return cardinality(node.source)


@cardinality.register
def _(node: Snapshot) -> int:
    return cardinality(node.sources[0])


@cardinality.register
def _(node: AssertCardinality) -> int:
    return node.count


@cardinality.register
def _(node: Unique) -> int:
    return UNKNOWN_CARDINALITY


@cardinality.register
def _(node: Rebatch) -> int:
    return INFINITE_CARDINALITY if cardinality(node.source) == INFINITE_CARDINALITY else UNKNOWN_CARDINALITY


@cardinality.register
def _(node: SparseBatch) -> int:
    known = cardinality(node.source)
    return known if known < 0 else -(-known // node.size)


@cardinality.register
def _(node: Filter | Bucket | Resample | WindowByKey) -> int:
    return UNKNOWN_CARDINALITY


@cardinality.register
def _(node: IgnoreErrors) -> int:
    return INFINITE_CARDINALITY if cardinality(node.source) == INFINITE_CARDINALITY else UNKNOWN_CARDINALITY


@cardinality.register
def _(node: Batch | PaddedBatch | RaggedBatch) -> int:
    known = cardinality(node.source)
    if known < 0:
        return known
    return known // node.size if node.drop_remainder else -(-known // node.size)


@cardinality.register
def _(node: Window) -> int:
    known = cardinality(node.source)
    if known < 0:
        return known
    lacking = (node.size - 1) * node.stride if node.drop_remainder else 0
    return -(-max(0, known - lacking) // node.shift)


@cardinality.register
def _(node: Repeat) -> int:
    known = cardinality(node.source)
    if node.count == 0 or known == 0:
        return 0
    if node.count < 0:
        return INFINITE_CARDINALITY
    return known if known < 0 else known * node.count


@cardinality.register
def _(node: Take) -> int:
    known = cardinality(node.source)
    if node.count < 0 or known == UNKNOWN_CARDINALITY:
        return 0 if node.count == 0 else known
    return node.count if known == INFINITE_CARDINALITY else min(known, node.count)


@cardinality.register
def _(node: Skip) -> int:
    known = cardinality(node.source)
    if node.count < 0:
        return 0
    return known if known < 0 else max(0, known - node.count)


@cardinality.register
def _(node: Shard) -> int:
    known = cardinality(node.source)
    return known if known < 0 else (known - node.index + node.count - 1) // node.count


@cardinality.register
def _(node: Zip) -> int:
    known = [cardinality(each) for each in node.sources]
    if UNKNOWN_CARDINALITY in known:
        return UNKNOWN_CARDINALITY
    return min((each for each in known if each >= 0), default=INFINITE_CARDINALITY)


@cardinality.register
def _(node: Concatenate) -> int:
    known = [cardinality(each) for each in node.sources]
    if INFINITE_CARDINALITY in known:
        return INFINITE_CARDINALITY
    return UNKNOWN_CARDINALITY if UNKNOWN_CARDINALITY in known else sum(known)


@cardinality.register
def _(node: FlatMap | Interleave | TakeWhile) -> int:
    return INFINITE_CARDINALITY if cardinality(node.source) == INFINITE_CARDINALITY else UNKNOWN_CARDINALITY


@cardinality.register
def _(node: Unbatch) -> int:
    known, each = cardinality(node.source), _rows_each(node.source)
    if known == INFINITE_CARDINALITY:
        return known
    return UNKNOWN_CARDINALITY if known < 0 or each is None else known * each


def empty(node: Node) -> bool:
    """Whether it is certain, without reading anything, that there are no elements.

    No operator makes something of nothing, so that this is known also where the number is not.
    """
    if cardinality(node) == 0:
        return True
    match node:
        case Concatenate(sources=sources) | Sample(sources=sources):
            return all(map(empty, sources))
        case Choose(choices=choices, sources=sources):
            return empty(choices) or all(map(empty, sources))
        case Snapshot(sources=(kept, _)):
            return empty(kept)
        case AssertCardinality():  # that there is nothing may be an error
            return node.count == 0
    return any(map(empty, node.inputs))


def _rows_each(node: Node) -> int | None:
    """How many rows each element has, where the graph tells that it is one number for all."""
    match node:
        case Batch() | PaddedBatch():
            return node.size if node.drop_remainder else None
        case Rows():
            return node.arrays[0].shape[1] if node.arrays[0].ndim > 1 else None
        case (
            Shuffle()
            | Cache()
            | Prefetch()
            | Configured()
            | IgnoreErrors()
            | Repeat()
            | Take()
            | Skip()
            | Shard()
            | Filter()
        ):
            return _rows_each(node.source)
    return None
