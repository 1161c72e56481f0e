"""Colours, against the standard library, Pillow and plain arithmetic."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import headrace as hr
from headrace.pipeline.errors import InvalidArgumentError

image: Any = hr.image

COLOURS = np.random.default_rng(2).integers(0, 256, (2, 9, 11, 3), np.uint8)
COLOURS[0, 0, :6] = [(0, 0, 0), (255, 255, 255), (9, 9, 9), (255, 0, 0), (0, 255, 0), (255, 0, 255)]


def by_colorsys(batch: NDArray[Any], turn: float, factor: float) -> NDArray[np.float64]:
    """Colours from 0.0 to 1.0, one after the other."""
    out = []
    for red, green, blue in batch.reshape(-1, 3) / 255:
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        out.append(colorsys.hsv_to_rgb((hue + turn) % 1.0, min(1.0, saturation * factor), value))
    return np.array(out).reshape(batch.shape)


@pytest.mark.parametrize("delta", [-1.0, -0.3, 0.0, 0.25, 0.5, 1.0])
def test_a_hue_is_turned_as_by_the_standard_library(delta: float) -> None:
    expected = by_colorsys(COLOURS, delta, 1)
    np.testing.assert_allclose(image.adjust_hue(COLOURS / np.float32(255), delta), expected, atol=1e-5)
    # From 0.0 to 1.0 and back to bytes: cut off after a half is added to 255.
    assert np.abs(image.adjust_hue(COLOURS, delta).astype(float) - expected * 255).max() < 1
    np.testing.assert_array_equal(image.adjust_hue(COLOURS, 0), COLOURS, strict=True)
    deep = image.adjust_hue(COLOURS.astype(np.uint16) * 257, delta)
    np.testing.assert_allclose(deep, expected * 65535, atol=1)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7, 50.0])
def test_a_saturation_is_multiplied_as_by_the_standard_library(factor: float) -> None:
    expected = by_colorsys(COLOURS, 0, factor)
    np.testing.assert_allclose(image.adjust_saturation(COLOURS / np.float32(255), factor), expected, atol=1e-5)
    assert np.abs(image.adjust_saturation(COLOURS, factor).astype(float) - expected * 255).max() < 1
    np.testing.assert_array_equal(image.adjust_saturation(COLOURS, 1), COLOURS, strict=True)


@pytest.mark.parametrize("delta", [-0.7, 0.0, 0.1])
def test_brightness_is_added(delta: float) -> None:
    expected = np.clip((COLOURS / np.float32(255) + np.float32(delta)) * np.float32(255.5), 0, 255).astype(np.uint8)
    actual = image.adjust_brightness(COLOURS, delta)
    np.testing.assert_array_equal(actual, expected, strict=True)
    assert actual.flags.writeable
    floats = COLOURS.astype(np.float32)
    np.testing.assert_array_equal(image.adjust_brightness(floats, delta), floats + np.float32(delta), strict=True)
    deep = COLOURS.astype(np.uint16) * 257
    np.testing.assert_allclose(image.adjust_brightness(deep, delta), np.clip(deep + delta * 65535, 0, 65535), atol=1.5)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 3.0])
def test_contrast_keeps_the_mean_of_each_channel_of_each_image(factor: float) -> None:
    floats = COLOURS.astype(np.float64)
    means = floats.mean(axis=(1, 2), keepdims=True)
    expected = (floats - means) * factor + means
    np.testing.assert_allclose(image.adjust_contrast(COLOURS.astype(np.float32), factor), expected, rtol=0, atol=1e-3)
    assert np.abs(image.adjust_contrast(COLOURS, factor) - np.clip(expected, 0, 255)).max() < 1
    np.testing.assert_array_equal(image.adjust_contrast(COLOURS, 1), COLOURS)
    np.testing.assert_array_equal(image.adjust_contrast(COLOURS[1], factor), image.adjust_contrast(COLOURS, factor)[1])


def test_gamma_is_a_power() -> None:
    np.testing.assert_array_equal(image.adjust_gamma(COLOURS), COLOURS, strict=True)
    assert np.abs(image.adjust_gamma(COLOURS, 2, 0.5) - 0.5 * (COLOURS / 255) ** 2 * 255).max() < 1
    floats = COLOURS / np.float32(255)
    np.testing.assert_allclose(image.adjust_gamma(floats, 0.5, 3), 3 * np.sqrt(floats), rtol=1e-6)


def test_grey_is_the_brightness_that_pillow_sees_within_a_level() -> None:
    expected = np.stack([np.asarray(Image.fromarray(each).convert("L")) for each in COLOURS])
    actual = image.rgb_to_grayscale(COLOURS)
    assert actual.shape == (2, 9, 11, 1)
    assert np.abs(actual[..., 0].astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(image.grayscale_to_rgb(actual), np.broadcast_to(actual, COLOURS.shape))


@pytest.mark.parametrize(
    ("change", "by", "low", "high"),
    [
        (lambda rng: image.random_brightness(COLOURS, 0.4, rng), image.adjust_brightness, -0.4, 0.4),
        (lambda rng: image.random_contrast(COLOURS, 0.5, 2.0, rng), image.adjust_contrast, 0.5, 2.0),
        (lambda rng: image.random_saturation(COLOURS, 0.5, 2.0, rng), image.adjust_saturation, 0.5, 2.0),
        (lambda rng: image.random_hue(COLOURS, 0.3, rng), image.adjust_hue, -0.3, 0.3),
    ],
)
def test_a_random_change_is_the_change_by_one_number_that_is_drawn(
    change: Callable[[np.random.Generator], Any], by: Callable[[Any, float], Any], low: float, high: float
) -> None:
    seen = set()
    for seed in range(4):
        used, reference = np.random.default_rng(seed), np.random.default_rng(seed)
        actual = change(used)
        np.testing.assert_array_equal(actual, by(COLOURS, reference.uniform(low, high)))
        assert used.bit_generator.state == reference.bit_generator.state
        seen.add(actual.tobytes())
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("values", "dtype", "saturate", "expected"),
    [
        (np.array([0, 128, 255], np.uint8), np.uint16, False, [0, 32768, 65280]),
        (np.array([0, 255, 256, 65535], np.uint16), np.uint8, False, [0, 0, 1, 255]),
        (np.array([-128, 0, 127], np.int8), np.uint8, True, [0, 0, 254]),
        (np.array([-5, 0, 1 << 30], np.int32), np.uint8, True, [0, 0, 128]),
        (np.array([0, 51, 255], np.uint8), np.float64, False, [0, 0.2, 1]),
        (np.array([-0.5, 0.0, 0.5, 1.0, 1.5, np.nan]), np.uint8, False, [0, 0, 127, 255, 255, 0]),
        (np.array([-9.0, 1.0, 9.0], np.float32), np.int64, False, [-(1 << 63), (1 << 63) - 1024, (1 << 63) - 1024]),
        (np.array([0.5], np.float32), np.float16, False, [0.5]),
        (np.array([7], np.uint8), "uint8", False, [7]),
    ],
)
def test_the_largest_number_of_integers_is_one_of_floats(
    values: Any, dtype: Any, saturate: bool, expected: list[float]
) -> None:
    actual = image.convert_image_dtype(values, dtype, saturate)
    assert actual.dtype == np.dtype(dtype)
    assert actual.tolist() == expected


def test_bytes_go_through_floats_and_come_back() -> None:
    every = np.arange(256, dtype=np.uint8)
    for dtype in (np.float32, np.float64, np.uint16, np.int32):
        np.testing.assert_array_equal(
            image.convert_image_dtype(image.convert_image_dtype(every, dtype), np.uint8), every
        )


def test_normalising_takes_the_mean_and_divides() -> None:
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    expected = (COLOURS.astype(np.float64) - mean) / std
    actual = image.normalize(COLOURS, mean, std)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    np.testing.assert_array_equal(image.normalize(COLOURS[0, :, ::2], mean, std), actual[0, :, ::2])
    np.testing.assert_allclose(image.normalize(COLOURS[0], 127.5, [127.5]), COLOURS[0] / 127.5 - 1, atol=1e-6)


def test_a_standardised_image_has_mean_zero_and_spread_one() -> None:
    actual = image.per_image_standardization(COLOURS)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(actual.std(axis=(1, 2, 3)), 1, atol=1e-6)
    assert not image.per_image_standardization(np.full((3, 3, 1), 200, np.uint8)).any()
    np.testing.assert_allclose(image.per_image_standardization(COLOURS[1]), actual[1], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: image.adjust_brightness(COLOURS, np.nan), "delta=nan is not supported: give a finite number"),
        (lambda: image.adjust_brightness("photo", 0.1), "got shape"),
        (lambda: image.adjust_hue(COLOURS, 1.5), "delta=1.5 is not supported: give a finite number from -1 to 1"),
        (lambda: image.adjust_hue(COLOURS[..., :1], 0.1), r"1 channels, not the 3 of RGB: grayscale_to_rgb"),
        (lambda: image.adjust_saturation(COLOURS, -1), "saturation_factor=-1 is not supported"),
        (lambda: image.adjust_gamma(COLOURS, -1), "gamma=-1 is not supported: give a finite number of 0 or more"),
        (lambda: image.adjust_contrast(COLOURS > 3, 2), "dtype bool has no colours"),
        (lambda: image.random_hue(COLOURS, 0.6, np.random.default_rng(0)), "max_delta=0.6 .* from 0 to 0.5"),
        (lambda: image.random_contrast(COLOURS, 2, 1, np.random.default_rng(0)), "upper=1 is below lower=2"),
        (lambda: image.grayscale_to_rgb(COLOURS), "3 channels, not the 1 of grey"),
        (lambda: image.rgb_to_grayscale(COLOURS[..., :2]), "2 channels, not the 3 of RGB"),
        (lambda: image.convert_image_dtype(COLOURS, "S3"), "dtype |S3 is not supported: integers or floats"),
        (lambda: image.convert_image_dtype(COLOURS, "pixels"), "dtype='pixels' is no dtype"),
        (lambda: image.normalize(COLOURS, (1, 2), 1), "one for each of the 3 channels"),
        (lambda: image.normalize(COLOURS, 0, 0), "std=0 is not supported: numbers above 0"),
        (lambda: image.normalize(COLOURS, "a", 1), "mean='a' is not supported"),
    ],
)
def test_what_cannot_be_changed_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        call()
