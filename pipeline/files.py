"""Datasets of what files hold: records, lines and records of one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import sources
from .dataset import Dataset
from .nodes import Node

__all__ = ["FixedLengthRecordDataset", "TFRecordDataset", "TextLineDataset"]


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


class FixedLengthRecordDataset(Dataset):
    """Records of `record_bytes` each as `bytes`, from between a header and a footer of every file, file after file.

    `np.frombuffer(record, dtype)` in a map makes numbers of one. Other arguments as TFRecordDataset.

    Raises (when iterated):
        NotFoundError: a file is missing; the files after it can still be read.
        DataLossError: a file that holds no whole number of records, with file and sizes. Of a file as it is no record
            is given then; of a compressed one, whose size only its end tells, those before the rest.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"header" b"one" b"two"), file.flush()
    ...     list(FixedLengthRecordDataset(file.name, 3, header_bytes=6))
    [b'one', b'two']
    """

    def __init__(
        self,
        filenames: str | Sequence[str] | Dataset,
        record_bytes: int,
        header_bytes: int | None = None,
        footer_bytes: int | None = None,
        buffer_size: int | None = None,
        compression_type: str | None = None,
        num_parallel_reads: int | None = None,
        name: str | None = None,
    ) -> None:
        sizes = (record_bytes, header_bytes, footer_bytes)
        super().__init__(sources.fixed_records(_names(filenames), sizes, compression_type, num_parallel_reads))


def _names(filenames: Any) -> Node:
    if isinstance(filenames, Dataset):
        return filenames.node
    return sources.file_names(filenames)
