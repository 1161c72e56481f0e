"""Datasets of what files hold: records, lines, records of one size, CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import sources
from .dataset import Dataset
from .nodes import Node

__all__ = ["CsvDataset", "FixedLengthRecordDataset", "TFRecordDataset", "TextLineDataset"]


class TFRecordDataset(Dataset):
    """The records of TFRecord files as `bytes`, file after file.

    Args:
        filenames: a name, a list of names, or a Dataset of names.
        compression_type: "", "GZIP" or "ZLIB".
        index: use the indexes that `TFRecordWriter(path, index=True)` or `hr.io.write_index(paths)` wrote beside the
            files: then `len()` is known, `take`, `skip` and `shard` move no data, and `global_shuffle` is possible.

    Raises (when iterated):
        NotFoundError: a file is missing; the files after it can still be read.
        DataLossError: a damaged record, with file and offset.
        FailedPreconditionError: a file has changed since its index was written.

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
        *,
        index: bool = False,
    ) -> None:
        super().__init__(sources.records(_names(filenames), compression_type, num_parallel_reads, bool(index)))


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


class CsvDataset(Dataset):
    """The records of CSV files as tuples of scalars, one a column, file after file.

    Fields follow RFC 4180: in quotes they may hold delimiters and line ends, and a quote is written twice. A record
    that is wrong raises in its place, and the next one can still be read. In a service a file is cut into splits at
    line ends where `use_quote_delim=False` says that these always end a record; else one worker reads a whole file.

    Args:
        filenames: a name, a list of names, or a Dataset of names.
        record_defaults: one entry a column that is wanted: a dtype (integers, floats, `bytes`) where there must be a
            value, or the value that stands where there is none, `7` or `[7]`; a Python number is int32 or float32.
        compression_type: "", "GZIP" or "ZLIB".
        header: leave out the first record of each file.
        na_value: what stands where there is no value, beside nothing at all.
        select_cols: the numbers of the columns that are wanted, rising; what lies behind them is not looked at.
        exclude_cols: the numbers of those that are not; not with `select_cols`.

    Raises (when iterated):
        InvalidArgumentError: a record of too few or many fields, with quotes in the wrong place, or with a field that
            is not of its dtype, or missing; the message names file, byte and column.
        NotFoundError: a file is missing; the files after it can still be read.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w") as file:
    ...     print("name,size", '"a, b",3', "c,", sep="\\n", file=file, flush=True)
    ...     list(CsvDataset(file.name, [bytes, [7]], header=True))
    [(b'a, b', np.int32(3)), (b'c', np.int32(7))]
    """

    def __init__(
        self,
        filenames: str | Sequence[str] | Dataset,
        record_defaults: Sequence[Any],
        compression_type: str | None = None,
        buffer_size: int | None = None,
        header: bool = False,
        field_delim: str = ",",
        use_quote_delim: bool = True,
        na_value: str | bytes = "",
        select_cols: Sequence[int] | None = None,
        exclude_cols: Sequence[int] | None = None,
    ) -> None:
        node = sources.csv(
            _names(filenames),
            compression_type,
            record_defaults=record_defaults,
            header=header,
            field_delim=field_delim,
            use_quote_delim=use_quote_delim,
            na_value=na_value,
            select_cols=select_cols,
            exclude_cols=exclude_cols,
        )
        super().__init__(node)


def _names(filenames: Any) -> Node:
    if isinstance(filenames, Dataset):
        return filenames.node
    return sources.file_names(filenames)
