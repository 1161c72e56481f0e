"""Leaves: where elements come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from ..columns import Array
from ..functions import UserFunction
from ..mapped import MappedArray
from ..spec import DType
from ..structure import Structure
from .node import Node

__all__ = ["Csv", "FileLeaf", "FixedRecords", "Generator", "Lines", "ListFiles", "Range", "Records", "Rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows(Node):
    """The rows of arrays, in memory or in files, one array a component; arrays of `bytes` have dtype object."""

    structure: Structure
    arrays: tuple[Array | MappedArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Range(Node):
    """Integers from `start`, `step` apart, before `stop`."""

    start: int
    stop: int
    step: int
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class ListFiles(Node):
    """Names of the files that match, sorted; `resolve` replaces it by Rows."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Records(Node):
    """The records of TFRecord files, file after file."""

    filenames: Node
    compression: str = ""
    indexed: bool = False  #: Whether indexes lie beside the files: `resolve` replaces it by Numbered.


@dataclass(frozen=True, slots=True, eq=False)
class Lines(Node):
    """The lines of text files, file after file."""

    filenames: Node
    compression: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FixedRecords(Node):
    """Records of `record_bytes` each, between a header and a footer of so many bytes, file after file."""

    filenames: Node
    record_bytes: int
    header_bytes: int = 0
    footer_bytes: int = 0
    compression: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Csv(Node):
    """The records of CSV files as tuples of scalars, file after file.

    `dtypes` and `defaults` are one entry a component; a default of None is none. `columns` are those wanted, or, where
    `excluded`, those that are not, in order; None is all.
    """

    filenames: Node
    dtypes: tuple[Any, ...]
    defaults: tuple[Any, ...]
    columns: tuple[int, ...] | None = None
    excluded: bool = False
    delimiter: str = ","
    quotes: bool = True
    missing: bytes = b""  #: What stands where there is no value, beside nothing.
    header: bool = False
    compression: str = ""


#: What reads files, whose names are its input.
FileLeaf: TypeAlias = Records | Lines | FixedRecords | Csv


@dataclass(frozen=True, slots=True, eq=False)
class Generator(Node):
    """What a function's result gives when it is iterated over.

    `structure`, `shapes` and `dtypes` say what each element must be, one entry a component; None is anything.
    """

    function: UserFunction
    structure: Structure | None = None
    shapes: tuple[Any, ...] | None = None
    dtypes: tuple[Any, ...] | None = None
