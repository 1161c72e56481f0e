"""From what a user passed in to the leaves of the graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from .arguments import count_of
from .csv_given import csv_fields
from .errors import InvalidArgumentError
from .functions import UserFunction
from .mapped import mapped
from .nodes import (
    Concatenate,
    Configured,
    Counter,
    Csv,
    FixedRecords,
    FlatMap,
    Interleave,
    Lines,
    ListFiles,
    Node,
    Range,
    Records,
    Rows,
    Shuffle,
    Zip,
)
from .spec import as_dtype
from .structure import Element, Structure, flatten, flatten_as_is

__all__ = [
    "AUTOTUNE",
    "concatenated",
    "counted",
    "csv",
    "describe",
    "file_names",
    "fixed_records",
    "from_tensor_slices",
    "from_tensors",
    "integers",
    "interleaved",
    "joined",
    "lines",
    "list_files",
    "records",
    "seed_of",
]

COMPRESSIONS = ("", "GZIP", "ZLIB")
#: Integers of a range stay below, so that no arithmetic on them overflows.
LARGEST = 1 << 62
#: Leave a number to headrace.
AUTOTUNE = -1
#: How many datasets are interleaved where nobody says: the same on every machine, so that the order is.
CYCLE = 16
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
    return Rows(structure, tuple(map(mapped, components)))


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


def counted(start: Any, step: Any, dtype: Any) -> Counter:
    """Numbers without end, in the arithmetic of their dtype."""
    kind = as_dtype(dtype)
    if kind is bytes or np.dtype(kind).kind not in "iuf":
        raise InvalidArgumentError(f"counter cannot give {dtype}: use an integer or float type")
    if np.dtype(kind).kind != "f":
        return Counter(count_of("start", start), count_of("step", step), kind)
    try:
        return Counter(np.float64(start), np.float64(step), kind)
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"counter: start and step must be numbers, not {start!r} and {step!r}") from None


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


def records(names: Node, compression: str | None, num_parallel_reads: int | None, indexed: bool = False) -> Node:
    """TFRecord files."""
    if indexed:
        if compression_given(compression) or num_parallel_reads not in (None, 1):
            raise InvalidArgumentError(
                "index=True finds records by number: that needs files that are not compressed, and one order of "
                "records, without num_parallel_reads"
            )
        return Records(names, "", indexed=True)
    return _files(OneFile(Records, (compression_given(compression),)), names, num_parallel_reads)


def lines(names: Node, compression: str | None, num_parallel_reads: int | None) -> Node:
    """Text files."""
    return _files(OneFile(Lines, (compression_given(compression),)), names, num_parallel_reads)


def fixed_records(
    names: Node, sizes: tuple[Any, Any, Any], compression: str | None, num_parallel_reads: int | None
) -> Node:
    """Files of records of one size: that of a record, of the header and of the footer."""
    record, header, footer = sizes
    numbers = (
        count_of("record_bytes", record, least=1),
        0 if header is None else count_of("header_bytes", header, least=0),
        0 if footer is None else count_of("footer_bytes", footer, least=0),
    )
    return _files(OneFile(FixedRecords, (*numbers, compression_given(compression))), names, num_parallel_reads)


def csv(names: Node, compression: str | None, **given: Any) -> Csv:
    """CSV files; see `csv_given` for what else is given."""
    return Csv(names, compression=compression_given(compression), **csv_fields(**given))


def compression_given(name: str | None) -> str:
    """A compression that is known.

    Raises:
        InvalidArgumentError: it is none of them.
    """
    if (name or "") not in COMPRESSIONS:
        raise InvalidArgumentError(f"compression_type is {name!r}: it must be one of '', 'GZIP', 'ZLIB'")
    return name or ""


def _files(file: OneFile, names: Node, reads: int | None) -> Node:
    """Files one behind the other, or so many of them in turn, an element of each at a time."""
    number = None if reads is None else count_of("num_parallel_reads", reads, least=AUTOTUNE)
    if number == 0 or isinstance(reads, bool):
        raise InvalidArgumentError(f"num_parallel_reads is {reads!r}: it must be at least 1, or AUTOTUNE")
    if number in (None, 1):
        return file.read(names)
    return interleaved(names, UserFunction.of(file, "num_parallel_reads"), number, None)


@dataclass(frozen=True, slots=True)
class OneFile:
    """From a file's name to a dataset of what it holds."""

    kind: Callable[..., Node]
    arguments: tuple[Any, ...]  #: Behind the names.

    def read(self, names: Node) -> Node:
        """The leaf that reads files of these names."""
        return self.kind(names, *self.arguments)

    def __call__(self, name: Any) -> OneFile.Opened:
        """The dataset, as far as `interleave` needs one."""
        return self.Opened(self.read(file_names(name)))

    @dataclass(frozen=True, slots=True)
    class Opened:
        """What has a node, as a Dataset has."""

        node: Node


def interleaved(source: Node, function: UserFunction, cycle: int | None, block: int | None) -> Node:
    """So many of the datasets that a function makes of each element in turn, so much of each at a time.

    One at a time is `flat_map`, whatever the block.
    """
    cycle = CYCLE if cycle in (None, AUTOTUNE) else cycle
    return FlatMap(source, function) if cycle == 1 else Interleave(source, function, cycle or CYCLE, block or 1)


def joined(*args: Any, datasets: Any, kind: type[Any]) -> Zip:
    """What `zip` was given: datasets, or one nesting of them; `kind` is the class of a dataset."""
    if bool(args) == (datasets is not None):
        raise InvalidArgumentError("zip needs datasets, or one nesting of them, or `datasets=`, and only one of these")
    given = datasets if datasets is not None else args[0] if len(args) == 1 else args
    found, structure = flatten_as_is(given)
    for name, each in zip(structure.names(), found, strict=True):
        if not isinstance(each, kind):
            told = "a list: use a tuple" if isinstance(each, list) else type(each).__name__
            raise InvalidArgumentError(f"zip needs datasets; its component {name} is {told}")
    if not found:
        raise InvalidArgumentError("zip needs at least one dataset")
    return Zip(tuple(each.node for each in found), structure)


def concatenated(first: Node, then: Node) -> Concatenate:
    """One behind the other; what is concatenated already becomes one longer row, not a higher pile."""
    return Concatenate((*(first.sources if isinstance(first, Concatenate) else (first,)), then))


def seed_of(node: Node) -> int | None:
    """The seed that `Options` set, the outermost first."""
    if isinstance(node, Configured) and node.seed is not None:
        return node.seed
    found = (seed_of(each) for each in node.inputs)
    return next((seed for seed in found if seed is not None), None)


def describe(node: Node) -> str:
    """The graph in a line, from leaf to end."""
    own, below = type(node).__name__, ", ".join(map(describe, node.inputs))
    return " > ".join(filter(None, (f"({below})" if node.junction else below, own)))
