"""Bucketing: elements of about one length collected and folded together, as `bucket_by_sequence_length` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .arguments import count_of
from .errors import HeadraceError, InvalidArgumentError
from .folding import Fold
from .nodes import Bucket
from .operators.group import Grouping
from .padding import Padding
from .place import Path
from .store import Handles, Store, Tags

__all__ = ["Buckets", "bucket_fold", "sizes_given"]


def sizes_given(boundaries: Sequence[Any], sizes: Sequence[Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Boundaries and batch sizes as they were given.

    Raises:
        InvalidArgumentError: boundaries that do not grow, sizes below 1, or not one size more than boundaries.
    """
    ends = tuple(count_of("bucket_boundaries", each) for each in boundaries)
    counts = tuple(count_of("bucket_batch_sizes", each, least=1) for each in sizes)
    if any(a >= b for a, b in pairwise(ends)):
        raise InvalidArgumentError(f"bucket_boundaries must grow, and not be {list(ends)}")
    if len(counts) != len(ends) + 1:
        raise InvalidArgumentError(
            f"bucket_batch_sizes has {len(counts)} entries for {len(ends)} bucket_boundaries: give one more, the last "
            "one for what is longer than all"
        )
    return ends, counts


def bucket_fold(node: Bucket, path: Path, number: int) -> Fold:
    """How the elements in a bucket become one."""
    if node.stacked:
        return Fold()
    shapes, first = node.shapes, None
    if node.to_boundary:
        first = node.boundaries[number] - 1
        shapes = shapes and tuple(tuple(first if each is None else each for each in shape) for shape in shapes)
    padding = Padding(shapes, node.values, node.shapes_nest, node.values_nest, first)
    return Fold(padding, (*path, number))


@dataclass(slots=True)
class Buckets(Grouping):
    """A bucket is a group; its number is the key."""

    node: Bucket
    path: Path

    @property
    def name(self) -> str:
        return "bucket_by_sequence_length"

    @property
    def portion(self) -> int:
        return min(self.node.sizes)

    @property
    def drop_remainder(self) -> bool:
        return self.node.drop_remainder

    def sort(self, tags: Tags) -> tuple[Any, Any]:
        keys = np.searchsorted(np.array(self.node.boundaries, np.int64), tags[:, 0], side="right")
        sizes = np.array(self.node.sizes, np.int64)
        if self.node.to_boundary:
            sizes[-1] = 0
        return keys, sizes[keys]

    def refusal(self, tag: int) -> HeadraceError:
        told = f"below the last of bucket_boundaries, {self.node.boundaries[-1]}" if self.node.boundaries else "bounded"
        return InvalidArgumentError(
            f"an element of length {tag}: with pad_to_bucket_boundary every length must be {told}. Filter longer ones "
            "out, cut them, or add a boundary"
        )

    def fits(self, key: int, size: int) -> bool:
        return 0 <= key < len(self.node.sizes) and 0 < size <= self.node.sizes[key]

    @property
    def several(self) -> bool:
        return self.node.stacked

    def make(self, store: Store, keys: list[int], handles: Handles) -> Handles:
        return bucket_fold(self.node, self.path, keys[0])(store, handles, len(handles) // len(keys))[0]
