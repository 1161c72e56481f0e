"""Ceilings: what the smallest inputs can cost at most, in memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import pytest

from headrace.pipeline.errors import InvalidArgumentError, MalformedMessage
from headrace.pipeline.frames import from_frames, plain
from headrace.pipeline.graph import decode_outline
from headrace.pipeline.held import MOST, Held
from headrace.pipeline.png import decode_png
from headrace.pipeline.structure import Structure
from headrace.pipeline.tracks import deflate, pack_small
from headrace.pipeline.work import Work

#: Each byte of these becomes an object. A control frame may hold ten times as many.
LISTS: list[Any] = [[[]] * 50_000] * 2
MAPS: list[Any] = [[{}] * 50_000] * 2


@pytest.mark.parametrize("empties", [LISTS, MAPS], ids=["lists", "maps"])
@pytest.mark.parametrize("decode", [plain, decode_outline, lambda data: from_frames([data])])
def test_a_message_of_nothing_takes_less_than_a_hundred_times_its_size(
    empties: Any, decode: Callable[[bytes], Any], peak: Callable[[], int]
) -> None:
    data = msgpack.packb(["Heartbeat", empties, 0, 0])
    peak()
    with suppress(MalformedMessage):
        decode(data)
    assert peak() < 100 * len(data)


def test_a_structure_of_nothing_takes_no_more_than_its_message_does(peak: Callable[[], int]) -> None:
    leaves = [["leaf", [], [], ""]] * 20_000
    data = ["tuple", [], leaves, ""]
    peak()
    assert Structure.from_data(data).size == len(leaves)
    assert peak() < 8 << 20


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.mark.parametrize("bits", [8, 16])
def test_pixels_beyond_an_image_are_not_unpacked(bits: int, peak: Callable[[], int]) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, bits, 0, 0, 0, 0))
    small, large = (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(size))) + chunk(b"IEND", b"")
        for size in (16, 16 << 20)
    )
    decode_png(small)  # the first of its kind loads a kernel
    peak()
    assert decode_png(large).shape == (1, 1, 1)
    assert peak() < 2 << 20


def test_an_image_of_more_pixels_than_allowed_is_refused_by_its_header(peak: Callable[[], int]) -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 16, 6, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(InvalidArgumentError, match="more than the 50,000,000 that are decoded"):
        decode_png(image)
    assert peak() < 1 << 20


WORK = [[0], 7, "", ()]
ZEROS = deflate(np.zeros(1 << 20, np.int8))


@pytest.mark.parametrize(
    "tree",
    [
        ["leaf", MOST + 1, [0], [0, ZEROS], [b"", b"", b""]],
        ["leaf", 3, [0], [0, ZEROS], [b"", b"", b""]],
        ["leaf", 1 << 20, [0], [3, ZEROS], [b"", b"", b""]],
        ["folded", 2, None, pack_small(np.array([1, 1 << 62])), ["leaf", 0, [], pack_small(np.empty(0, np.int64)), []]],
        ["itself", [["leaf", [], [], ""], 1 << 20, [["<i8", 1, [1 << 20, 1 << 20], None, None]]], ZEROS, ZEROS],
    ],
    ids=["more than any", "longer than said", "shorter than said", "folds of everything", "more than memory"],
)
def test_held_elements_that_are_told_of_falsely_take_no_memory(tree: list[Any], peak: Callable[[], int]) -> None:
    peak()
    with pytest.raises(MalformedMessage):
        Held.of({"works": [WORK], "runs": [[None, tree]]})
    assert peak() < 16 << 20


@pytest.mark.parametrize(
    "place",
    [
        *(("segment", ["a"]), ("segment", [-1]), ("origin", -1), ("origin", 1 << 64), ("start", -1), ("start", None)),
        *(("stop", -1), ("stop", True), ("stop", 1 << 63), ("path", b"a"), ("path", None), ("only", [None])),
        *(("poison", [[1, 2]]), ("paths", [[1, 2]]), ("view", [[1]]), ("view", [["a", "b"]]), ("turns", 1)),
        ("ruled", [[1]]),
        ("since", "1"),
        ("since", 1 << 40),
    ],
    ids=str,
)
def test_work_from_elsewhere_has_the_right_fields(place: tuple[str, Any]) -> None:
    names = ("segment", "origin", "start", "stop", "path", "only", "poison", "paths", "view", "turns", "ruled", "since")
    data = Work((1, 2), 5, 0, 10, "a", (1, 2), view=((1, 2, 3),)).to_data()
    assert Work.from_data(msgpack.unpackb(msgpack.packb(data))) == Work.from_data(data)
    data[names.index(place[0])] = place[1]
    with pytest.raises(MalformedMessage):
        Work.from_data(data)
