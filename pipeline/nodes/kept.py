"""What keeps elements in files, and what finds them there."""

from __future__ import annotations

from dataclasses import dataclass

from .node import Node

__all__ = ["Shelf", "Snapshot"]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot(Node):
    """What the first of its two inputs gives in its first pass, in every pass and epoch; written to files by the way.

    Where that was done before an epoch begins, what the second one gives, which reads these files.
    """

    sources: tuple[Node, ...]
    path: str
    compression: str = ""
    digest: str = ""  #: The folder in `path`, by what the first input is; `resolve` says it.


@dataclass(frozen=True, slots=True, eq=False)
class Shelf(Node):
    """The names of the files of a finished snapshot; or, `apart`, a dataset for each of them."""

    path: str
    digest: str = ""
    apart: bool = False
