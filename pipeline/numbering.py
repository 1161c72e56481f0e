"""Numbering: from files whose records can be found by number to a leaf that finds them so."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .ends import Ends, ends_of
from .errors import InvalidArgumentError, NotFoundError
from .fixed import Frame
from .nodes import (
    Configured,
    Decoded,
    FixedRecords,
    GlobalShuffle,
    Items,
    Map,
    Node,
    Numbered,
    Prefetch,
    Range,
    Records,
    Rows,
    Shard,
    Skip,
    Take,
)
from .record_index import read_index

__all__ = ["number_records", "shuffled"]


def shuffled(node: Node, seed: int | None, reshuffle: bool) -> Node:
    """A global shuffle of a node; below the maps that it ends with, where it gives the same order.

    Raises:
        InvalidArgumentError: its elements cannot be found by number.
    """
    if isinstance(node, Map | Configured | Prefetch) and not isinstance(node, Items):
        return replace(node, source=shuffled(node.source, seed, reshuffle))
    if not _is_numbered(node):
        raise InvalidArgumentError(
            "global_shuffle needs elements that are found by number: rows of arrays, ranges, from_indexable, records "
            "of one size, TFRecord files with index, load, and take, skip, shard, map of them; not "
            f"{type(node).__name__}. Use shuffle(buffer_size); or for TFRecord files hr.io.write_index(paths) and then "
            "TFRecordDataset(paths, index=True)"
        )
    return GlobalShuffle(node, seed, reshuffle)


def _is_numbered(node: Node) -> bool:
    match node:
        case Rows() | Range() | Items() | Numbered():
            return True
        case Records(indexed=indexed):
            return indexed
        case FixedRecords(compression=compression):
            return not compression
        case Take() | Skip() | Shard() | GlobalShuffle() | Configured() | Prefetch() | Decoded():
            return _is_numbered(node.source)
    return False


def number_records(node: Node, folder: str) -> Node:
    """A graph in which files that are indexed, or of one size below a global shuffle, are leaves that can be counted.

    Their files are looked at now.

    Raises:
        NotFoundError: a file, or its index, is not there.
        DataLossError: an index is damaged, or a file holds no whole number of records.
        FailedPreconditionError: a file has changed since its index was written.
    """
    match node:
        case Records(indexed=True):
            return _numbered(node, folder, _of_index)
        case GlobalShuffle():
            return node.with_inputs(lambda each: _fixed(each, folder))
    return node


def _fixed(node: Node, folder: str) -> Node:
    match node:
        case FixedRecords():
            frame = Frame(node.record_bytes, node.header_bytes, node.footer_bytes)
            found = _numbered(node, folder, lambda path: _of_size(path, frame))
            return replace(found, record_bytes=node.record_bytes, header_bytes=node.header_bytes)
        case Take() | Skip() | Shard() | Configured() | Prefetch():
            return node.with_inputs(lambda each: _fixed(each, folder))
    return node


def _numbered(node: Records | FixedRecords, folder: str, look: Callable[[str], tuple[int, Ends]]) -> Numbered:
    listed = node.filenames.arrays[0] if isinstance(node.filenames, Rows) else None
    if not isinstance(listed, np.ndarray):
        raise InvalidArgumentError(
            "records are found by number in files whose names are a list, or come from list_files(shuffle=False): "
            "the order of files does not matter to a global shuffle"
        )
    names = [os.fsdecode(each) for each in listed]
    found = [look(os.path.join(folder, each)) for each in names]  # noqa: PTH118
    table = np.array([[records, *ends] for records, ends in found], np.int64).reshape(-1, 3)
    return Numbered(node.filenames, int(table[:, 0].sum()), table, folder=folder)


def _of_index(path: str) -> tuple[int, Ends]:
    found = read_index(path)
    return found.records, found.ends


def _of_size(path: str, frame: Frame) -> tuple[int, Ends]:
    try:
        ends = ends_of(path)
    except OSError as error:
        raise NotFoundError(path, f"cannot be opened: {error.strerror}") from error
    return (frame.end(path, ends[0]) - frame.header) // frame.record, ends
