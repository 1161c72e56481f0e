"""Validity: what the arguments of a node must be, asked of a graph that came from elsewhere.

The methods of Dataset refuse wrong arguments where they are called; who writes messages by hand calls none of them.
What is valid here can be planned and built without an error other than ours.
"""

from __future__ import annotations

from functools import singledispatch
from itertools import pairwise
from typing import Any

import numpy as np

from .arguments import MOST
from .cardinality import cardinality
from .csv_given import MOST_COLUMNS, is_csv_dtype, is_delimiter
from .leaves import countable
from .mapped import MappedArray
from .nested import layout_in
from .nodes import (
    AssertCardinality,
    Batch,
    Bucket,
    Cache,
    Configured,
    Counter,
    Csv,
    Decoded,
    Elements,
    Enumerate,
    FixedRecords,
    Generator,
    GlobalShuffle,
    Interleave,
    Lines,
    Node,
    Numbered,
    PaddedBatch,
    Prefetch,
    RaggedBatch,
    Random,
    Range,
    Rebatch,
    Records,
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
    Window,
    WindowByKey,
    Zip,
)
from .shares import are_shares
from .sources import COMPRESSIONS, LARGEST
from .spec import DType
from .tags import KINDS, NUMBER, PREDICATE, SIZE

__all__ = ["fault", "misplaced"]


@singledispatch
def fault(node: Node) -> str | None:
    """What is wrong with a node's own arguments, its inputs apart; None where nothing is.

    >>> fault(Range(0, 10, 0, np.dtype(np.int64)))
    'a step of 0'
    """
    return None


def _outside(least: int, **numbers: int | None) -> str | None:
    """The first number, by its name, that is less than `least` or larger than any may be."""
    found = (f"a {name} of {n}" for name, n in numbers.items() if n is not None and not least <= n <= MOST)
    return next(found, None)


@fault.register
def _(node: Rows) -> str | None:
    if not node.arrays or len(node.arrays) != node.structure.size:
        return f"{len(node.arrays)} arrays for {node.structure.size} components"
    if any(each.ndim == 0 for each in node.arrays) or len({len(each) for each in node.arrays}) > 1:
        return "arrays of no or unequal length"
    return None


@fault.register
def _(node: Range) -> str | None:
    if max(abs(node.start), abs(node.stop), abs(node.step)) > LARGEST:
        return "numbers beyond 2**62"
    if node.dtype is bytes or np.dtype(node.dtype).kind not in "iuf":
        return f"a dtype of {node.dtype}"
    return None if node.step else "a step of 0"


@fault.register
def _(node: Records | Lines) -> str | None:
    return None if node.compression in COMPRESSIONS else f"a compression of {node.compression!r}"


@fault.register
def _(node: Numbered) -> str | None:
    names = node.filenames
    if not isinstance(names, Rows) or len(names.arrays) != 1 or isinstance(names.arrays[0], MappedArray):
        return "names that are no list"
    if node.table.shape != (len(names.arrays[0]), 3) or node.table.dtype != np.int64:
        return f"a table of {node.table.shape} {node.table.dtype} for {len(names.arrays[0])} files"
    sizes = _outside(0, record_bytes=node.record_bytes, header_bytes=node.header_bytes)
    return sizes or _outside(0, count=node.count) or ("too many records" if node.count > LARGEST else None)


@fault.register
def _(node: GlobalShuffle) -> str | None:
    found = countable(node.source)
    if found is None or cardinality(found.leaf) < 0:
        return "an input whose elements cannot be found by number"
    return _outside(-MOST, seed=node.seed)


@fault.register
def _(node: Csv) -> str | None:
    if node.compression not in COMPRESSIONS:
        return f"a compression of {node.compression!r}"
    count, columns = len(node.dtypes), node.columns
    if not count or len(node.defaults) != count or not all(map(is_csv_dtype, node.dtypes)):
        return "components that are none"
    if not all(each is None or _is_of(each, dtype) for each, dtype in zip(node.defaults, node.dtypes, strict=True)):
        return "defaults of other dtypes"
    if columns is None:
        return None if is_delimiter(node.delimiter) else f"a delimiter of {node.delimiter!r}"
    rising = all(low < high for low, high in pairwise((-1, *columns, MOST_COLUMNS)))
    if not rising or (not node.excluded and len(columns) != count):
        return "columns that are none"
    return None if is_delimiter(node.delimiter) else f"a delimiter of {node.delimiter!r}"


def _is_of(value: Any, dtype: DType) -> bool:
    return isinstance(value, bytes) if dtype is bytes else isinstance(value, np.generic) and value.dtype == dtype


@fault.register
def _(node: FixedRecords) -> str | None:
    if node.compression not in COMPRESSIONS:
        return f"a compression of {node.compression!r}"
    return _outside(1, record_bytes=node.record_bytes) or _outside(
        0, header_bytes=node.header_bytes, footer_bytes=node.footer_bytes
    )


@fault.register
def _(node: Counter) -> str | None:
    kind = "" if node.dtype is bytes else np.dtype(node.dtype).kind
    if kind == "f":
        return None if isinstance(node.start, np.float64) and isinstance(node.step, np.float64) else "no float64"
    if kind not in ("i", "u") or type(node.start) is not int or type(node.step) is not int:
        return f"a dtype of {node.dtype}, or numbers of another"
    return _outside(-MOST, start=node.start, step=node.step)


@fault.register
def _(node: Random) -> str | None:
    return _outside(-MOST, seed=node.seed)


@fault.register
def _(node: Sample) -> str | None:
    if not isinstance(node.weights, Node):
        good = isinstance(node.weights, tuple) and all(map(_is_weight, node.weights))
        if not good or len(node.weights) != len(node.sources):
            return f"no weight for each of {len(node.sources)} inputs"
    return _outside(-MOST, seed=node.seed)


def _is_weight(value: Any) -> bool:
    return isinstance(value, np.float64) and bool(0 < value < np.inf)


@fault.register
def _(node: Decoded) -> str | None:
    return _outside(-2, count=node.count) or _unsaid(node)


@fault.register
def _(node: Generator) -> str | None:
    return _unsaid(node)


def _unsaid(node: Generator | Decoded) -> str | None:
    """What is wrong with the specs that a node was given."""
    said = (node.structure, node.shapes, node.dtypes)
    if node.structure is None or node.shapes is None or node.dtypes is None:
        return None if said == (None, None, None) else "only a part of its specs"
    if not len(node.shapes) == len(node.dtypes) == node.structure.size:
        return "specs of another number of components"
    if not all(each is None or _is_shape(each) for each in node.shapes):
        return "a shape that is none"
    return None if all(each is None or _is_dtype(each) for each in node.dtypes) else "a dtype that is none"


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(each is None or (type(each) is int and each >= 0) for each in value)


def _is_dtype(value: DType | Any) -> bool:
    return value is bytes or isinstance(value, np.dtype)


@fault.register
def _(node: Interleave) -> str | None:
    return _outside(1, cycle=node.cycle, block=node.block)


@fault.register
def _(node: Shuffle) -> str | None:
    return _outside(1, size=node.size) or _outside(-MOST, seed=node.seed)


@fault.register
def _(node: Batch) -> str | None:
    return _outside(1, size=node.size)


@fault.register
def _(node: Scan) -> str | None:
    if not node.arrays or len(node.arrays) != node.structure.size:
        return f"{len(node.arrays)} arrays for a state of {node.structure.size} components"
    return None if all(each.ndim and len(each) == 1 for each in node.arrays) else "a state that is none"


@fault.register
def _(node: RaggedBatch) -> str | None:
    if node.splits_dtype not in (np.dtype(np.int32), np.dtype(np.int64)):
        return f"row splits of {node.splits_dtype}"
    ranks = (_outside(0, rank=each) for each in node.ranks or ())
    return _outside(1, size=node.size) or next(filter(None, ranks), None)


@fault.register
def _(node: SparseBatch) -> str | None:
    lengths = (_outside(0, length=each) for each in node.row_shape)
    return _outside(1, size=node.size) or next(filter(None, lengths), None)


@fault.register
def _(node: Rebatch) -> str | None:
    if not any(node.sizes):
        return "no size above 0"
    return next(filter(None, (_outside(0, size=each) for each in node.sizes)), None)


@fault.register
def _(node: AssertCardinality) -> str | None:
    return _outside(-1, count=node.count)


@fault.register
def _(node: PaddedBatch) -> str | None:
    return _outside(1, size=node.size) or _unpadded(node)


def _unpadded(node: PaddedBatch | Bucket) -> str | None:
    """What is wrong with what elements are padded to, or with."""
    if not all(each is None or isinstance(each, bytes | np.generic) for each in node.values or ()):
        return "a padding value that is none"
    lengths = [each for shape in node.shapes or () for each in shape]
    return next(filter(None, (_outside(0, length=each) for each in lengths)), None)


@fault.register
def _(node: Bucket) -> str | None:
    if len(node.sizes) != len(node.boundaries) + 1 or list(node.boundaries) != sorted(set(node.boundaries)):
        return f"{len(node.boundaries)} boundaries for {len(node.sizes)} sizes"
    wrong = [_outside(1, size=each) for each in node.sizes] + [_outside(-MOST, boundary=e) for e in node.boundaries]
    return next(filter(None, wrong), None) or _unpadded(node) or _untagged(node.source, NUMBER)


@fault.register
def _(node: Repeat | Take | Skip) -> str | None:
    return _outside(-MOST, count=node.count)


@fault.register
def _(node: Tagged) -> str | None:
    if node.kind not in KINDS:
        return f"a tag of kind {node.kind!r:.20}"
    return None if node.kind != SIZE else _untagged(node.source, NUMBER)


@fault.register
def _(node: TakeWhile) -> str | None:
    return _untagged(node.source, PREDICATE)


def misplaced(node: Node) -> str | None:
    """What is wrong with an operator that gets tags, where it is none that looks at them; None where nothing is."""
    looks = isinstance(node, TakeWhile | Bucket | Resample | WindowByKey | Snapshot)
    if looks or (isinstance(node, Tagged) and node.kind == SIZE):
        return None
    return "elements whose tags nobody looks at" if any(isinstance(each, Tagged) for each in node.inputs) else None


def _untagged(source: Node, kind: str) -> str | None:
    """What is wrong where elements need a tag of a kind."""
    return None if isinstance(source, Tagged) and source.kind == kind else f"elements that have no {kind}"


@fault.register
def _(node: Window) -> str | None:
    return _outside(1, size=node.size, shift=node.shift, stride=node.stride)


@fault.register
def _(node: WindowByKey) -> str | None:
    if node.size is not None:
        return _outside(1, size=node.size) or _untagged(node.source, NUMBER)
    return _untagged(node.source, SIZE)


@fault.register
def _(node: Elements) -> str | None:
    nbytes = layout_in(node).nbytes
    return None if node.buffer.dtype == np.uint8 and node.buffer.shape == (nbytes,) else "content of another size"


@fault.register
def _(node: Resample) -> str | None:
    if not are_shares(node.target) or (node.initial is not None and not are_shares(node.initial)):
        return "shares of classes that are none"
    if node.initial is not None and len(node.initial) != len(node.target):
        return f"{len(node.target)} classes of {len(node.initial)}"
    if any(a == 0 < b for a, b in zip(node.initial or (), node.target, strict=False)):
        return "a class that is to come and does not"
    return _outside(-MOST, seed=node.seed) or _untagged(node.source, NUMBER)


@fault.register
def _(node: Snapshot) -> str | None:
    if len(node.sources) != 2 or node.compression not in COMPRESSIONS:
        return f"{len(node.sources)} inputs, or a compression of {node.compression!r:.20}"
    kept, reader = node.sources
    if isinstance(reader, Tagged):
        return "elements whose tags nobody looks at"
    sharded = _untagged(kept, NUMBER) if isinstance(kept, Tagged) else None
    return sharded or _unnamed(node)


@fault.register
def _(node: Shelf) -> str | None:
    return _unnamed(node)


def _unnamed(node: Snapshot | Shelf) -> str | None:
    """What is wrong with the folder where elements are kept."""
    named = node.path and "\0" not in node.path and node.digest.isalnum() | (not node.digest)
    return None if named else "a folder that is none"


@fault.register
def _(node: Shard) -> str | None:
    return _outside(1, count=node.count) or (None if 0 <= node.index < node.count else f"an index of {node.index}")


@fault.register
def _(node: Enumerate) -> str | None:
    return _outside(-MOST, start=node.start)


@fault.register
def _(node: Zip) -> str | None:
    if len(node.sources) == node.structure.size:
        return None
    return f"{len(node.sources)} inputs for {node.structure.size} components"


@fault.register
def _(node: Cache) -> str | None:
    return "a filename that is none" if "\0" in node.filename else None


@fault.register
def _(node: Prefetch) -> str | None:
    return _outside(-1, size=node.size)


@fault.register
def _(node: Configured) -> str | None:
    if node.on_error is not None and (not node.on_error or "\0" in node.on_error):
        return "an on_error that names no file"
    errors = _outside(0, error_budget=node.error_budget)
    return _outside(-MOST, seed=node.seed) or _outside(1, buffer_bytes=node.buffer_bytes) or errors
