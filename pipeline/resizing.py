"""Resizing of images."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .decoding import decode_image_in_passing
from .errors import InvalidArgumentError
from .image_bytes import ImageBytes
from .kernels.resample import (
    COLUMN_BITS,
    CUBIC,
    LANCZOS,
    ROW_BITS,
    TRIANGLE,
    area_taps,
    filter_taps,
    gather_pixels,
    nearest_taps,
    resample_bytes,
    resample_floats,
    to_fixed_point,
)
from .kernels.tiles import fits_tiles, resample_tiles, to_words
from .pixels import checked_image

__all__ = ["decode_and_resize", "resize", "resize_as_stored"]

#: Tables of weights that are kept; one for each pair of lengths that occurs.
_TABLES = 4096

#: What the kernel reads as it is; everything else that is real becomes float32 first.
_READ = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))

#: Methods that weigh by distance, by their filter; and all.
_FILTERS = {"bilinear": TRIANGLE, "bicubic": CUBIC, "lanczos3": LANCZOS}
_METHODS = (*_FILTERS, "area", "nearest")
#: Those whose weights are never below 0, so that bytes stay bytes.
_POSITIVE = ("bilinear", "area")


def resize(image: NDArray[Any], size: Sequence[int], method: str = "bilinear", antialias: bool = False) -> NDArray[Any]:
    """An image [height, width, channels], or a batch [n, height, width, channels], at another size.

    `size` is (height, width) in pixels. `method`: "bilinear" between half-pixel centres; "bicubic", that of Keys with
    a = -1/2; "lanczos3"; "area", the mean of what lies under each new pixel, parts of pixels by their part; "nearest",
    the pixel in which the centre lies. They give float32, nearest the dtype of `image`. The range of values stays:
    uint8 gives 0.0 to 255.0, bicubic and lanczos3 somewhat beyond at sharp edges. With `antialias` the first three are
    as wide as the scale when they shrink; the others know no such thing. The same size gives the same pixels. The
    result is the same on every machine.

    Raises InvalidArgumentError: not an image of 3 or 4 dimensions, no pixels, numbers that are not real, a size that is
    not two positive numbers, or another method.

    >>> ramp = np.array([[[0], [1], [2], [3]]], np.uint8)
    >>> [resize(ramp, (1, 3), method).ravel().tolist() for method in ("area", "nearest")]
    [[0.25, 1.5, 2.75], [0, 2, 3]]

    Meaning: that of tf.image.resize (TensorFlow 2).
    """
    _check_method(method)
    height, width = _checked_size(size)
    image = checked_image(image)
    if method != "nearest":
        image = np.ascontiguousarray(image if image.dtype in _READ else image.astype(np.float32))
    dtype = image.dtype if method == "nearest" else np.dtype(np.float32)
    if image.shape[-3:-1] == (height, width):
        return image.astype(dtype)
    out = np.empty((*image.shape[:-3], height, width, image.shape[-1]), dtype)
    for source, target in zip(image, out, strict=True) if image.ndim == 4 else ((image, out),):
        if method == "nearest":
            _take_nearest(source, target)
        else:
            _resize_to_floats(source, target, method, antialias)
    return out


def decode_and_resize(
    contents: ImageBytes,
    size: Sequence[int],
    antialias: bool = False,
    channels: int = 3,
    method: str = "bilinear",
) -> NDArray[np.uint8]:
    """The pixels of a JPEG, PNG, GIF, BMP or WebP at a size, uint8 [height, width, channels].

    `size` is (height, width) in pixels; `channels` as in `decode_image`. The format is told by the bytes; of several
    frames it is the first. The pixels are those of `resize(decode(contents), size, method, antialias)`, rounded to
    whole numbers from 0 to 255; arithmetic that is fixed makes them the same on every machine.

    Raises InvalidArgumentError, as `decode_jpeg`, `decode_png` and `resize` do.

    >>> from headrace.pipeline.decoding import read_file
    >>> photo = decode_and_resize(read_file("tests/data/images/baseline_420.jpg"), (64, 48))
    >>> photo.shape, photo.dtype
    ((64, 48, 3), dtype('uint8'))
    """
    _check_method(method)
    size = _checked_size(size)
    image = decode_image_in_passing(contents, channels)
    return image.copy() if image.shape[:2] == size else _resized_bytes(image, size, method, antialias)


def resize_as_stored(image: NDArray[Any], size: Sequence[int], method: str, antialias: bool) -> NDArray[Any]:
    """As `resize`, but one image, which is contiguous; of uint8 the whole numbers that `decode_and_resize` gives."""
    if image.dtype != np.uint8:
        return resize(image, size, method, antialias)
    _check_method(method)
    size = _checked_size(size)
    return image if image.shape[:2] == size else _resized_bytes(image, size, method, antialias)


def _resized_bytes(image: NDArray[np.uint8], size: tuple[int, int], method: str, antialias: bool) -> NDArray[np.uint8]:
    out = np.empty((*size, image.shape[2]), np.uint8)
    if method == "nearest":
        _take_nearest(image, out)
    else:
        _resize_to_bytes(image, out, method, antialias)
    return out


def _take_nearest(image: NDArray[Any], out: NDArray[Any]) -> None:
    rows, columns = (_nearest_table(image.shape[axis], out.shape[axis]) for axis in (0, 1))
    pixels, taken = (each.view(np.uint8).reshape(len(each), -1) for each in (np.ascontiguousarray(image), out))
    gather_pixels(pixels, image.shape[2] * image.itemsize, rows, columns, taken)


def _resize_to_bytes(image: NDArray[np.uint8], out: NDArray[np.uint8], method: str, antialias: bool) -> None:
    if method not in _POSITIVE:
        exact = np.empty(out.shape, np.float32)
        _resize_to_floats(image, exact, method, antialias)
        np.clip(np.rint(exact, out=exact), 0, 255, out=exact)
        out[...] = exact
        return
    rows, columns = (_bytes_table(image.shape[axis], out.shape[axis], method, antialias) for axis in (0, 1))
    pixels, made = (each.reshape(len(each), -1) for each in (image, out))
    taps = rows.fine.shape[1], columns.fine.shape[1]
    if fits_tiles(pixels.shape[1], *taps, *made.shape):
        resample_tiles(pixels, image.shape[2], rows.first, rows.words, columns.first, columns.words, made)
    else:
        resample_bytes(pixels, image.shape[2], rows.first, rows.fine, columns.first, columns.coarse, made)


def _resize_to_floats(image: NDArray[Any], out: NDArray[np.float32], method: str, antialias: bool) -> None:
    rows, columns = (_floats_table(image.shape[axis], out.shape[axis], method, antialias) for axis in (0, 1))
    flat = image.reshape(image.shape[0], -1), out.reshape(out.shape[0], -1)
    resample_floats(flat[0], image.shape[2], rows[0], rows[1], columns[0], columns[1], flat[1])


@lru_cache(_TABLES)
def _nearest_table(size_in: int, size_out: int) -> NDArray[np.int64]:
    return nearest_taps(size_in, size_out)


def _taps(size_in: int, size_out: int, method: str, antialias: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return (
        area_taps(size_in, size_out)
        if method == "area"
        else filter_taps(size_in, size_out, _FILTERS[method], antialias)
    )


class _Taps(NamedTuple):
    """First indices, and the weights in each precision."""

    first: NDArray[np.int64]
    fine: NDArray[np.int32]  #: For rows of `resample_bytes`,
    coarse: NDArray[np.int32]  #: for its columns,
    words: NDArray[np.uint16]  #: for `resample_tiles`.


@lru_cache(_TABLES)
def _bytes_table(size_in: int, size_out: int, method: str, antialias: bool) -> _Taps:
    first, weights = _taps(size_in, size_out, method, antialias)
    return _Taps(first, to_fixed_point(weights, ROW_BITS), to_fixed_point(weights, COLUMN_BITS), to_words(weights))


@lru_cache(_TABLES)
def _floats_table(
    size_in: int, size_out: int, method: str, antialias: bool
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    first, weights = _taps(size_in, size_out, method, antialias)
    return first, weights.astype(np.float32)


def _check_method(method: str) -> None:
    if method not in _METHODS:
        raise InvalidArgumentError(f"method={method!r} is not supported: there is {', '.join(map(repr, _METHODS))}")


def _checked_size(size: Sequence[int]) -> tuple[int, int]:
    try:
        height, width = size
        height, width = operator.index(height), operator.index(width)
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"size={size!r} is not (height, width) in whole pixels") from None
    if height <= 0 or width <= 0:
        raise InvalidArgumentError(f"size={size!r}: height and width must be above 0")
    return height, width
