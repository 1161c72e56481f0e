"""Limits: each is kept at the limit and not one past it, and another one can be put in force."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace.pipeline.blobs import Blobs, Sent
from headrace.pipeline.errors import DataLossError, FunctionError, MalformedMessage, from_data, to_data
from headrace.pipeline.frames import from_frames, to_frames
from headrace.pipeline.limits import FORMATS, Limits, from_text, to_text
from headrace.pipeline.messages import VERSION, Heartbeat, Hello, Register, WhatIs
from headrace.pipeline.work import too_large

ROOT = Path(__file__).parents[2]
Enforced = Callable[..., None]


def crosses(*frames: Any) -> bool:
    """Whether a message is taken."""
    try:
        from_frames(frames)
    except MalformedMessage:
        return False
    return True


def test_a_control_message_ends_where_the_limit_says(enforced: Enforced) -> None:
    (frame,) = to_frames(Register("key", bytes(5000), 0))
    enforced(message_bytes=len(frame))
    assert crosses(frame)
    enforced(message_bytes=len(frame) - 1)
    assert not crosses(frame)


def test_a_frame_of_data_ends_where_the_limit_says(enforced: Enforced) -> None:
    enforced(element_bytes=1, frame_bytes=2 << 20)
    head = to_frames(WhatIs(1))
    assert crosses(*head, bytes(2 << 20))
    assert not crosses(*head, bytes((2 << 20) + 1))


def test_a_message_has_as_many_frames_as_the_limit_says(enforced: Enforced) -> None:
    enforced(frames=12)
    head = to_frames(WhatIs(1))
    assert crosses(*head, *[b""] * 11)
    assert not crosses(*head, *[b""] * 12)


def test_a_message_nests_as_deep_and_has_as_many_items_as_the_limits_say(enforced: Enforced) -> None:
    enforced(depth=5, items=10)
    assert crosses(*to_frames(Heartbeat([[[[]]]])))
    assert not crosses(*to_frames(Heartbeat([[[[[]]]]])))
    assert crosses(*to_frames(Heartbeat([1] * 10)))
    assert not crosses(*to_frames(Heartbeat([1] * 11)))


@pytest.mark.parametrize("letter", ["n", "ä", "\udcff"])
def test_a_name_has_as_many_bytes_as_the_limit_says(letter: str, enforced: Enforced) -> None:
    size = len(letter.encode("utf-8", "surrogateescape"))
    longest = letter * (255 // size) + "n" * (255 % size)
    assert crosses(*to_frames(Hello(VERSION, "client", longest, 1, {})))
    with pytest.raises(MalformedMessage, match=r"Hello\.name has 256 bytes: 255 are the most for a name"):
        from_frames(to_frames(Hello(VERSION, "client", longest + "n", 1, {})))
    enforced(name_bytes=64)
    assert crosses(*to_frames(Hello(VERSION, "client", "n" * 64, 1, {})))
    assert not crosses(*to_frames(Hello(VERSION, "client", "n" * 65, 1, {})))


def test_an_element_may_be_as_large_as_the_limit_says(enforced: Enforced) -> None:
    enforced(element_bytes=1000)
    assert too_large(1000) is None
    assert isinstance(too_large(1001), hr.ResourceExhaustedError)
    sizes = hr.Dataset.range(999, 1002).map(lambda n: np.zeros(int(n), np.uint8))
    iterator = iter(sizes)
    assert [len(next(iterator)), len(next(iterator))] == [999, 1000]
    with pytest.raises(hr.ResourceExhaustedError):
        next(iterator)


@pytest.mark.parametrize(("name", "pack"), [("GZIP", gzip.compress), ("ZLIB", zlib.compress)])
def test_compressed_content_may_be_as_large_or_as_compressed_as_the_limits_say(
    name: str, pack: Callable[[bytes], bytes], tmp_path: Path, enforced: Enforced
) -> None:
    path, content = tmp_path / "file", b"a" * 2999 + b"\n"
    path.write_bytes(pack(content))
    ratio = (len(content) - 1) // path.stat().st_size

    def read() -> list[Any]:
        return list(hr.TextLineDataset(str(path), name))

    for within in (
        {"content_bytes": 3000, "content_ratio": 1},
        {"content_bytes": 1, "content_ratio": ratio + 1},
    ):
        enforced(**within)
        assert read() == [content[:-1]]
    enforced(content_bytes=2999, content_ratio=ratio)
    with pytest.raises(DataLossError, match=r"3,000, more than 2,999 and more than .* raise limits\.content"):
        read()


@pytest.mark.parametrize("name", ["jpeg", "png", "bmp", "gif", "webp"])
def test_an_image_may_have_as_many_pixels_as_the_limit_says_and_be_of_the_formats_that_are_allowed(
    name: str, enforced: Enforced
) -> None:
    files = {"jpeg": "baseline_444.jpg", "png": "rgb.png", "bmp": "rgb.bmp"}
    files |= {"gif": "animated.gif", "webp": "animated.webp"}
    decode = getattr(hr.io, f"decode_{name}")
    content = hr.io.read_file(str(ROOT / "tests/data/images" / files[name]))
    pixels = decode(content)
    all_frames = int(np.prod(pixels.shape[:-1]))
    enforced(image_pixels=all_frames)
    np.testing.assert_array_equal(decode(content), pixels)
    enforced(image_pixels=all_frames - 1)
    with pytest.raises(hr.InvalidArgumentError, match=f"more than the {all_frames - 1:,} that are decoded"):
        decode(content)
    enforced(image_formats=tuple(each for each in FORMATS if each.lower() != name))
    with pytest.raises(hr.InvalidArgumentError, match=r"a \w+ is not decoded here: limits\.formats allows"):
        decode(content)
    with pytest.raises(hr.InvalidArgumentError, match="is not decoded here"):
        hr.io.decode_image(content)


def test_a_text_of_an_error_travels_up_to_the_limit_and_a_longer_one_keeps_its_ends(enforced: Enforced) -> None:
    text = "ä" * 2048
    assert to_data(hr.DataLossError("f", text))["args"] == ["f", text, None]
    cut = to_data(hr.DataLossError("f", "begins " + text + " ends"))["args"][1]
    assert len(cut.encode()) <= 4096
    assert cut.startswith("begins ä")
    assert cut.endswith("ä ends")
    assert "left out" in cut
    enforced(error_bytes=300)
    error = hr.DataLossError("f" * 1000, "r" * 1000)
    error.where = "w" * 1000
    data = to_data(error)
    assert max(len(each) for each in (*data["args"][:2], data["where"])) == 300
    assert isinstance(from_data(data), hr.DataLossError)


def test_a_traceback_keeps_the_line_that_raised() -> None:
    told = from_data(to_data(FunctionError("map(f)", "ValueError: no", "frame\n" * 10_000 + "ValueError: no\n")))
    assert str(told).rstrip().endswith("ValueError: no")


def test_what_a_graph_carries_ends_where_the_limit_says(tmp_path: Path, enforced: Enforced) -> None:
    enforced(graph_bytes=800)
    for blobs in (Sent(), Blobs(tmp_path)):
        blobs.put_array(np.zeros(100))
        with pytest.raises(hr.ResourceExhaustedError, match="801 bytes is over the budget of 800"):
            blobs.put_array(np.zeros(801, np.uint8))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"frames": 0}, "frames is 0"),
        ({"depth": 1.5}, "depth is 1.5"),
        ({"element_bytes": 2 << 20, "frame_bytes": 2 << 20}, "a frame has to hold an element"),
        ({"image_formats": ("TIFF",)}, "image_formats has 'TIFF': there are JPEG, PNG, GIF, BMP, WebP"),
    ],
)
def test_limits_that_cannot_be_are_refused_by_name(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Limits(**wrong)


def test_a_process_that_is_started_is_told_what_differs_from_the_defaults() -> None:
    assert to_text(Limits()) == "{}"
    changed = Limits(frames=9, element_bytes=5, image_formats=("PNG",))
    assert from_text(to_text(changed)) == changed
