"""Indexes of TFRecord files: what is written, what is refused, and records found by their numbers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline import numbered
from headrace.pipeline.blobs import Sent
from headrace.pipeline.errors import MalformedMessage
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.leaf_files import files_of
from headrace.pipeline.nodes import GlobalShuffle, Numbered
from headrace.pipeline.work import Work

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]

SMALL = "tests/data/tfrecord/small.tfrecord"


def indexed(path: Path, records: list[bytes]) -> str:
    """A file of these records with an index."""
    with hr.io.TFRecordWriter(path, index=True) as writer:
        for each in records:
            writer.write(each)
    return str(path)


def places(sizes: list[int]) -> list[int]:
    """Where records of these sizes begin: each has 12 bytes before it and 4 behind."""
    return [0, *np.cumsum([12 + size + 4 for size in sizes]).tolist()]


def test_the_index_is_as_docs_formats_says(tmp_path: Path) -> None:
    path = indexed(tmp_path / "a", [b"one", b"", b"x" * 1000])
    data = Path(path + ".index").read_bytes()
    *begins, size = places([3, 0, 1000])
    head = b"hrindex1" + struct.pack("<QQI", 3, size, google_crc32c.value(Path(path).read_bytes()))
    assert data == head + struct.pack("<I", google_crc32c.value(head)) + struct.pack("<3Q", *begins)


def test_an_index_written_later_is_the_same(tmp_path: Path) -> None:
    path = indexed(tmp_path / "a", [bytes(size) for size in range(200)])
    written = Path(path + ".index").read_bytes()
    Path(path + ".index").unlink()
    hr.io.write_index([path, tmp_path / "a"])
    assert Path(path + ".index").read_bytes() == written
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    hr.io.write_index(empty)
    assert list(hr.TFRecordDataset(str(empty), index=True)) == []


def test_records_are_counted_and_cut_without_reading_them(run: Run, tmp_path: Path) -> None:
    records = [b"%d" % i * (i % 5) for i in range(500)]
    parts = {"a": records[:123], "b": [], "c": records[123:]}
    files = [indexed(tmp_path / name, part) for name, part in parts.items()]
    dataset = hr.TFRecordDataset(files, index=True)
    assert len(dataset) == 500
    assert dataset.element_spec == hr.TensorSpec((), bytes)
    assert run(dataset.skip(100).take(350).shard(3, 1), epochs=2) == [records[101:450:3]] * 2
    assert run(dataset) == [records]
    assert [int(number) for number, _ in dataset.skip(3).enumerate().take(2)] == [0, 1]


def test_relative_names_and_patterns_are_names_too(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    indexed(tmp_path / "a.rec", [b"1", b"2"])
    indexed(tmp_path / "b.rec", [b"3"])
    monkeypatch.chdir(tmp_path)
    assert run(hr.TFRecordDataset(["b.rec", "a.rec"], index=True)) == [[b"3", b"1", b"2"]]
    assert len(hr.TFRecordDataset(Dataset.list_files("*.rec", shuffle=False), index=True)) == 3
    with pytest.raises(hr.InvalidArgumentError, match="list_files\\(shuffle=False\\)"):
        len(hr.TFRecordDataset(Dataset.list_files("*.rec"), index=True))


def test_more_files_than_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered, "OPEN", 3)
    files = [indexed(tmp_path / str(i), [b"%d" % i, b"%d again" % i]) for i in range(20)]
    dataset = hr.TFRecordDataset(files, index=True)
    assert list(dataset) == [each for i in range(20) for each in (b"%d" % i, b"%d again" % i)]
    assert sorted(dataset.global_shuffle(seed=1)) == sorted(dataset)
    before = len(list(Path("/proc/self/fd").iterdir()))
    list(dataset.global_shuffle(seed=1))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_damaged_record_fails_alone_and_says_where_it_is(run: Run, tmp_path: Path, outcomes: Outcomes) -> None:
    records = [b"%01000d" % i for i in range(400)]  # 1016 bytes each; the ends are 64 KiB
    path = indexed(tmp_path / "a", [*records, b"z" * 9000, *records])
    with Path(path).open("r+b") as file:
        for at, byte in ((100 * 1016 + 50, b"x"), (102 * 1016 + 1, b"x"), (400 * 1016 + 500, b"x")):
            file.seek(at)  # a payload, a length, a payload that is large
            file.write(byte)
    dataset = hr.TFRecordDataset(path, index=True)
    found = outcomes(iter(dataset))
    intact = [each for i, each in enumerate([*records, b"z" * 9000, *records]) if i not in (100, 102, 400)]
    assert [each for each in found if isinstance(each, bytes)] == intact
    for row, told in ((100, "data and their CRC"), (102, "length and its CRC"), (400, "data and their CRC")):
        assert found[row][0] is hr.DataLossError
        assert f"{path}, byte {row * 1016:,}: the record's {told} disagree" in found[row][1]
    assert run(dataset.skip(99).take(5).ignore_errors()) == [[records[99], records[101], records[103]]]


def test_a_file_that_is_not_that_of_its_index_is_refused(tmp_path: Path) -> None:
    path = indexed(tmp_path / "a", [b"one", b"two"])
    indexed(tmp_path / "b", [b"one", b"TWO"])
    (tmp_path / "a").write_bytes((tmp_path / "b").read_bytes())
    with pytest.raises(hr.FailedPreconditionError, match=rf"{path} has other content when {path}.index was written"):
        len(hr.TFRecordDataset(path, index=True))
    (tmp_path / "a").write_bytes((tmp_path / "b").read_bytes()[:19])
    with pytest.raises(hr.FailedPreconditionError, match="19 bytes, and had 38"):
        len(hr.TFRecordDataset(path, index=True))


def test_a_file_that_changes_while_it_is_used_is_a_typed_error(tmp_path: Path, outcomes: Outcomes) -> None:
    path = indexed(tmp_path / "a", [b"one", b"two"])
    dataset = hr.TFRecordDataset([path, indexed(tmp_path / "b", [b"three"])], index=True)
    assert len(dataset) == 3
    (tmp_path / "a").write_bytes(b"something else")
    found = outcomes(iter(dataset))
    assert [each[0] for each in found[:2]] == [hr.DataLossError] * 2
    assert "the file has 14 bytes, and had 38 when the pipeline was made" in found[0][1]
    assert found[2] == b"three"
    (tmp_path / "a").unlink()
    assert outcomes(iter(dataset))[0][0] is hr.NotFoundError


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[:20], "no index of records, or a damaged one"),
        (lambda data: b"x" + data[1:], "no index of records, or a damaged one"),
        (lambda data: data[:9] + b"\x07" + data[10:], "no index of records, or a damaged one"),
        (lambda data: data[:-8], "of 2 places 1.0 are there"),
    ],
)
def test_a_damaged_index_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], told: str) -> None:
    path = indexed(tmp_path / "a", [b"one", b"two"])
    index = Path(path + ".index")
    index.write_bytes(damage(index.read_bytes()))
    with pytest.raises(hr.DataLossError, match=told) as raised:
        len(hr.TFRecordDataset(path, index=True))
    assert "write it anew with hr.io.write_index(path)" in str(raised.value)


def test_places_that_cannot_be_are_refused(tmp_path: Path, outcomes: Outcomes) -> None:
    path = indexed(tmp_path / "a", [b"one", b"two"])
    index = Path(path + ".index")
    for wrong in (struct.pack("<QQ", 0, 1 << 63), struct.pack("<QQ", 19, 0), struct.pack("<QQ", 0, 5)):
        index.write_bytes(index.read_bytes()[:-16] + wrong)
        found = outcomes(iter(hr.TFRecordDataset(path, index=True)))
        assert [each[0] for each in found] == [hr.DataLossError] * 2, wrong


def test_no_index_is_told_with_the_way_to_one(tmp_path: Path) -> None:
    with hr.io.TFRecordWriter(tmp_path / "a") as writer:
        writer.write(b"a")
    with pytest.raises(hr.NotFoundError, match=r"write it anew with hr.io.write_index\(path\)"):
        len(hr.TFRecordDataset(str(tmp_path / "a"), index=True))


def test_what_cannot_be_indexed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="a compressed file cannot be entered"):
        hr.io.TFRecordWriter(tmp_path / "a", "GZIP", index=True)
    for arguments in ({"compression_type": "GZIP"}, {"num_parallel_reads": 2}):
        with pytest.raises(hr.InvalidArgumentError, match="index=True finds records by number"):
            hr.TFRecordDataset("a", index=True, **arguments)
    data = Path(SMALL).read_bytes()
    for content, told in (
        (data[:-3], "byte 81: the record here is cut"),
        (data + b"x" * 20, f"byte {len(data)}: the record here is damaged"),
    ):
        (tmp_path / "cut").write_bytes(content)
        with pytest.raises(hr.DataLossError, match=told):
            hr.io.write_index(tmp_path / "cut")


def test_a_writer_that_failed_leaves_no_index(tmp_path: Path) -> None:
    def write() -> None:
        with hr.io.TFRecordWriter(tmp_path / "a", index=True) as writer:
            writer.write(b"a")
            writer.write(b"b" * (1 // 0))

    with pytest.raises(ZeroDivisionError):
        write()
    assert not (tmp_path / "a.index").exists()
    assert list(hr.TFRecordDataset(str(tmp_path / "a"))) == [b"a"]


def test_a_worker_is_told_which_files_it_would_open(tmp_path: Path) -> None:
    files = [indexed(tmp_path / name, [b"1", b"2"]) for name in "abc"]
    leaf = hr.TFRecordDataset(files, index=True).resolved
    assert files_of(leaf, Work((1,), 5, 1, 3)) == [files[0], files[0] + ".index", files[1], files[1] + ".index"]
    assert files_of(leaf, Work((1,), 5, 0, 6, only=(5,))) == [files[2], files[2] + ".index"]


def test_a_graph_from_elsewhere_is_checked(tmp_path: Path) -> None:
    node = hr.TFRecordDataset(indexed(tmp_path / "a", [b"1", b"2"]), index=True).resolved
    assert isinstance(node, Numbered)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"count": -1}, "a count of -1"),
        ({"table": np.zeros((2, 3), np.int64)}, r"a table of \(2, 3\) int64 for 1 files"),
        ({"table": np.zeros((1, 3), np.int32)}, "a table of"),
        ({"filenames": Dataset.range(1).node}, "names that are no list"),
        ({"record_bytes": -1}, "record_bytes of -1"),
    ]
    for fields, told in wrong:
        with pytest.raises(MalformedMessage, match=told):
            decode_outline(encode(replace(node, **fields), Sent()))
    with pytest.raises(MalformedMessage, match="cannot be found by number"):
        decode_outline(encode(GlobalShuffle(hr.TextLineDataset("a").node), Sent()))
    lying = LocalLies(replace(node, count=5))
    with pytest.raises(hr.DataLossError, match="a table of records that is not that of these files"):
        next(iter(lying))


class LocalLies(Dataset):
    """A dataset of a resolved node that says what is not so."""

    @property
    def resolved(self) -> Any:
        return self.node
