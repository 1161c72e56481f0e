"""Datasets of what files hold: records and lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import sources
from .dataset import Dataset
from .nodes import Node

__all__ = ["TFRecordDataset", "TextLineDataset"]


class TFRecordDataset(Dataset):
    """The records of TFRecord files as `bytes`, file after file.

    Args:
        filenames: a name, a list of names, or a Dataset of names.
        compression_type: "", "GZIP" or "ZLIB".

    Raises (when iterated):
        NotFoundError: a file is missing; the files after it can still be read.
        DataLossError: a damaged record, with file and offset.

    >>> list(TFRecordDataset("tests/data/tfrecord/small.tfrecord").take(2))
    [b'record 0', b'']
    """

    def __init__(
        self,
        filenames: str | Sequence[str] | Dataset,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(sources.records(_names(filenames), compression_type, num_parallel_reads))


class TextLineDataset(Dataset):
    """The lines of text files as `bytes`, without their line ends, file after file. Arguments as TFRecordDataset."""

    def __init__(
        self,
        filenames: str | Sequence[str] | Dataset,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(sources.lines(_names(filenames), compression_type, num_parallel_reads))


def _names(filenames: Any) -> Node:
    if isinstance(filenames, Dataset):
        return filenames.node
    return sources.file_names(filenames)
