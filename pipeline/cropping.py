"""Images cut out, padded around, and fitted to a size."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgumentError
from .image_bytes import checked_window
from .pixels import checked_image, number
from .resizing import resize, resize_as_stored

__all__ = [
    "central_crop",
    "crop_to_bounding_box",
    "pad_to_bounding_box",
    "random_crop",
    "random_resized_crop",
    "resize_with_crop_or_pad",
    "resize_with_pad",
]

Number = TypeVar("Number", bound=np.generic)

#: So often a window is drawn that may turn out to be larger than the image.
_ATTEMPTS = 10


def crop_to_bounding_box(
    image: NDArray[Number], offset_height: int, offset_width: int, target_height: int, target_width: int
) -> NDArray[Number]:
    """The part of an image, or of each of a batch, from that row and column on, of that height and width.

    [height, width, channels] or [n, height, width, channels]; same dtype; contiguous.

    Raises InvalidArgumentError: a window that is empty or not inside the image.

    >>> crop_to_bounding_box(np.arange(20).reshape(4, 5, 1), 1, 2, 2, 3)[:, :, 0].tolist()
    [[7, 8, 9], [12, 13, 14]]

    Meaning: that of tf.image.crop_to_bounding_box.
    """
    image = checked_image(image)
    top, left, height, width = checked_window((offset_height, offset_width, target_height, target_width), image.shape)
    return np.ascontiguousarray(image[..., top : top + height, left : left + width, :])


def pad_to_bounding_box(
    image: NDArray[Number], offset_height: int, offset_width: int, target_height: int, target_width: int
) -> NDArray[Number]:
    """A black image of that height and width with `image`, or each of a batch, put at that row and column.

    [height, width, channels] or [n, height, width, channels]; same dtype.

    Raises InvalidArgumentError: the image does not fit there.

    >>> pad_to_bounding_box(np.ones((1, 2, 1), int), 1, 0, 2, 3)[:, :, 0].tolist()
    [[0, 0, 0], [1, 1, 0]]

    Meaning: that of tf.image.pad_to_bounding_box.
    """
    image = checked_image(image)
    height, width = image.shape[-3:-1]
    top, left, tall, wide = (_whole(each) for each in (offset_height, offset_width, target_height, target_width))
    if min(top, left) < 0 or top + height > tall or left + width > wide:
        raise InvalidArgumentError(
            f"an image of {height} x {width} pixels, put at row {top} and column {left}, does not lie inside "
            f"{tall} x {wide}"
        )
    out = np.zeros((*image.shape[:-3], tall, wide, image.shape[-1]), image.dtype)
    out[..., top : top + height, left : left + width, :] = image
    return out


def central_crop(image: NDArray[Number], central_fraction: float) -> NDArray[Number]:
    """The middle of an image, or of each of a batch: this fraction, from 0 to 1, of its height and of its width.

    Same dtype; contiguous; as much is cut off on either side, in whole pixels.

    Raises InvalidArgumentError: a fraction that is not above 0 and at most 1.

    >>> central_crop(np.arange(16).reshape(4, 4, 1), 0.5)[:, :, 0].tolist()
    [[5, 6], [9, 10]]

    Meaning: that of tf.image.central_crop.
    """
    image = checked_image(image)
    fraction = number("central_fraction", central_fraction, 0, 1)
    if fraction == 0:
        raise InvalidArgumentError("central_fraction=0 leaves nothing of an image: give a number above 0, at most 1")
    top, left = (int((side - side * fraction) / 2) for side in image.shape[-3:-1])
    height, width = image.shape[-3] - 2 * top, image.shape[-2] - 2 * left
    return crop_to_bounding_box(image, top, left, height, width)


def resize_with_crop_or_pad(image: NDArray[Number], target_height: int, target_width: int) -> NDArray[Number]:
    """The middle of an image, or of each of a batch, at a size: cut off where it is larger, black where it is smaller.

    Same dtype; no pixel changes.

    Raises InvalidArgumentError: a size that is not two whole numbers above 0.

    >>> resize_with_crop_or_pad(np.arange(1, 7).reshape(3, 2, 1), 1, 4)[:, :, 0].tolist()
    [[0, 3, 4, 0]]

    Meaning: that of tf.image.resize_with_crop_or_pad.
    """
    image = checked_image(image)
    target = _size((target_height, target_width))
    extra = [wanted - side for wanted, side in zip(target, image.shape[-3:-1], strict=True)]
    kept = (min(wanted, side) for wanted, side in zip(target, image.shape[-3:-1], strict=True))
    top, left = (max(0, -each // 2) for each in extra)
    cut = crop_to_bounding_box(image, top, left, *kept)
    down, right = (max(0, each // 2) for each in extra)
    return pad_to_bounding_box(cut, down, right, *target) if max(extra) > 0 else cut


def resize_with_pad(
    image: NDArray[Any], target_height: int, target_width: int, method: str = "bilinear", antialias: bool = False
) -> NDArray[Any]:
    """An image, or each of a batch, as large as it fits into a size without distortion; black where it leaves a rest.

    `method`, `antialias` and the dtype of the result are those of `resize`.

    Raises InvalidArgumentError, as `resize` does.

    >>> resize_with_pad(np.full((2, 4, 1), 7, np.uint8), 4, 4)[:, 0, 0].tolist()
    [0.0, 7.0, 7.0, 0.0]

    Meaning: that of tf.image.resize_with_pad.
    """
    image = checked_image(image)
    target = _size((target_height, target_width))
    ratio = max(side / wanted for side, wanted in zip(image.shape[-3:-1], target, strict=True))
    fitted = [side / ratio for side in image.shape[-3:-1]]
    small = [min(wanted, max(1, math.floor(each))) for each, wanted in zip(fitted, target, strict=True)]
    top, left = (max(0, math.floor((wanted - each) / 2)) for each, wanted in zip(fitted, target, strict=True))
    return pad_to_bounding_box(resize(image, small, method, antialias), top, left, *target)


def random_resized_crop(
    image: NDArray[Any],
    size: Sequence[int],
    rng: np.random.Generator,
    scale: Sequence[float] = (0.08, 1.0),
    ratio: Sequence[float] = (3 / 4, 4 / 3),
    method: str = "bilinear",
    antialias: bool = True,
) -> NDArray[Any]:
    """A part of an image [height, width, channels], from anywhere in it, at a size; uint8 stays uint8, rounded.

    `size` is (height, width). The part has between `scale[0]` and `scale[1]` of the image's area, and is between
    `ratio[0]` and `ratio[1]` times as wide as it is high, evenly in the logarithm. When ten such parts in a row are
    larger than the image, the middle is taken, as much of it as the ratio allows. `method` and `antialias` are those of
    `resize`; other dtypes become what they become there. Takes four `rng.random()` for each part.

    Raises InvalidArgumentError: not one image; a range that is not two numbers above 0 in order; as `resize` does.

    >>> photo = hr.io.decode_jpeg(hr.io.read_file("tests/data/images/baseline_420.jpg"))
    >>> random_resized_crop(photo, (64, 48), np.random.default_rng(0)).shape
    (64, 48, 3)

    Source: the Inception architecture (Szegedy et al., 2014); as in torchvision's RandomResizedCrop.
    """
    image = checked_image(image)
    if image.ndim != 3:
        raise InvalidArgumentError(f"one image [height, width, channels] is cropped at a time, got shape {image.shape}")
    areas, ratios = _span("scale", scale), _span("ratio", ratio)
    if areas[1] > 1:
        raise InvalidArgumentError(f"scale={scale!r} is more than the image has: at most 1.0")
    window = _random_window(image.shape[0], image.shape[1], areas, ratios, rng)
    return resize_as_stored(crop_to_bounding_box(image, *window), size, method, antialias)


def random_crop(image: NDArray[Number], size: Sequence[int], rng: np.random.Generator) -> NDArray[Number]:
    """A part of this size, from anywhere in the array; same dtype.

    `size` has one length for each dimension, as (24, 24, 3) for an image; one as long as the array's own leaves that
    dimension whole. Every place is equally likely. Takes one `rng.integers` for all dimensions. The result is
    contiguous; it is `image` itself when nothing was cut off and it was contiguous.

    Raises InvalidArgumentError: another number of lengths, or one that is below 0 or longer than the array's.

    >>> image = np.arange(20).reshape(4, 5, 1)
    >>> random_crop(image, (2, 3, 1), np.random.default_rng(0))[:, :, 0].tolist()
    [[11, 12, 13], [16, 17, 18]]

    Meaning: that of tf.image.random_crop.
    """
    image = np.asarray(image)
    lengths = _lengths(size, image.shape)
    firsts = rng.integers(0, np.subtract(image.shape, lengths), endpoint=True)
    part: tuple[Any, ...] = tuple(
        slice(first, first + length) for first, length in zip(firsts.tolist(), lengths, strict=True)
    )
    return np.asarray(image[(*part, ...)], order="C")


def _random_window(
    height: int, width: int, areas: tuple[float, float], ratios: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """First row, first column, height and width."""
    low, high = math.log(ratios[0]), math.log(ratios[1])
    for _ in range(_ATTEMPTS):
        part, shape, down, right = rng.random(4).tolist()
        area = height * width * (areas[0] + part * (areas[1] - areas[0]))
        ratio = math.exp(low + shape * (high - low))
        wide, tall = max(1, round(math.sqrt(area * ratio))), max(1, round(math.sqrt(area / ratio)))
        if wide <= width and tall <= height:
            return int(down * (height - tall + 1)), int(right * (width - wide + 1)), tall, wide
    tall = min(height, max(1, round(width / ratios[0])))
    wide = min(width, max(1, round(height * ratios[1])))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def _span(name: str, span: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(each) for each in span)
    except (TypeError, ValueError):
        low = high = math.nan
    if not 0 < low <= high < math.inf:
        raise InvalidArgumentError(f"{name}={span!r} is not supported: two numbers above 0, the smaller one first")
    return low, high


def _size(size: Sequence[int]) -> tuple[int, int]:
    height, width = (_whole(each) for each in size)
    if min(height, width) < 1:
        raise InvalidArgumentError(f"a size of {height} x {width} pixels: height and width must be above 0")
    return height, width


def _whole(value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidArgumentError(f"{value!r} is not a whole number of pixels") from None


def _lengths(size: Sequence[int], shape: tuple[int, ...]) -> list[int]:
    try:
        lengths = [operator.index(each) for each in size]
    except TypeError:
        raise InvalidArgumentError(f"size={size!r} is no sequence of whole numbers, one for each dimension") from None
    if len(lengths) != len(shape):
        raise InvalidArgumentError(
            f"size={size!r} has {len(lengths)} lengths, an array of shape {shape} has {len(shape)} dimensions: "
            "give one for each"
        )
    for axis, (length, there) in enumerate(zip(lengths, shape, strict=True)):
        if not 0 <= length <= there:
            raise InvalidArgumentError(
                f"size={size!r}: {length} does not fit into dimension {axis} of an array of shape {shape}"
            )
    return lengths
