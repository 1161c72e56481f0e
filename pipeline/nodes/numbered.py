"""What finds elements by number."""

from __future__ import annotations

from dataclasses import dataclass

from ..columns import Array
from .node import Node

__all__ = ["GlobalShuffle", "Numbered"]


@dataclass(frozen=True, slots=True, eq=False)
class Numbered(Node):
    """Records of files of which it is known where each begins: `resolve` makes it of others, having looked at them.

    Records of TFRecord files with an index beside them or, where `record_bytes` is not 0, of that size each.
    """

    filenames: Node  #: Rows.
    count: int  #: Of all records.
    table: Array  #: int64 [files, 3]: each one's records, bytes, and CRC of its ends.
    record_bytes: int = 0
    header_bytes: int = 0
    folder: str = ""  #: In which relative names are looked up.


@dataclass(frozen=True, slots=True, eq=False)
class GlobalShuffle(Node):
    """All elements in a random order, found by number. Its input can be counted."""

    source: Node
    seed: int | None = None
    reshuffle: bool = True
