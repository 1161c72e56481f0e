"""Element records: what is written of an element, and what is made of it."""

from __future__ import annotations

import struct
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.blocks import Block
from headrace.pipeline.element_records import decode, encode, encoded_rows
from headrace.pipeline.nodes import Decoded
from headrace.pipeline.structure import flatten

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Any], list[Any]]

Point = namedtuple("Point", "x y")

ELEMENTS = [
    np.int64(-5),
    b"",
    np.bool_(True),
    (np.uint8(255), np.float16(0.5), np.complex64(1 - 2j)),
    {"image": np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "label": b"a\x00b"},
    {"words": np.array([[b"one", b""], [b"three", b"four"]], object), "none": np.zeros((0, 3), np.float32)},
    (Point(np.float64(1), {"deep": (b"er", np.int8(3))}), np.arange(5)),
]


def written(path: Path, records: list[bytes], **how: Any) -> Dataset:
    """A dataset of the elements that these records hold."""
    with hr.io.TFRecordWriter(path, **how) as writer:
        for each in records:
            writer.write(each)
    return Dataset(Decoded(hr.TFRecordDataset(str(path), **how).node))


def test_an_element_comes_back_as_it_was(same: Same) -> None:
    for each in ELEMENTS:
        same(decode(encode(each)), each)


def test_a_record_is_a_header_and_then_shape_and_content_of_each_component() -> None:
    element = {"a": np.array([[1, 2, 3]], np.int16), "b": np.array([b"xy", b"z"], object), "c": np.int64(-1)}
    header = msgpack.packb(
        [["dict", ["a", "b", "c"], [["leaf", [], [], ""]] * 3, ""], [["<i2", 2], ["bytes", 1], ["<i8", 0]]]
    )
    expected = struct.pack("<I", len(header)) + header
    expected += struct.pack("<2q3h", 1, 3, 1, 2, 3)
    expected += struct.pack("<3q", 2, 2, 1) + b"xyz"
    expected += struct.pack("<q", -1)
    assert encode(element) == expected


def test_the_rows_of_a_block_are_written_as_each_alone() -> None:
    for each in [*ELEMENTS, (), np.zeros((0, 2))]:
        assert encoded_rows(Block.of_elements([each, each])) == [encode(each)] * 2
    ragged = [(np.arange(n), b"x" * n) for n in range(4)]
    assert encoded_rows(Block.of_elements(ragged)) == list(map(encode, ragged))


def test_records_of_one_kind_and_of_several_come_in_order_from_everywhere(run: Run, same: Same, tmp_path: Path) -> None:
    alike = [{"n": np.int64(i), "s": b"s" * i, "v": np.arange(i % 3, dtype=np.int16)} for i in range(300)]
    fixed = [(np.int32(i), np.full((2, 2), i)) for i in range(300)]
    one, two, three = (
        written(tmp_path / name, [encode(each) for each in elements])
        for name, elements in (("alike", alike), ("fixed", fixed), ("several", ELEMENTS))
    )
    same(run(one.concatenate(two).concatenate(three)), [[*alike, *fixed, *ELEMENTS]])


def test_a_record_that_holds_no_element_fails_in_its_place_with_file_and_record(
    tmp_path: Path, outcomes: Outcomes, service: hr.Service
) -> None:
    good = encode((np.int64(1), b"xy"))
    header = struct.unpack_from("<I", good)[0]
    vast = good[: 4 + header + 8] + struct.pack("<q", 1 << 62) + good[-2:]
    damaged = {
        "its header is not there": b"",
        "its header is cut": good[:6],
        "its content is cut": good[:-1],
        "there is more": good + b"!",
        "a length beyond it": vast,
        "no MessagePack": good[:4] + b"\xc1" + good[5:],
        "another dtype": good.replace(b"<i8", b"<z8"),
        "one component too few": encode(np.int64(1))[:4] + good[4:],
    }
    records = [each for one in damaged.values() for each in (good, one)] + [good]
    dataset = written(tmp_path / "damaged", records)
    found = outcomes(iter(dataset))
    assert found[::2] == [(1, b"xy")] * (len(damaged) + 1)
    offset = 16 + len(good)
    for name, (kind, text) in zip(damaged, found[1::2], strict=True):
        assert kind is hr.DataLossError
        assert f"byte {offset:,} of {tmp_path}/damaged" in text
        offset += 32 + len(damaged[name]) + len(good)
    with service.iterate(dataset) as iterator:
        assert outcomes(iterator) == found


@pytest.mark.parametrize("size", [-1, 1 << 62, 1 << 48])
def test_a_shape_that_cannot_be_is_refused(size: int) -> None:
    good = encode(np.zeros((1, 0), np.int64))
    with pytest.raises(hr.DataLossError, match="shape that cannot be"):
        decode(good[:-16] + struct.pack("<2q", size, 0))


def test_a_dataset_in_an_element_comes_back_and_a_damaged_one_is_refused() -> None:
    window = next(iter(Dataset.range(5).window(3)))
    record = encode(window)
    assert list(decode(record)) == [0, 1, 2]
    content = flatten(window)[0][0]
    with pytest.raises(hr.DataLossError, match="holds no element"):
        decode(record.replace(content, content[:8] + b"\xff" * (len(content) - 8)))


def test_what_is_found_by_number_is_cut_counted_and_shuffled_without_reading(
    run: Run, same: Same, tmp_path: Path
) -> None:
    elements = [(np.int64(i), str(i).encode()) for i in range(40)]
    dataset = written(tmp_path / "indexed", [encode(each) for each in elements], index=True)
    assert len(dataset.skip(3).shard(2, 1)) == 18
    same(run(dataset.skip(3).shard(2, 1)), [elements[4::2]])
    shuffled = run(dataset.global_shuffle(seed=1), epochs=2)
    assert [sorted(each) for each in shuffled] == [elements, elements]
    assert shuffled[0] != shuffled[1]
