"""GIF and WebP: frames, against TensorFlow's results, and damage."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from headrace.pipeline.decoding import decode_gif, decode_image, decode_webp, read_file
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.image_bytes import MAX_PIXELS
from headrace.pipeline.resizing import decode_and_resize, resize

IMAGES = Path(__file__).parents[1] / "data" / "images"
INDEX = json.loads((IMAGES / "index.json").read_text())
ARRAYS = [
    (name, key, each)
    for name, entry in INDEX.items()
    if name.endswith((".gif", ".webp"))
    for key, each in entry["arrays"].items()
]
DECODERS: dict[str, Callable[..., NDArray[Any]]] = {"decode_gif": decode_gif, "decode_webp": decode_webp}


@pytest.mark.parametrize(("name", "key", "each"), ARRAYS)
def test_frames_have_the_pixels_that_tensorflow_gives_or_the_kind_of_error(name: str, key: str, each: Any) -> None:
    contents, decode = read_file(IMAGES / name), DECODERS[each["call"]]
    if "error" in each:
        with pytest.raises(InvalidArgumentError, match="and this WebP has"):
            decode(contents, **each["args"])
        return
    expected = np.load(IMAGES / f"{name}.npz")[key]
    actual = decode(contents, **each["args"])
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(decode_image(contents, **each["args"]), expected)
    np.testing.assert_array_equal(decode_image(contents, **each["args"], expand_animations=False), expected[0])


def test_a_frame_of_a_gif_is_widened_and_resized_as_other_images_are() -> None:
    contents = read_file(IMAGES / "animated.gif")
    frames = decode_gif(contents)
    np.testing.assert_array_equal(decode_image(contents, 3, "uint16"), frames.astype(np.uint16) * 256)
    np.testing.assert_allclose(decode_image(contents, 3, "float32"), frames / 255, rtol=1e-6)
    np.testing.assert_allclose(
        decode_and_resize(contents, (20, 30), antialias=True), resize(frames[0], (20, 30), antialias=True), atol=0.6
    )
    with pytest.raises(InvalidArgumentError, match="channels=1 is not supported for a GIF"):
        decode_image(contents, channels=1)


def gif(*blocks: bytes) -> bytes:
    """A GIF with a palette of black and white, of 4 x 3 pixels."""
    return b"GIF89a" + bytes([4, 0, 3, 0, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]) + b"".join(blocks)


def frame(left: int, top: int, width: int, height: int, colour: int = 1) -> bytes:
    """A frame of one colour that Pillow compresses; it writes the descriptor first and the code size behind it."""
    file = io.BytesIO()
    picture = Image.new("P", (width, height), colour)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(file, "GIF", optimize=False)
    data = file.getvalue()
    at = data.rindex(b"\x2c" + bytes([0, 0, 0, 0, width, 0, height, 0]))
    own = 3 * (2 << (data[at + 9] & 7)) if data[at + 9] & 0x80 else 0
    descriptor = b"\x2c" + bytes([left, 0, top, 0, width, 0, height, 0, 0])
    return descriptor + data[at + 10 + own : -1]


def test_what_a_frame_leaves_open_shows_the_frame_before_and_the_first_is_black_there() -> None:
    whole = np.zeros((2, 3, 4), np.uint8)
    whole[0, 0, 0] = whole[1, 0, 0] = whole[1, 2, 3] = 255
    actual = decode_gif(gif(frame(0, 0, 1, 1), frame(3, 2, 1, 1), frame(0, 0, 4, 3, 0), b"\x3b"))
    np.testing.assert_array_equal(actual[:2], np.broadcast_to(whole[..., None], (2, 3, 4, 3)))
    assert not actual[2].any()


def test_a_transparent_colour_shows_the_frame_before() -> None:
    clear = bytes([0x21, 0xF9, 4, 1, 0, 0, 0, 0])
    actual = decode_gif(gif(frame(0, 0, 4, 3), clear, frame(0, 0, 4, 3, 0), frame(0, 0, 4, 3, 0), b"\x3b"))
    assert actual[:2].min() == 255
    assert actual[2].max() == 0


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (gif(), "truncated GIF"),
        (gif(b"\x3b"), "it has no frame"),
        (gif(frame(0, 0, 4, 3)), "truncated GIF"),
        (gif(frame(0, 0, 4, 3)[:-4], b"\x3b"), "truncated GIF|undecodable GIF"),
        (gif(frame(0, 0, 4, 3, 3), b"\x3b"), "colour 3 of a palette of 2"),
        (gif(b"\x99\0"), "a block of unknown kind 0x99 at byte 19"),
        (gif(b"\x2c" + bytes([0, 0, 0, 0, 0, 0, 3, 0, 0])), "says 3 x 0 pixels"),
        (gif(b"\x2c" + bytes([0, 0, 0, 0, 4, 0, 3, 0, 0, 40, 0])), "codes of 40 bits"),
        (gif(b"\x2c" + bytes([0, 0, 0, 0, 255, 255, 255, 255, 0])), f"more than the {MAX_PIXELS:,} that are decoded"),
        (gif(*[frame(0, 0, 1, 1)] * 20, b"\x2c" + bytes([0, 0, 0, 0, 0, 8, 0, 8, 0, 2, 0])), "21 frames of"),
        (b"GIF88a", "begins with 47 49 46 38 38 61, which is no image"),
    ],
)
def test_what_is_wrong_with_a_gif_is_said(contents: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        decode_gif(contents)


def test_a_webp_that_is_cut_short_is_an_error() -> None:
    for name in ("lossy.webp", "lossless.webp", "animated.webp"):
        contents = read_file(IMAGES / name)
        for kept in (14, 22, 40, len(contents) // 2, len(contents) - 40):
            with pytest.raises(InvalidArgumentError, match="WebP"):
                decode_webp(contents[:kept])


def test_a_webp_that_announces_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\xff\x1f\0" + b"\xff\x0f\0"
    with pytest.raises(InvalidArgumentError, match="without a frame"):
        decode_webp(extended)
    frames = b"ANMF\0\0\0\0" * 6
    with pytest.raises(InvalidArgumentError, match=r"6 frames of 4,096 x 8,192 pixels, more than"):
        decode_webp(extended + frames)
    assert decode_webp(read_file(IMAGES / "animated.webp"), frames=1).shape[0] == 1


@pytest.mark.parametrize(("decode", "kind"), [(decode_gif, "GIF"), (decode_webp, "WebP")])
def test_other_bytes_are_named(decode: Callable[[Any], Any], kind: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"not a {kind}: .* which is PNG: use decode_png"):
        decode(read_file(IMAGES / "rgb.png"))
    with pytest.raises(InvalidArgumentError, match="not from str"):
        decode("a.gif")
