"""TFRecord files, against TensorFlow's files and results, and against damage."""

from __future__ import annotations

import gzip
import json
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.pipeline import records
from headrace.pipeline.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from headrace.pipeline.kernels.crc import crc32c, masked_crc
from headrace.pipeline.limits import limits
from headrace.pipeline.records import TFRecordWriter, masked, read_records, scan_records

GOLDEN = Path(__file__).parents[1] / "data" / "tfrecord"
OUTCOMES: dict[str, dict[str, Any]] = json.loads((GOLDEN / "read_outcomes.json").read_text())
SMALL = (GOLDEN / "small.tfrecord").read_bytes()
SMALL_RECORDS = [b"record 0", b"", b"record 2, a little longer", b"record 3"]
PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, "GZIP": gzip.compress, "ZLIB": zlib.compress}


def framed(payload: bytes) -> bytes:
    """A record, by the format's description and another CRC than the one under test."""
    length = struct.pack("<Q", len(payload))
    return b"".join((length, _masked(length), payload, _masked(payload)))


def _masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)


def outcome(path: Path, name: str = "", **how: int) -> tuple[list[bytes], DataLossError | None]:
    """The records that a file gives, and the error that ends it."""
    found: list[bytes] = []
    try:
        for chunk in read_records(str(path), name, **how):
            found += chunk.payloads()
    except DataLossError as error:
        return found, error
    return found, None


def numbered(path: Path, count: int, size: int = 40) -> list[bytes]:
    """A file of `count` records, and what they hold."""
    payloads = [str(i).encode().ljust(size + i % 7, b".") for i in range(count)]
    path.write_bytes(b"".join(map(framed, payloads)))
    return payloads


@pytest.mark.parametrize("chunk_bytes", [1, 13, 50, 4 << 20])
@pytest.mark.parametrize("name", [name for name in OUTCOMES if name != "cut_in_header.tfrecord"])
def test_a_file_gives_what_tensorflow_gives_and_ends_as_there(name: str, chunk_bytes: int) -> None:
    expected = OUTCOMES[name]
    found, error = outcome(GOLDEN / name, expected["compression"] or "", chunk_bytes=chunk_bytes)
    assert found == [text.encode() for text in expected["records_before"]]
    assert (error is None) == (expected["then"] == "end of data")
    places = [int(word.strip("'")) for word in expected["then"].split() if word.strip("'").isdigit()]
    if places and error is not None:
        assert error.offset == places[0]
        assert error.path == str(GOLDEN / name)


def test_a_file_cut_inside_a_header_is_damaged_where_tensorflow_sees_its_end() -> None:
    found, error = outcome(GOLDEN / "cut_in_header.tfrecord")
    assert found == SMALL_RECORDS[:2]
    assert error is not None
    assert error.offset == 40


@pytest.mark.parametrize(("name", "trailer"), [("GZIP", 8), ("ZLIB", 4)])
def test_a_compressed_file_without_its_trailer_gives_all_records_and_then_the_damage(
    name: str, trailer: int, tmp_path: Path
) -> None:
    path = tmp_path / "cut"
    path.write_bytes(PACK[name](SMALL)[:-trailer])
    found, error = outcome(path, name)
    assert found == SMALL_RECORDS
    assert error is not None
    assert error.offset == len(SMALL)


@pytest.mark.parametrize("name", ["", "GZIP", "ZLIB"])
def test_examples_are_the_same_through_every_compression(name: str) -> None:
    suffix = f"{name.lower()}." if name else ""
    found, error = outcome(GOLDEN / f"examples.{suffix}tfrecord", name)
    assert error is None
    assert [len(each) for each in found] == [
        each["length"] for each in json.loads((GOLDEN / "examples.json").read_text())
    ]


@pytest.mark.parametrize("name", ["", "GZIP", "ZLIB"])
@pytest.mark.parametrize("chunk_bytes", [1, 100, 4 << 20])
def test_offsets_are_those_of_the_headers_in_the_uncompressed_content(
    name: str, chunk_bytes: int, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(PACK[name](SMALL))
    chunks = list(read_records(str(path), name, chunk_bytes=chunk_bytes))
    offsets = np.concatenate([chunk.offsets for chunk in chunks]).tolist()
    assert offsets == [0, 24, 40, 81]
    assert [chunk.next_offset for chunk in chunks] == [*(int(c.offsets[0]) for c in chunks[1:]), len(SMALL)]


@pytest.mark.parametrize("name", ["", "GZIP"])
def test_consecutive_ranges_give_every_record_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    payloads = numbered(path, 300)
    places = scan_records(str(path), every=1000)
    path.write_bytes(PACK[name](path.read_bytes()))
    parts = [outcome(path, name, start=a, stop=b, chunk_bytes=333) for a, b in pairwise(places)]
    assert [record for part, _ in parts for record in part] == payloads
    assert len(parts) > 10


def test_a_record_is_of_the_range_in_which_its_header_begins(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(SMALL)
    assert outcome(path, start=24, stop=41)[0] == SMALL_RECORDS[1:3]
    assert outcome(path, start=24, stop=40)[0] == SMALL_RECORDS[1:2]
    assert outcome(path, start=40, stop=40)[0] == []
    assert outcome(path, start=len(SMALL))[0] == []


def test_a_range_that_a_cut_file_no_longer_has_is_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(SMALL[:40])
    assert isinstance(outcome(path, start=81)[1], DataLossError)


@pytest.mark.parametrize("name", ["", "GZIP", "ZLIB"])
def test_a_record_much_larger_than_a_chunk_is_read(name: str, tmp_path: Path) -> None:
    payloads = [b"small", np.random.default_rng(0).bytes(300_000), b"", b"after"]
    path = tmp_path / "file"
    path.write_bytes(PACK[name](b"".join(map(framed, payloads))))
    assert outcome(path, name, chunk_bytes=1000) == (payloads, None)


def test_chunks_are_about_as_large_as_asked_and_own_their_bytes(tmp_path: Path) -> None:
    payloads = numbered(tmp_path / "file", 1000)
    chunks = list(read_records(str(tmp_path / "file"), chunk_bytes=5000))
    assert 8 < len(chunks) < 20
    assert all(chunk.data.flags.owndata and len(chunk.data) <= 5000 for chunk in chunks)
    assert [each for chunk in chunks for each in chunk.payloads()] == payloads


def test_a_whole_file_is_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    record = framed(bytes(1 << 20))
    with path.open("wb") as file:
        for _ in range(64):
            file.write(record)
    sum(map(len, read_records(str(path), chunk_bytes=1 << 20)))
    tracemalloc.start()
    try:
        assert sum(map(len, read_records(str(path), chunk_bytes=1 << 20))) == 64
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["", "GZIP"])
@pytest.mark.parametrize("claimed", [2**31, 2**40, 2**62, 2**63, 2**64 - 1])
def test_a_length_that_lies_with_a_right_crc_is_refused_and_allocates_nothing(
    claimed: int, name: str, tmp_path: Path
) -> None:
    length = struct.pack("<Q", claimed)
    path = tmp_path / "file"
    path.write_bytes(PACK[name](SMALL + length + _masked(length) + b"some bytes"))
    tracemalloc.start()
    try:
        found, error = outcome(path, name)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert found == SMALL_RECORDS
    assert error is not None
    assert error.offset == len(SMALL)


@pytest.mark.parametrize("large", [1, records.LARGE, sys.maxsize])
@pytest.mark.parametrize("at", [0, 17, 9_999, 10_000])
def test_damage_in_large_records_is_seen_by_either_crc(
    at: int, large: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LARGE", large)
    payloads = [bytes([i]) * 10_000 for i in range(5)]
    content = bytearray(b"".join(map(framed, payloads)))
    content[2 * 10_016 + 12 + at] ^= 1
    path = tmp_path / "file"
    path.write_bytes(content)
    found, error = outcome(path)
    assert found == payloads[:2]
    assert error is not None
    assert error.offset == 2 * 10_016 + 12


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(SMALL) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_anywhere_loses_its_record_and_none_before(
    at: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(SMALL)
    content[at] ^= flip
    path = tmp_path_factory.mktemp("changed") / "file"
    path.write_bytes(content)
    found, error = outcome(path)
    record = max(i for i, begin in enumerate([0, 24, 40, 81]) if begin <= at)
    assert found == SMALL_RECORDS[:record]
    assert error is not None


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300), start=st.sampled_from(["", "GZIP", "ZLIB"]), rest=st.booleans())
def test_any_bytes_end_in_a_typed_error_or_well(
    content: bytes, start: str, rest: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes((PACK[start](SMALL)[: len(content)] if rest else b"") + content)
    found, error = outcome(path, start, chunk_bytes=64)
    assert error is not None or not content or found or start
    assert scan_records(str(path), every=10)[0] == 0


def test_a_missing_file_and_a_folder_are_not_found(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.tfrecord", tmp_path):
        with pytest.raises(NotFoundError, match=path.name):
            list(read_records(str(path)))
        with pytest.raises(NotFoundError, match=path.name):
            scan_records(str(path), 100)


def test_an_unknown_compression_is_refused_at_once_naming_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r'"" for none, "GZIP" or "ZLIB"'):
        read_records("any", "gzip")
    with pytest.raises(ValueError, match="GZIP"):
        TFRecordWriter(tmp_path / "file", "BROTLI")


@pytest.mark.parametrize("name", ["GZIP", "ZLIB"])
def test_a_stream_that_grows_past_both_ceilings_is_refused_and_past_one_is_read(
    name: str, tmp_path: Path, enforced: Callable[..., None]
) -> None:
    path = tmp_path / "zeros"
    payloads = [bytes(100_000)] * 30
    path.write_bytes(PACK[name](b"".join(map(framed, payloads))))
    assert limits().content_ratio * path.stat().st_size < 3_000_000
    assert outcome(path, name) == (payloads, None)
    enforced(content_bytes=1_000_000)
    found, error = outcome(path, name)
    assert found == payloads[: len(found)]
    assert len(found) < 12
    assert error is not None
    assert "1,000,000" in error.reason
    enforced(content_bytes=1_000_000, content_ratio=1500)
    assert outcome(path, name) == (payloads, None)


@pytest.mark.parametrize("every", [1, 47, 1000, 10**6])
def test_scanned_places_are_where_records_begin_about_as_far_apart_as_asked(every: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    numbered(path, 3000)
    size = path.stat().st_size
    begins = np.concatenate([chunk.offsets for chunk in read_records(str(path))]).tolist()
    places = scan_records(str(path), every)
    assert places[0] == 0
    assert places[-1] == size
    assert set(places[1:-1]) <= set(begins)
    assert all(every <= b - a < every + 63 for a, b in pairwise(places[:-1]))
    assert places[-1] - places[-2] < every + 63


def test_scanning_jumps_over_large_records(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"".join(framed(bytes(size)) for size in (5_000_000, 10, 3_000_000, 10, 10, 10)))
    assert scan_records(str(path), every=1_000_000) == [0, 5_000_016, 8_000_058, path.stat().st_size]


def test_scanning_an_empty_file_finds_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert scan_records(str(tmp_path / "file"), 100) == [0]


@pytest.mark.parametrize("name", ["bad_length.tfrecord", "bad_length_crc.tfrecord", "cut_in_header.tfrecord"])
def test_behind_a_damaged_header_scanning_leaves_one_last_stretch(name: str) -> None:
    places = scan_records(str(GOLDEN / name), every=1)
    assert places == [0, 24, (GOLDEN / name).stat().st_size]
    assert isinstance(outcome(GOLDEN / name, start=places[-2], stop=places[-1])[1], DataLossError)


@pytest.mark.parametrize("name", ["", "GZIP", "ZLIB"])
def test_what_is_written_is_what_tensorflow_wrote(name: str, tmp_path: Path) -> None:
    golden = (GOLDEN / "examples.tfrecord").read_bytes()
    path = tmp_path / "file"
    with TFRecordWriter(path, name) as writer:
        for record in outcome(GOLDEN / "examples.tfrecord")[0]:
            writer.write(record)
    content = path.read_bytes()
    content = gzip.decompress(content) if name == "GZIP" else zlib.decompress(content) if name else content
    assert content == golden


@pytest.mark.parametrize("name", ["", "GZIP", "ZLIB"])
def test_flushed_records_can_be_read_before_the_file_is_closed(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with TFRecordWriter(path, name) as writer:
        writer.write(b"first")
        writer.flush()
        assert outcome(path, name)[0] == [b"first"]
        writer.write(b"second")
    assert outcome(path, name) == ([b"first", b"second"], None)


def test_a_writer_refuses_text_and_use_after_close(tmp_path: Path) -> None:
    writer = TFRecordWriter(tmp_path / "file")
    with pytest.raises(InvalidArgumentError, match="str"):
        writer.write("text")  # type: ignore[arg-type]
    writer.close()
    writer.close()
    for use in (writer.flush, lambda: writer.write(b"late")):
        with pytest.raises(FailedPreconditionError, match="closed"):
            use()
    with pytest.raises(NotFoundError, match="no-such-folder"):
        TFRecordWriter(tmp_path / "no-such-folder" / "file")


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), begin=st.integers(0, 20))
def test_the_kernels_crc_is_castagnolis_on_any_range(data: bytes, begin: int) -> None:
    begin = min(begin, len(data))
    array = np.frombuffer(data, np.uint8)
    assert crc32c(array, begin, len(data)) == google_crc32c.value(data[begin:])
    assert masked_crc(array, begin, len(data)) == masked(data[begin:])


def test_crcs_are_those_of_the_specification() -> None:
    """RFC 3720, B.4."""
    for data, crc in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
        assert crc32c(np.frombuffer(data, np.uint8), 0, 32) == crc
