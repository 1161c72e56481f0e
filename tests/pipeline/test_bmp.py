"""Decoding BMP files, against TensorFlow's results, Pillow's, and damage."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headrace.pipeline.bmp import decode_bmp
from headrace.pipeline.decoding import decode_image, read_file
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.resizing import decode_and_resize, resize

IMAGES = Path(__file__).parents[1] / "data" / "images"
NAMES = ["rgb.bmp", "gray.bmp", "rgba.bmp", "top_down.bmp"]
RGB = read_file(IMAGES / "rgb.bmp")


def changed(contents: bytes, at: int, kind: str, value: int) -> bytes:
    whole = bytearray(contents)
    struct.pack_into(kind, whole, at, value)
    return bytes(whole)


def bmp(image: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "BMP")
    return file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_bmp_has_the_pixels_that_tensorflow_gives(name: str) -> None:
    expected = np.load(IMAGES / f"{name}.npz")["pixels"]
    for actual in (decode_bmp(read_file(IMAGES / name)), decode_image(read_file(IMAGES / name))):
        assert actual.dtype == np.uint8
        assert actual.flags.c_contiguous
        assert actual.flags.writeable
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", NAMES)
def test_channels_are_added_and_cut_off(name: str) -> None:
    contents, stored = read_file(IMAGES / name), np.load(IMAGES / f"{name}.npz")["pixels"]
    colour = np.broadcast_to(stored[:, :, :3], (*stored.shape[:2], 3))
    alpha = stored[:, :, 3:] if stored.shape[2] == 4 else np.full((*stored.shape[:2], 1), 255)
    np.testing.assert_array_equal(decode_bmp(contents, 3), colour)
    np.testing.assert_array_equal(decode_image(contents, 4), np.concatenate([colour, alpha], axis=2))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_every_width_is_padded_as_pillow_pads_it(height: int, width: int, grey: bool) -> None:
    shape = (height, width) if grey else (height, width, 3)
    image = np.random.default_rng(height * 32 + width).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(decode_bmp(bmp(image)), image.reshape(height, width, -1))


def test_samples_become_wider_and_pictures_smaller() -> None:
    pixels = decode_bmp(RGB)
    np.testing.assert_array_equal(decode_image(RGB, dtype="uint16"), pixels.astype(np.uint16) * 256)
    np.testing.assert_allclose(decode_image(RGB, dtype="float32"), pixels / 255, rtol=1e-6)
    np.testing.assert_array_equal(
        decode_and_resize(RGB, (30, 40), method="nearest"), resize(pixels, (30, 40), "nearest")
    )


def test_the_padding_of_the_last_row_may_be_missing_and_more_may_follow() -> None:
    image = np.arange(9 * 3, dtype=np.uint8).reshape(3, 3, 3)
    contents = bmp(image)  # rows of 9 bytes, and 3 of padding
    np.testing.assert_array_equal(decode_bmp(contents[:-3]), image)
    np.testing.assert_array_equal(decode_bmp(memoryview(contents + b"more")), image)
    with pytest.raises(InvalidArgumentError, match=r"truncated BMP \(3 x 3 by its header\)"):
        decode_bmp(contents[:-4])


@pytest.mark.parametrize(
    ("contents", "channels", "message"),
    [
        (b"GIF89a....", 0, "not a BMP: .* which is GIF"),
        ("a.bmp", 0, "not from str"),
        (b"BM", 0, "truncated BMP: its 2 bytes end inside its header"),
        (RGB, 1, "channels=1 is not supported for a BMP"),
        (changed(RGB, 18, "<i", 0), 0, "its header says 96 x 0 pixels"),
        (changed(RGB, 18, "<i", -120), 0, "its header says 96 x 0 pixels"),
        (changed(RGB, 22, "<i", 1 << 30), 0, "more than the 50,000,000"),
        (changed(RGB, 22, "<i", -(1 << 31)), 0, "more than the 50,000,000"),
        (changed(RGB, 10, "<I", (1 << 32) - 1), 0, "truncated BMP"),
        (changed(RGB, 28, "<H", 16), 0, "a BMP of 16 bits a pixel"),
        (changed(RGB, 14, "<I", 12), 0, "a header of 12 bytes"),
        (changed(RGB, 30, "<I", 1), 0, "a BMP of compression 1 is not supported: convert it to PNG"),
        (changed(read_file(IMAGES / "gray.bmp"), 54 + 40, "<I", 0xFF), 0, "a palette of colours"),
        (read_file(IMAGES / "gray.bmp")[:100], 0, "a palette of colours"),
        (changed(changed(read_file(IMAGES / "rgba.bmp"), 30, "<I", 3), 54, "<I", 5), 0, "an order of its own"),
    ],
)
def test_what_cannot_be_decoded_is_described(contents: Any, channels: int, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        decode_bmp(contents, channels)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_damage_is_an_error_or_an_image_never_anything_else(name: str, data: st.DataObject) -> None:
    contents = bytearray(read_file(IMAGES / name))
    for _ in range(data.draw(st.integers(1, 4))):
        contents[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    cut = bytes(contents[: data.draw(st.integers(0, len(contents)))])
    with contextlib.suppress(InvalidArgumentError):
        assert decode_bmp(cut).ndim == 3
