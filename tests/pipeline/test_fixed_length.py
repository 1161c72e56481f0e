"""Records of one size: between a header and a footer, in files as they are and in compressed ones."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline import local_run
from headrace.pipeline.blobs import Sent
from headrace.pipeline.errors import MalformedMessage
from headrace.pipeline.fixed import Frame, read_fixed
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.nodes import FixedRecords

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]
Write = Callable[..., str]

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, "GZIP": gzip.compress, "ZLIB": zlib.compress}
BODY = [bytes([i, i + 1, i + 2]) for i in range(0, 60, 3)]


@pytest.mark.parametrize("compression", PACK)
def test_the_records_lie_between_header_and_footer_of_every_file(run: Run, text_file: Write, compression: str) -> None:
    one = text_file(PACK[compression](b"HEAD" + b"".join(BODY[:13]) + b"FT"), "1")
    two = text_file(PACK[compression](b"HEAD" + b"".join(BODY[13:]) + b"FT"), "2")
    dataset = hr.FixedLengthRecordDataset([one, two], 3, 4, 2, compression_type=compression)
    assert run(dataset, epochs=2) == [BODY, BODY]
    assert dataset.cardinality() == hr.UNKNOWN_CARDINALITY
    assert dataset.element_spec == hr.TensorSpec((), bytes)
    in_turn = hr.FixedLengthRecordDataset([one, two], 3, 4, 2, None, compression, num_parallel_reads=2)
    assert list(in_turn.take(4)) == [BODY[0], BODY[13], BODY[1], BODY[14]]


def test_files_of_no_record_give_none(run: Run, text_file: Write) -> None:
    assert run(hr.FixedLengthRecordDataset([text_file(b""), text_file(b"HEADFT", "b")], 3)) == [[b"HEA", b"DFT"]]
    assert run(hr.FixedLengthRecordDataset(text_file(b"HEADFT"), 3, 4, 2)) == [[]]


def test_a_large_file_is_cut_between_records(run: Run, tmp_path: Path) -> None:
    numbers = np.arange(1 << 20, dtype="<i8")  # 8 MiB: several splits, of a size that no power of two fits
    path = tmp_path / "numbers.bin"
    path.write_bytes(b"x" * 11 + numbers[: 1 << 20].tobytes())
    records = hr.FixedLengthRecordDataset(str(path), 8 * 64, header_bytes=11)
    found = run(records.shuffle(500, seed=3).map(lambda record: np.frombuffer(record, "<i8")).batch(1024))
    np.testing.assert_array_equal(np.sort(np.concatenate(found[0]).reshape(-1)), numbers)


@pytest.mark.parametrize(
    ("content", "offset", "told"),
    [
        (b"HEAD" + b"abc" * 5 + b"FT" + b"a", 19, "the file has 22 bytes: without its header of 4 and footer of 2"),
        (b"HEADF", 4, "the file has 5 bytes: that is less than its header of 4 and footer of 2 bytes"),
        (b"HE", 4, "the file has 2 bytes: that is less than its header"),
    ],
)
@pytest.mark.parametrize("compression", PACK)
def test_a_size_that_does_not_fit_names_file_and_sizes_and_the_next_file_goes_on(
    text_file: Write, outcomes: Outcomes, content: bytes, offset: int, told: str, compression: str
) -> None:
    pack = PACK[compression]
    bad, good = text_file(pack(content), "bad"), text_file(pack(b"HEADxyzFT"), "good")
    found = outcomes(iter(hr.FixedLengthRecordDataset([bad, good], 3, 4, 2, compression_type=compression)))
    intact = 5 if compression and len(content) > 6 else 0  # whose size only its end tells
    assert found[:intact] == [b"abc"] * intact
    kind, text = found[intact]
    assert kind is hr.DataLossError
    assert f"{bad}, byte {offset}: {told}" in text
    assert found[intact + 1 :] == [b"xyz"]


def test_a_damaged_file_raises_in_its_place_through_a_service(service: hr.Service, text_file: Write) -> None:
    bad, good = text_file(b"abcde", "bad"), text_file(b"xyz", "good")
    with service.iterate(hr.FixedLengthRecordDataset([bad, good], 3)) as iterator:
        with pytest.raises(hr.DataLossError, match="5 are left, which is no multiple of record_bytes, 3"):
            next(iterator)
        assert list(iterator) == [b"xyz"]


def test_a_cut_gzip_file_gives_what_is_intact_and_then_the_place(text_file: Write, outcomes: Outcomes) -> None:
    whole = gzip.compress(os.urandom(30_000))
    found = outcomes(iter(hr.FixedLengthRecordDataset(text_file(whole[:20_000]), 100, compression_type="GZIP")))
    kind, text = found.pop()
    assert kind is hr.DataLossError
    assert "the GZIP stream is cut" in text
    assert f"byte {100 * len(found):,}" in text
    assert b"".join(found) == zlib.decompressobj(31).decompress(whole[:20_000])[: 100 * len(found)]


def test_a_part_of_a_file_has_the_records_that_begin_in_it(text_file: Write) -> None:
    path = text_file(b"HEAD" + b"".join(BODY) + b"FT")
    frame = Frame(3, 4, 2)
    for compression, each in (("", path), ("GZIP", text_file(gzip.compress(Path(path).read_bytes()), "z"))):
        for start in range(70):
            for stop in (start, start + 7, 40, None):
                chunks = list(read_fixed(each, frame, compression, start, stop, chunk_bytes=10))
                places = [at for chunk in chunks for at in chunk.offsets.tolist()]
                assert places == [at for at in range(4, 64, 3) if start <= at and (stop is None or at < stop)]
                assert [one for chunk in chunks for one in chunk.payloads()] == [BODY[(at - 4) // 3] for at in places]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_an_iteration_goes_on_from_every_record(
    text_file: Write, compression: str, same: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_run, "LEAST_S", 0)
    monkeypatch.setattr(local_run, "SHARE", 0)
    path = text_file(PACK[compression](b"HEAD" + b"".join(BODY)))
    dataset = hr.FixedLengthRecordDataset(path, 3, 4, compression_type=compression).shuffle(4, seed=1)
    expected = list(dataset.iterate(1))
    for at in range(len(expected) + 1):
        first, second = dataset.iterate(1), dataset.iterate(0)
        before = [next(first) for _ in range(at)]
        second.load_state_dict(first.state_dict())
        same(before + list(second), expected)


def test_an_epoch_goes_on_in_a_service(service: hr.Service, text_file: Write, same: Same) -> None:
    dataset = hr.FixedLengthRecordDataset(text_file(b"".join(BODY)), 3).shuffle(7, seed=1).repeat(40)
    expected, first = list(dataset.iterate(0)), dataset.iterate(0)
    before = [next(first) for _ in range(333)]
    with service.iterate(dataset) as iterator:
        iterator.load_state_dict(first.state_dict())
        same(before + list(iterator), expected)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"record_bytes": 0}, "record_bytes is 0"),
        ({"record_bytes": "3"}, "record_bytes is '3'"),
        ({"record_bytes": 3, "header_bytes": -1}, "header_bytes is -1"),
        ({"record_bytes": 3, "footer_bytes": -1}, "footer_bytes is -1"),
        ({"record_bytes": 3, "compression_type": "LZ4"}, "compression_type is 'LZ4'"),
        ({"record_bytes": 3, "num_parallel_reads": 0}, "num_parallel_reads is 0"),
    ],
)
def test_wrong_arguments_are_refused_where_they_are_given(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=told):
        hr.FixedLengthRecordDataset("a", **arguments)


def test_records_that_no_element_may_be_are_refused(text_file: Write, enforced: Callable[..., None]) -> None:
    enforced(element_bytes=1 << 20)
    path = text_file(bytes(3 << 20))
    packed = text_file(gzip.compress(bytes(3 << 20)), "z")
    for dataset in (
        hr.FixedLengthRecordDataset(path, 3 << 20),
        hr.FixedLengthRecordDataset(packed, 3 << 20, compression_type="GZIP"),
        hr.FixedLengthRecordDataset(packed, 3, footer_bytes=3 << 20, compression_type="GZIP"),
    ):
        with pytest.raises(hr.DataLossError, match=r"no element may be so large \(limits.element\)"):
            next(iter(dataset))


@pytest.mark.parametrize(
    ("given", "told"),
    [((0, 0, 0, ""), "record_bytes of 0"), ((1, -1, 0, ""), "header_bytes of -1"), ((1, 0, -2, ""), "footer_bytes")],
)
def test_a_graph_from_elsewhere_is_checked(given: tuple[int, int, int, str], told: str) -> None:
    node = FixedRecords(Dataset.from_tensor_slices(["a"]).node, *given)
    with pytest.raises(MalformedMessage, match=told):
        decode_outline(encode(node, Sent()))
    with pytest.raises(MalformedMessage, match="compression of 'LZ4'"):
        decode_outline(encode(FixedRecords(node.filenames, 1, 0, 0, "LZ4"), Sent()))
