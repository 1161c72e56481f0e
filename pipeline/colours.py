"""Brightness, contrast, saturation, hue and gamma of images; grey and RGB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgumentError
from .kernels.colours import shift_colours
from .pixels import checked_colours, checked_image, number, through_floats

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "grayscale_to_rgb",
    "random_brightness",
    "random_contrast",
    "random_hue",
    "random_saturation",
    "rgb_to_grayscale",
]

Image = NDArray[Any]

#: What red, green and blue give to grey, as in TensorFlow.
_GREY = (0.2989, 0.5870, 0.1140)


def adjust_brightness(image: Image, delta: float) -> Image:
    """The image with `delta` added to every number: from -1.0, black, to 1.0, white. Same shape and dtype.

    An image [height, width, channels] or a batch of them. Integers are changed as if they were scaled to 0.0 to 1.0,
    and end at the ends of their dtype; floats have no ends.

    Raises InvalidArgumentError: no image, or a `delta` that is no finite number.

    >>> adjust_brightness(np.array([[[0], [100], [255]]], np.uint8), 0.2).ravel().tolist()
    [51, 151, 255]

    Meaning: that of tf.image.adjust_brightness.
    """
    added = np.float32(number("delta", delta))
    return _by_table(lambda numbers: numbers + added, checked_image(image))


def adjust_gamma(image: Image, gamma: float = 1.0, gain: float = 1.0) -> Image:
    """`gain` times the numbers of the image to the power of `gamma`, where 1.0 is white. Same shape and dtype.

    As `adjust_brightness`; above 1 `gamma` makes an image darker.

    Raises InvalidArgumentError: no image, a `gamma` below 0, or a `gain` that is no finite number.

    >>> adjust_gamma(np.array([[[0], [51], [255]]], np.uint8), 2.0).ravel().tolist()
    [0, 10, 255]

    Meaning: that of tf.image.adjust_gamma.
    """
    power, times = np.float32(number("gamma", gamma, 0)), np.float32(number("gain", gain))
    return _by_table(lambda numbers: times * numbers**power, checked_image(image))


def adjust_contrast(image: Image, contrast_factor: float) -> Image:
    """Every number's distance from the mean of its channel, in its image, times a factor. Same shape and dtype.

    As `adjust_brightness`: integers end at the ends of their dtype.

    Raises InvalidArgumentError: no image, or a factor that is no finite number.

    >>> adjust_contrast(np.array([[[90], [110]]], np.uint8), 3.0).ravel().tolist()
    [70, 130]

    Meaning: that of tf.image.adjust_contrast.
    """
    factor = np.float32(number("contrast_factor", contrast_factor))

    def change(numbers: Image) -> Image:
        # By whole rows: NumPy takes a call for each pixel where it has only its channels to go through.
        width, channels = numbers.shape[-2:]
        rows = numbers.reshape(*numbers.shape[:-2], -1)
        sums = rows.sum(axis=-2, dtype=np.float64).reshape(*rows.shape[:-2], width, channels)
        means = np.tile(sums.mean(axis=-2) / rows.shape[-2], width)[..., None, :].astype(numbers.dtype)
        changed: Image = rows - means
        changed *= factor
        changed += means
        return changed.reshape(numbers.shape)

    return through_floats(change, checked_image(image))


def adjust_saturation(image: Image, saturation_factor: float) -> Image:
    """The saturation of every colour, as in HSV, times a factor: 0 makes it grey. Same shape and dtype.

    [height, width, 3] or a batch of such images: red, green, blue. No saturation passes 1.0.

    Raises InvalidArgumentError: no image of 3 channels, or a factor below 0.

    >>> adjust_saturation(np.array([[[200, 100, 0]]], np.uint8), 0.5).ravel().tolist()
    [200, 150, 100]

    Meaning: that of tf.image.adjust_saturation.
    """
    return _shifted(image, 0.0, number("saturation_factor", saturation_factor, 0))


def adjust_hue(image: Image, delta: float) -> Image:
    """The hue of every colour, as in HSV, turned by `delta` of the circle, from -1.0 to 1.0. Same shape and dtype.

    [height, width, 3] or a batch of such images: red, green, blue.

    Raises InvalidArgumentError: no image of 3 channels, or a `delta` that is not from -1 to 1.

    >>> adjust_hue(np.array([[[200, 100, 0]]], np.uint8), 1 / 3).ravel().tolist()
    [0, 200, 100]

    Meaning: that of tf.image.adjust_hue.
    """
    return _shifted(image, number("delta", delta, -1, 1), 1.0)


def random_brightness(image: Image, max_delta: float, rng: np.random.Generator) -> Image:
    """`adjust_brightness` by a number from -max_delta to max_delta; takes one `rng.uniform`.

    >>> random_brightness(np.array([[[100]]], np.uint8), 0.1, np.random.default_rng(0)).ravel().tolist()
    [107]

    Meaning: that of tf.image.random_brightness.
    """
    most = number("max_delta", max_delta, 0)
    return adjust_brightness(image, rng.uniform(-most, most))


def random_contrast(image: Image, lower: float, upper: float, rng: np.random.Generator) -> Image:
    """`adjust_contrast` by a factor from `lower`, at least 0, to `upper`; takes one `rng.uniform`.

    >>> random_contrast(np.array([[[90], [110]]], np.uint8), 0, 2, np.random.default_rng(0)).ravel().tolist()
    [87, 112]

    Meaning: that of tf.image.random_contrast.
    """
    return adjust_contrast(image, rng.uniform(*_range(lower, upper)))


def random_saturation(image: Image, lower: float, upper: float, rng: np.random.Generator) -> Image:
    """`adjust_saturation` by a factor from `lower`, at least 0, to `upper`; takes one `rng.uniform`.

    >>> random_saturation(np.array([[[200, 100, 0]]], np.uint8), 0, 1, np.random.default_rng(0)).ravel().tolist()
    [200, 136, 72]

    Meaning: that of tf.image.random_saturation.
    """
    return adjust_saturation(image, rng.uniform(*_range(lower, upper)))


def random_hue(image: Image, max_delta: float, rng: np.random.Generator) -> Image:
    """`adjust_hue` by a number from -max_delta to max_delta, at most 0.5; takes one `rng.uniform`.

    >>> random_hue(np.array([[[200, 100, 0]]], np.uint8), 0.5, np.random.default_rng(0)).ravel().tolist()
    [135, 200, 0]

    Meaning: that of tf.image.random_hue.
    """
    most = number("max_delta", max_delta, 0, 0.5)
    return adjust_hue(image, rng.uniform(-most, most))


def rgb_to_grayscale(image: Image) -> Image:
    """The brightness of an image [height, width, 3], or of each of a batch, as one channel; same dtype.

    0.2989 of red, 0.5870 of green and 0.1140 of blue, as in TensorFlow, which together is a little less than 1.

    Raises InvalidArgumentError: no image of 3 channels.

    >>> rgb_to_grayscale(np.array([[[255, 0, 0], [0, 100, 200]]], np.uint8)).ravel().tolist()
    [76, 81]

    Meaning: that of tf.image.rgb_to_grayscale.
    """

    def change(numbers: Image) -> Image:
        red, green, blue = (np.float32(_GREY[c]) * numbers[..., c : c + 1] for c in range(3))
        grey: Image = red + green + blue
        return grey

    return through_floats(change, checked_colours(image))


def grayscale_to_rgb(image: Image) -> Image:
    """An image [height, width, 1], or each of a batch, with its channel three times; same dtype.

    Raises InvalidArgumentError: no image of 1 channel.

    >>> grayscale_to_rgb(np.array([[[7], [9]]], np.uint8)).tolist()
    [[[7, 7, 7], [9, 9, 9]]]

    Meaning: that of tf.image.grayscale_to_rgb.
    """
    image = checked_image(image)
    if image.shape[-1] != 1:
        raise InvalidArgumentError(f"an image of shape {image.shape} has {image.shape[-1]} channels, not the 1 of grey")
    return np.repeat(image, 3, axis=-1)


def _by_table(change: Callable[[Image], Image], image: Image) -> Image:
    """`through_floats`; of bytes there are only 256 different ones to change."""
    if image.dtype != np.uint8:
        return through_floats(change, image)
    table = through_floats(change, np.arange(256, dtype=np.uint8))
    changed = bytearray(image.tobytes()).translate(table.tobytes())  # five times as fast as table[image]
    return np.frombuffer(changed, np.uint8).reshape(image.shape)


def _shifted(image: Image, turn: float, factor: float) -> Image:
    image = checked_colours(image)

    def change(numbers: Image) -> Image:
        return _shifted_as_they_are(np.asarray(numbers, np.float32), 1.0, turn, factor, 1.0)

    # Bytes without a detour: the same as through floats.
    if image.dtype == np.uint8:
        return _shifted_as_they_are(image, 1 / 255, turn, factor, 255.5)
    return through_floats(change, image)


def _shifted_as_they_are(image: Image, scale: float, turn: float, factor: float, out_scale: float) -> Image:
    flat = np.ascontiguousarray(image).reshape(-1, 3)
    out = np.empty_like(flat)
    shift_colours(flat, scale, turn, factor, out, out_scale)
    return out.reshape(image.shape)


def _range(lower: float, upper: float) -> tuple[float, float]:
    low, high = number("lower", lower, 0), number("upper", upper, 0)
    if high < low:
        raise InvalidArgumentError(f"upper={upper!r} is below lower={lower!r}")
    return low, high
