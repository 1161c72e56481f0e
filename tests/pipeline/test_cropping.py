"""Images cut, padded, mirrored and turned: against slices, NumPy and Pillow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import headrace as hr
from headrace.pipeline.errors import InvalidArgumentError

image: Any = hr.image

IMAGES = Path(__file__).parents[1] / "data" / "images"
PHOTO = hr.io.decode_jpeg(hr.io.read_file(IMAGES / "baseline_420.jpg"))
BATCH = np.random.default_rng(4).integers(1, 256, (3, 6, 8, 2), np.uint8)


@pytest.mark.parametrize("whole", [BATCH, BATCH[0], BATCH.astype(np.float32)])
def test_windows_are_slices_and_padding_is_black(whole: Any) -> None:
    cut = image.crop_to_bounding_box(whole, 1, 2, 4, 5)
    np.testing.assert_array_equal(cut, whole[..., 1:5, 2:7, :], strict=True)
    padded = image.pad_to_bounding_box(cut, 1, 2, 6, 8)
    np.testing.assert_array_equal(padded[..., 1:5, 2:7, :], cut, strict=True)
    assert np.count_nonzero(padded) == cut.size
    assert cut.flags.c_contiguous


@pytest.mark.parametrize(
    ("fraction", "rows", "columns"), [(1, (0, 6), (0, 8)), (0.5, (1, 5), (2, 6)), (0.9, (0, 6), (0, 8))]
)
def test_the_middle_is_cut_out(fraction: float, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    np.testing.assert_array_equal(image.central_crop(BATCH, fraction), BATCH[:, slice(*rows), slice(*columns)])


def test_an_image_is_cut_or_padded_to_a_size() -> None:
    actual = image.resize_with_crop_or_pad(BATCH, 3, 11)
    assert actual.shape == (3, 3, 11, 2)
    np.testing.assert_array_equal(actual[:, :, 1:9], BATCH[:, 1:4])
    assert not actual[:, :, 0].any()
    assert not actual[:, :, 9:].any()
    np.testing.assert_array_equal(image.resize_with_crop_or_pad(BATCH, 9, 4)[:, 1:7], BATCH[:, :, 2:6])


@pytest.mark.parametrize(
    ("size", "inner"), [((20, 30), (slice(0, 20), slice(2, 27))), ((50, 27), (slice(14, 35), ...))]
)
def test_an_image_keeps_its_shape_between_black_bars(size: tuple[int, int], inner: Any) -> None:
    actual = image.resize_with_pad(PHOTO, *size, antialias=True)
    assert actual.shape == (*size, 3)
    rows = inner[0]
    columns = slice(0, size[1]) if inner[1] is ... else inner[1]
    part = actual[rows, columns]
    np.testing.assert_array_equal(part, image.resize(PHOTO, part.shape[:2], antialias=True))
    assert actual.sum() == part.sum()


def test_a_random_resized_crop_is_a_window_within_the_ranges_resized() -> None:
    ramp = np.moveaxis(np.indices((90, 120)), 0, -1).astype(np.float32)
    areas, ratios = [], []
    for seed in range(200):
        part = image.random_resized_crop(ramp, (30, 40), np.random.default_rng(seed), (0.2, 0.6), (0.5, 2.0))
        # Rows and columns grow evenly: their steps, away from the edges, tell how large the window was.
        height, width = (part[20, 20, 0] - part[10, 20, 0]) * 3, (part[15, 30, 1] - part[15, 10, 1]) * 2
        areas.append(height * width / ramp[..., 0].size)
        ratios.append(width / height)
    assert 0.18 < min(areas) < 0.25
    assert 0.5 < max(areas) < 0.62
    assert 0.47 < min(ratios) < 0.6
    assert 1.7 < max(ratios) < 2.1


def test_a_random_resized_crop_of_bytes_is_what_is_decoded_to_that_size() -> None:
    whole = {"scale": (1.0, 1.0), "ratio": (135 / 108, 135 / 108)}
    actual = image.random_resized_crop(PHOTO, (40, 50), np.random.default_rng(0), **whole)
    expected = image.decode_and_resize(hr.io.read_file(IMAGES / "baseline_420.jpg"), (40, 50), antialias=True)
    np.testing.assert_array_equal(actual, expected, strict=True)
    # No such window fits into the image, so its middle is taken.
    thin = image.random_resized_crop(PHOTO, (108, 27), np.random.default_rng(0), (1.0, 1.0), (0.25, 0.25))
    np.testing.assert_array_equal(thin, PHOTO[:, 54:81])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_flips_and_quarter_turns_are_those_of_numpy(dtype: Any) -> None:
    for whole in (
        BATCH.astype(dtype),
        BATCH[0].astype(dtype),
        BATCH.astype(dtype)[:, ::2, 1:],
        BATCH[:0].astype(dtype),
    ):
        np.testing.assert_array_equal(image.flip_left_right(whole), np.flip(whole, -2), strict=True)
        np.testing.assert_array_equal(image.flip_up_down(whole), np.flip(whole, -3), strict=True)
        for k in range(-1, 5):
            np.testing.assert_array_equal(image.rot90(whole, k), np.rot90(whole, k, (-3, -2)), strict=True)


@pytest.mark.parametrize(("flip", "axis"), [(image.random_flip_left_right, 2), (image.random_flip_up_down, 1)])
def test_each_image_of_a_batch_is_flipped_on_its_own(flip: Callable[..., Any], axis: int) -> None:
    batch = np.random.default_rng(4).integers(1, 256, (40, 3, 4, 2), np.uint8)
    turns = np.random.default_rng(9).random(40) < 0.5
    assert 0 < turns.sum() < 40
    expected = np.where(turns[:, None, None, None], np.flip(batch, axis), batch)
    np.testing.assert_array_equal(flip(batch, np.random.default_rng(9)), expected)
    alone = [flip(batch[0], np.random.default_rng(seed)).tobytes() for seed in range(20)]
    assert set(alone) == {batch[0].tobytes(), np.flip(batch[0], axis - 1).tobytes()}


@pytest.mark.parametrize("degrees", [0, 90, 180, -90, 270, 17, 45, 133.7, -400])
@pytest.mark.parametrize(
    ("interpolation", "pillows"), [("nearest", Image.Resampling.NEAREST), ("bilinear", Image.Resampling.BILINEAR)]
)
def test_an_image_is_turned_as_pillow_turns_it(degrees: float, interpolation: str, pillows: Image.Resampling) -> None:
    square = PHOTO[:100, :100]
    for photo in (PHOTO, square):
        expected = np.asarray(Image.fromarray(photo).rotate(degrees, pillows, fillcolor=(7, 7, 7)), int)
        actual = image.rotate(photo, degrees, interpolation, fill=7)
        assert actual.dtype == np.uint8
        off = np.abs(actual.astype(int) - expected).max(axis=2)
        # Pillow goes in steps of a 65,536th of a pixel to the nearest: of two that are as near it may take the other.
        assert (off > 1).mean() < (0.01 if interpolation == "nearest" else 1e-9)


def test_a_batch_is_turned_image_by_image_and_floats_stay_floats() -> None:
    floats = BATCH.astype(np.float32) / 7
    turned = image.rotate(floats, 30, fill=-1.5)
    assert turned.dtype == np.float32
    np.testing.assert_array_equal(turned[1], image.rotate(floats[1], 30, fill=-1.5))
    assert (turned[:, 0, 0] == -1.5).all()
    used, reference = np.random.default_rng(3), np.random.default_rng(3)
    np.testing.assert_array_equal(
        image.random_rotation(BATCH, 25, used, "nearest"), image.rotate(BATCH, reference.uniform(-25, 25), "nearest")
    )
    assert used.bit_generator.state == reference.bit_generator.state


def test_a_rectangle_is_cut_out_and_ends_with_the_image() -> None:
    expected = BATCH.copy()
    expected[:, 0:2, 5:8] = 9
    np.testing.assert_array_equal(image.cutout(BATCH, (3, 4), (0, 7), 9), expected)
    assert not image.cutout(BATCH, 100, (3, 3)).any()
    np.testing.assert_array_equal(image.cutout(BATCH, 0, (3, 3)), BATCH)
    used, reference = np.random.default_rng(3), np.random.default_rng(3)
    places = [reference.integers(0, (6, 8)).tolist() for _ in BATCH]
    each = [image.cutout(one, 3, place) for one, place in zip(BATCH, places, strict=True)]
    np.testing.assert_array_equal(image.random_cutout(BATCH, 3, used), each)
    assert used.bit_generator.state == reference.bit_generator.state


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: image.crop_to_bounding_box(BATCH, 3, 0, 4, 1), "4 x 1 pixels from row 3 .* inside an image of 6 x 8"),
        (lambda: image.pad_to_bounding_box(BATCH, 1, 0, 6, 8), "6 x 8 pixels, put at row 1 and column 0"),
        (lambda: image.pad_to_bounding_box(BATCH, 0.5, 0, 6, 8), "0.5 is not a whole number of pixels"),
        (lambda: image.central_crop(BATCH, 0), "central_fraction=0 leaves nothing"),
        (lambda: image.central_crop(BATCH, 1.1), "central_fraction=1.1 is not supported"),
        (lambda: image.resize_with_crop_or_pad(BATCH, 0, 3), "0 x 3 pixels: height and width must be above 0"),
        (lambda: image.resize_with_pad(BATCH, 5, 5, "cubic"), "method='cubic' is not supported"),
        (lambda: image.random_resized_crop(BATCH, (2, 2), RNG), "one image .* is cropped at a time"),
        (lambda: image.random_resized_crop(PHOTO, (2, 2), RNG, scale=(0.5, 1.5)), "more than the image has"),
        (lambda: image.random_resized_crop(PHOTO, (2, 2), RNG, ratio=(2, 1)), r"ratio=\(2, 1\) is not supported"),
        (lambda: image.flip_left_right(BATCH[0, 0]), r"got shape \(8, 2\)"),
        (lambda: image.rot90(BATCH, 0.5), "k=0.5 is not a whole number"),
        (lambda: image.rotate(BATCH, np.inf), "degrees=inf is not supported"),
        (lambda: image.rotate(BATCH, 3, "cubic"), "interpolation='cubic' is not supported"),
        (lambda: image.rotate(BATCH, 3, fill=300), "fill=300 is not a number of dtype uint8"),
        (lambda: image.cutout(BATCH, (1, 2, 3)), r"mask_size=\(1, 2, 3\) is not two whole numbers"),
        (lambda: image.cutout(BATCH, -1), "mask_size=-1 is below 0"),
    ],
)
def test_what_cannot_be_done_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        call()
