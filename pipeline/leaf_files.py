"""The files that a leaf opens by itself, beside one that a unit of work names."""

from __future__ import annotations

import numpy as np

from .mapped import MappedArray
from .nodes import Node, Numbered, Rows
from .numbered import NumberedFiles
from .record_index import index_path
from .work import Work

__all__ = ["files_of"]


def files_of(leaf: Node | None, work: Work) -> list[str]:
    """Of a unit of work: those of its records that are found by number, and those that its arrays are mapped from."""
    match leaf:
        case Rows(arrays=arrays):
            return [each.path for each in arrays if isinstance(each, MappedArray)]
        case Numbered():
            assert work.stop is not None, "records that are found by number are counted"
            at = np.arange(work.start, work.stop) if work.only is None else np.array(work.only, np.int64)
            paths = NumberedFiles(leaf).files_of(work.offsets(at))
            return paths if leaf.record_bytes else [each for path in paths for each in (path, index_path(path))]
    return [work.path] if work.path else []
