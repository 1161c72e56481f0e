"""From what a user passed in to the leaves of the graph."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .nodes import Configured, Lines, ListFiles, Node, Range, Records, Rows, Shuffle
from .spec import as_dtype
from .structure import Element, Structure, flatten

__all__ = [
    "describe",
    "file_names",
    "from_tensor_slices",
    "from_tensors",
    "integers",
    "lines",
    "list_files",
    "records",
    "seed_of",
]

COMPRESSIONS = ("", "GZIP", "ZLIB")
#: Integers of a range stay below, so that no arithmetic on them overflows.
LARGEST = 1 << 62
#: A shuffle over all that there is.
EVERYTHING = 1 << 40


def from_tensors(tensors: Element) -> Rows:
    """One row that holds everything."""
    components, structure = flatten(tensors)
    if not components:
        raise InvalidArgumentError("from_tensors needs at least one component")
    return Rows(structure, tuple(_row(each) for each in components))


def _row(component: Any) -> npt.NDArray[Any]:
    if isinstance(component, bytes):
        return _object_array([component])
    return np.asarray(component)[None]


def _object_array(items: Sequence[bytes]) -> npt.NDArray[Any]:
    array = np.empty(len(items), object)
    array[:] = list(items)
    return array


def from_tensor_slices(tensors: Element) -> Rows:
    """One row for each index of the arrays' first dimension; tuples and dicts nest, lists are arrays."""
    components, structure = flatten(tensors)
    if not components:
        raise InvalidArgumentError("from_tensor_slices needs at least one array")
    for name, each in zip(structure.names(), components, strict=True):
        if np.ndim(each) == 0:
            raise InvalidArgumentError(f"component {name} is a scalar, which has no slices: use from_tensors")
    lengths = {len(each) for each in components}
    if len(lengths) > 1:
        described = ", ".join(f"{n}: {len(c)}" for n, c in zip(structure.names(), components, strict=True))
        raise InvalidArgumentError(f"arrays to slice must have one length, not {described}")
    return Rows(structure, tuple(components))


def integers(*args: SupportsIndex, output_type: npt.DTypeLike) -> Range:
    """What Python's `range` takes."""
    if not 1 <= len(args) <= 3:
        raise InvalidArgumentError(
            f"range takes stop, or start and stop, or start, stop and step, not {len(args)} values"
        )
    try:
        numbers = range(*args)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"range{args!r}: {error}") from None
    if any(abs(each) > LARGEST for each in (numbers.start, numbers.stop, numbers.step)):
        raise InvalidArgumentError(f"range{args!r}: numbers must lie between -2**62 and 2**62")
    dtype = as_dtype(output_type)
    if dtype is bytes or np.dtype(dtype).kind not in "iuf":
        raise InvalidArgumentError(f"range cannot give {output_type}: use an integer or float type")
    return Range(numbers.start, numbers.stop, numbers.step, dtype)


def list_files(patterns: str | Sequence[str], shuffle: bool, seed: int | None) -> Node:
    """Matching file names, shuffled as a whole where asked."""
    one = isinstance(patterns, str | bytes | os.PathLike)
    names: list[Any] = [patterns] if one else list(np.asarray(patterns).reshape(-1).tolist())
    if not names:
        raise InvalidArgumentError("list_files needs a pattern")
    listing = ListFiles(tuple(_text(each) for each in names))
    return Shuffle(listing, EVERYTHING, seed) if shuffle else listing


def file_names(names: Any) -> Rows:
    """A leaf of file names, from a name or a list of them."""
    if isinstance(names, str | bytes | os.PathLike):
        names = [names]
    try:
        texts = [_text(each) for each in np.asarray(names, dtype=object).reshape(-1)]
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"file names must be text or a Dataset of text, not {names!r}") from None
    return Rows(Structure(), (_object_array([os.fsencode(each) for each in texts]),))


def _text(name: Any) -> str:
    return os.fsdecode(name)


def records(names: Node, compression: str | None, num_parallel_reads: int | None) -> Records:
    """TFRecord files."""
    return Records(names, _compression(compression, num_parallel_reads))


def lines(names: Node, compression: str | None, num_parallel_reads: int | None) -> Lines:
    """Text files."""
    return Lines(names, _compression(compression, num_parallel_reads))


def _compression(compression: str | None, num_parallel_reads: int | None) -> str:
    if num_parallel_reads not in (None, 1):
        raise InvalidArgumentError(
            f"num_parallel_reads={num_parallel_reads} asks for several files interleaved, which needs interleave, "
            "not there yet: leave it out; the service reads several files at once anyway"
        )
    if (compression or "") not in COMPRESSIONS:
        raise InvalidArgumentError(f"compression_type is {compression!r}: it must be one of '', 'GZIP', 'ZLIB'")
    return compression or ""


def seed_of(node: Node) -> int | None:
    """The seed that `Options` set, the outermost first."""
    if isinstance(node, Configured) and node.seed is not None:
        return node.seed
    found = (seed_of(each) for each in node.inputs)
    return next((seed for seed in found if seed is not None), None)


def describe(node: Node) -> str:
    """The graph in a line, from leaf to end."""
    own = type(node).__name__
    return " > ".join([*(describe(each) for each in node.inputs), own])
