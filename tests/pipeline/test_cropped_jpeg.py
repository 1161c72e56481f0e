"""JPEG: windows, and photographs turned upright."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from headrace.pipeline.decoding import decode_and_crop_jpeg, decode_jpeg, read_file
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.exif import read_orientation

IMAGES = Path(__file__).parents[1] / "data" / "images"
PHOTO = read_file(IMAGES / "baseline_420.jpg")


@pytest.mark.parametrize(
    ("window", "arguments"),
    [
        ((0, 0, 108, 135), {}),
        ((17, 33, 40, 51), {}),
        ((107, 134, 1, 1), {"channels": 1}),
        ((3, 5, 20, 30), {"ratio": 2}),
        ((3, 5, 20, 30), {"fancy_upscaling": False, "dct_method": "INTEGER_FAST"}),
    ],
)
def test_a_window_is_cut_out_of_the_whole(window: tuple[int, int, int, int], arguments: dict[str, Any]) -> None:
    top, left, height, width = window
    actual = decode_and_crop_jpeg(PHOTO, window, **arguments)
    np.testing.assert_array_equal(
        actual, decode_jpeg(PHOTO, **arguments)[top : top + height, left : left + width], strict=True
    )
    assert actual.flags.owndata


def test_what_was_cut_out_stays_when_the_next_is_decoded() -> None:
    first = decode_and_crop_jpeg(PHOTO, (0, 0, 90, 90))
    kept = first.copy()
    decode_and_crop_jpeg(read_file(IMAGES / "baseline_444.jpg"), (0, 0, 90, 90))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ((0, 0, 109, 1), "109 x 1 pixels from row 0 and column 0 on does not lie inside an image of 108 x 135"),
        ((-1, 0, 1, 1), "does not lie inside"),
        ((0, 0, 0, 1), "does not lie inside"),
        ((0, 0, 1), r"a window is \(first row, first column, height, width\)"),
        ((0, 0, 1.5, 1), "in whole pixels"),
    ],
)
def test_a_window_that_is_not_inside_is_refused(window: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        decode_and_crop_jpeg(PHOTO, window)


def turned(orientation: int) -> bytes:
    """A JPEG whose EXIF data say so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (24, 40, 3), np.uint8)).save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_on_request_a_photograph_is_turned_as_pillow_turns_it(orientation: int) -> None:
    contents = turned(orientation)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(contents))))
    actual = decode_jpeg(contents, exif_orientation=True)
    np.testing.assert_array_equal(actual, expected)
    assert actual.flags.c_contiguous
    assert decode_jpeg(contents).shape == (24, 40, 3)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_files_of_cameras_are_understood(orientation: int) -> None:
    assert read_orientation(read_file(IMAGES / f"exif_orientation_{orientation}.jpg")) == orientation


def test_what_says_nothing_is_upright_and_no_damage_is_more_than_that() -> None:
    assert read_orientation(PHOTO) == 1
    contents = turned(6)
    at = contents.index(b"Exif")
    assert read_orientation(contents.replace(b"Exif\0\0II*\0", b"Exif\0\0XX*\0").replace(b"MM\0*", b"MM\0+")) == 1
    for end in range(len(contents[: at + 40])):
        assert read_orientation(contents[:end]) in (1, 6)
    for place in range(2, at + 40):
        for value in (0, 255):
            changed = contents[:place] + bytes([value]) + contents[place + 1 :]
            assert 1 <= read_orientation(changed) <= 8
