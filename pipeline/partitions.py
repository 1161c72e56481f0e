"""Partitions: values divided into rows, and rows into longer ones, as a RaggedFeature says.

Everything is of a batch: `splits` say where the values of each of its rows begin, and those of a partition's feature
where its numbers do. What these numbers say counts from 0 in each row of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from .parts import Rows
from .ragged import RaggedTensor, splits_of_lengths
from .ragged_feature import Partition, RaggedFeature
from .work import too_large

__all__ = ["Refuse", "divided"]

Words: TypeAlias = npt.NDArray[np.int64]
#: Raises the error for a row of the batch, with a reason.
Refuse: TypeAlias = Callable[[int, str], NoReturn]


def divided(
    values: Any, splits: Words, partition: Partition, numbers: Rows | None, dtype: np.dtype[Any], refuse: Refuse
) -> tuple[Any, Words]:
    """Values in rows of their own, and as splits how many of these rows each row of the batch has.

    `values` are a RaggedTensor or an array, which rows of one length give one dimension more; `numbers` are those of
    the partition's feature.

    Raises:
        ResourceExhaustedError: more empty rows than a batch can hold.
    """
    if isinstance(partition, RaggedFeature.UniformRowLength):
        return _uniform(values, splits, partition.length, dtype, refuse)
    assert numbers is not None
    own = np.diff(splits)
    if isinstance(partition, RaggedFeature.ValueRowIds):
        lengths, outer = _by_ids(numbers, splits, refuse)
    else:
        lengths, outer = _by_places(partition, numbers, own, refuse)
    inner = splits_of_lengths(lengths)
    bad = np.diff(inner[outer]) != own
    bad[_owners(outer)[lengths < 0]] = True
    if bad.any():
        row = int(np.argmax(bad))
        refuse(row, f"its numbers do not divide the {own[row]} values")
    return RaggedTensor(values, inner.astype(dtype)), outer


def _owners(splits: Words) -> Words:
    """The row of every value."""
    return np.repeat(np.arange(len(splits) - 1), np.diff(splits))


def _uniform(values: Any, splits: Words, length: int, dtype: np.dtype[Any], refuse: Refuse) -> tuple[Any, Words]:
    if (uneven := splits % length != 0).any():
        row = int(np.argmax(uneven)) - 1
        refuse(row, f"there are {splits[row + 1] - splits[row]} to be divided")
    splits = splits // length
    if isinstance(values, RaggedTensor):
        return RaggedTensor(values, (np.arange(splits[-1] + 1) * length).astype(dtype)), splits
    return values.reshape(-1, length, *values.shape[1:]), splits


def _by_places(partition: Partition, numbers: Rows, own: Words, refuse: Refuse) -> tuple[Words, Words]:
    """The length of every row that comes of lengths, or of places where rows begin or end."""
    places, outer = numbers
    owners = _owners(outer)
    # Before anything is subtracted: differences of hostile numbers wrap around.
    if (outside := (places < 0) | (places > own[owners])).any():
        row = int(owners[np.argmax(outside)])
        refuse(row, f"it has {places[np.argmax(outside)]}, and there are {own[row]} values")
    if isinstance(partition, RaggedFeature.RowLengths):
        return places, outer
    firsts, lasts = outer[:-1][np.diff(outer) > 0], outer[1:][np.diff(outer) > 0] - 1
    if isinstance(partition, RaggedFeature.RowStarts):
        behind = np.append(places[1:], 0)
        behind[lasts] = own[owners[lasts]]
        return behind - places, outer
    before = np.append(0, places[:-1])
    before[firsts] = 0
    lengths = places - before
    if not isinstance(partition, RaggedFeature.RowSplits):
        return lengths, outer
    # The first number of each row is no end of one.
    if places[firsts].any():
        refuse(int(owners[firsts[np.argmax(places[firsts] != 0)]]), "its first number is not 0")
    return np.delete(lengths, firsts), outer - splits_of_lengths(np.diff(outer) > 0)


def _by_ids(numbers: Rows, splits: Words, refuse: Refuse) -> tuple[Words, Words]:
    """The length of every row that comes of a number beside each value."""
    ids, bounds = numbers
    owners = _owners(splits)
    if (bounds != splits).any():
        row = int(np.argmax(bounds != splits)) - 1
        refuse(row, f"it has {bounds[row + 1] - bounds[row]} numbers for {splits[row + 1] - splits[row]} values")
    fallen = np.append(ids[:1] < 0, (ids[1:] < ids[:-1]) & (owners[1:] == owners[:-1])) | (ids < 0)
    if fallen.any():
        refuse(int(owners[np.argmax(fallen)]), "its numbers fall, or begin below 0")
    filled = np.diff(splits) > 0
    counts = np.zeros(len(splits) - 1, np.int64)
    last = ids[splits[1:][filled] - 1]
    if error := too_large(int(8 * last.sum(dtype=np.float64))):
        raise error
    counts[filled] = last + 1
    outer = splits_of_lengths(counts)
    return np.bincount(ids + outer[owners], minlength=int(outer[-1])), outer
