"""Reading TFRecord and text files through a Dataset."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError
from headrace.pipeline.records import TFRecordWriter

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


Write = Callable[..., str]
DATA = Path(__file__).parent.parent / "data" / "tfrecord"


def write_records(path: Path, records: list[bytes], compression: str = "") -> str:
    with TFRecordWriter(path, compression) as writer:
        for each in records:
            writer.write(each)
    return str(path)


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_records_come_file_after_file_whatever_the_compression(run: Run, tmp_path: Path, compression: str) -> None:
    one = write_records(tmp_path / "1", [b"a", b"", b"x" * 5000], compression)
    two = write_records(tmp_path / "2", [b"b"], compression)
    dataset = hr.TFRecordDataset([one, two], compression)
    assert run(dataset, epochs=2) == [[b"a", b"", b"x" * 5000, b"b"]] * 2
    assert dataset.cardinality() == hr.UNKNOWN_CARDINALITY


def test_file_names_come_as_text_paths_lists_or_a_dataset(run: Run, tmp_path: Path) -> None:
    path = write_records(tmp_path / "1", [b"a"])
    for names in (path, tmp_path / "1", [path], np.array([path]), Dataset.from_tensors(path), os.fsencode(path)):
        assert run(hr.TFRecordDataset(names)) == [[b"a"]], names  # type: ignore[arg-type]


def test_no_file_names_are_no_records(run: Run) -> None:
    assert run(hr.TFRecordDataset([])) == [[]]
    assert run(hr.TextLineDataset([]).repeat()) == [[]]


def test_file_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="file names must be text"):
        hr.TFRecordDataset([5])  # type: ignore[list-item]
    path = write_records(tmp_path / "1", [b"a"])
    iterator = iter(hr.TFRecordDataset(Dataset.range(1)))
    with pytest.raises(InvalidArgumentError, match="file names must be text"):
        next(iterator)
    assert list(iterator) == []
    batched = iter(hr.TextLineDataset(Dataset.from_tensor_slices([path]).batch(1)))
    with pytest.raises(InvalidArgumentError, match="file names must be text"):
        next(batched)


def test_an_unknown_compression_is_refused_when_the_dataset_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'GZIP', 'ZLIB'"):
        hr.TFRecordDataset(str(tmp_path), compression_type="SNAPPY")


def test_a_missing_file_raises_once_and_the_next_file_goes_on(tmp_path: Path) -> None:
    there = write_records(tmp_path / "1", [b"a"])
    iterator = iter(hr.TFRecordDataset([str(tmp_path / "missing"), there]))
    with pytest.raises(hr.NotFoundError, match="missing"):
        next(iterator)
    assert list(iterator) == [b"a"]


def test_a_damaged_record_raises_behind_the_intact_ones_and_names_file_and_offset(tmp_path: Path) -> None:
    path = write_records(tmp_path / "1", [b"first", b"second", b"third"])
    content = bytearray(Path(path).read_bytes())
    content[(12 + 5 + 4) + 12] ^= 1
    Path(path).write_bytes(content)
    after = write_records(tmp_path / "2", [b"after"])
    iterator = iter(hr.TFRecordDataset([path, after]))
    assert next(iterator) == b"first"
    with pytest.raises(hr.DataLossError) as caught:
        next(iterator)
    assert caught.value.path == path
    assert caught.value.offset == 21 + 12
    assert list(iterator) == [b"third", b"after"]


def test_a_cut_file_raises_behind_the_intact_records(tmp_path: Path) -> None:
    path = write_records(tmp_path / "1", [b"first", b"second"])
    Path(path).write_bytes(Path(path).read_bytes()[:-3])
    iterator = iter(hr.TFRecordDataset(path))
    assert next(iterator) == b"first"
    with pytest.raises(hr.DataLossError, match="cut"):
        next(iterator)
    with pytest.raises(StopIteration):
        next(iterator)


def test_a_name_that_no_file_can_have_is_a_typed_error(tmp_path: Path) -> None:
    iterator = iter(hr.TextLineDataset([f"{tmp_path}/a\0b", str(tmp_path)]))
    for _ in range(2):
        with pytest.raises(hr.NotFoundError):
            next(iterator)
    assert list(iterator) == []


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\n\n\nb", [b"a", b"", b"", b"b"]),
        (b"last line without an end", [b"last line without an end"]),
        (b"", []),
        (b"\n", [b""]),
        (b"a\rb\r\n", [b"ab"]),
        (b"\r\n", [b""]),
        (b"\xff\0\n", [b"\xff\0"]),
    ],
)
def test_lines_lose_their_ends_and_nothing_else(run: Run, text_file: Write, content: bytes, lines: list[bytes]) -> None:
    assert run(hr.TextLineDataset(text_file(content))) == [lines]


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
def test_compressed_text_reads_like_plain_text(run: Run, text_file: Write, compression: str) -> None:
    pack = gzip.compress if compression == "GZIP" else zlib.compress
    path = text_file(pack(b"a\r\n\nlast"))
    assert run(hr.TextLineDataset(path, compression)) == [[b"a", b"", b"last"]]


def test_lines_longer_than_a_piece_of_the_file_arrive_whole(run: Run, text_file: Write) -> None:
    long = bytes(range(32, 127)) * 40_000
    assert run(hr.TextLineDataset(text_file(b"a\n" + long + b"\nb"))) == [[b"a", long, b"b"]]


def test_text_cut_inside_its_gzip_stream_gives_whole_lines_and_then_an_error(text_file: Write) -> None:
    lines = [str(i).encode() for i in range(20_000)]
    iterator = iter(hr.TextLineDataset(text_file(gzip.compress(b"\n".join(lines))[:-2000]), "GZIP"))
    got = []
    with pytest.raises(hr.DataLossError):  # noqa: PT012
        while True:
            got.append(next(iterator))
    assert got == lines[: len(got)]
    assert got


def test_the_golden_file_reads_like_tensorflow_read_it(run: Run) -> None:
    assert run(hr.TFRecordDataset(DATA / "small.tfrecord").take(2)) == [[b"record 0", b""]]  # type: ignore[arg-type]
