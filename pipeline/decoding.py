"""Decoders: from the bytes of an image file to its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .bmp import decode_bmp
from .errors import InvalidArgumentError, NotFoundError
from .gif import decode_gif
from .image_bytes import ImageBytes, image_format, refuse
from .jpeg import decode_and_crop_jpeg, decode_jpeg, decode_jpeg_in_passing
from .png import decode_png
from .webp import decode_webp

__all__ = [
    "decode_and_crop_jpeg",
    "decode_bmp",
    "decode_gif",
    "decode_image",
    "decode_image_in_passing",
    "decode_jpeg",
    "decode_png",
    "decode_webp",
    "read_file",
]

_FORMATS = "JPEG, PNG, GIF, BMP or WebP"

Pixels = NDArray[np.uint8]


def read_file(path: str | bytes | Path) -> bytes:
    """The whole content of a file.

    Raises NotFoundError, naming the path, when it is not there or cannot be read.

    >>> read_file("no/such/file.jpg")
    Traceback (most recent call last):
    headrace.pipeline.errors.NotFoundError: no/such/file.jpg: No such file or directory
    """
    name = path.decode() if isinstance(path, bytes) else path
    try:
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:
        raise NotFoundError(str(name), getattr(error, "strerror", None) or str(error)) from error


def decode_image(
    contents: ImageBytes,
    channels: int | None = None,
    dtype: DTypeLike = np.uint8,
    name: str | None = None,
    expand_animations: bool = True,
) -> NDArray[Any]:
    """The pixels of a JPEG, PNG, GIF, BMP or WebP, told apart by their bytes, [height, width, channels].

    Of the formats that have frames, GIF and WebP, all frames [frames, height, width, channels], also where there is but
    one; the first alone, without that dimension, with `expand_animations=False`. `channels` as in the decoders of the
    formats, None as 0; a GIF has 3. `dtype` uint8; uint16, into which samples of 8 bits go times 257 from a PNG and
    times 256 from the others; or float32, from 0.0 to 1.0. `name` does nothing.

    Raises InvalidArgumentError: bytes of another format, named in the message; damage; values that are not supported.

    >>> decode_image(read_file("tests/data/images/rgba.png"), channels=3, dtype="float32").shape
    (96, 120, 3)
    >>> decode_image(read_file("tests/data/images/animated.gif"), expand_animations=False).shape
    (48, 64, 3)

    Meaning: that of tf.io.decode_image.
    """
    kind = _known_format(contents)
    wanted = _sample_kind(dtype)
    if kind == "PNG":
        samples = decode_png(contents, channels or 0, np.uint8 if wanted == "uint8" else np.uint16)
        return samples.astype(np.float32) * np.float32(1 / 65535) if wanted == "float32" else samples
    pixels = _eight_bits(kind, contents, channels or 0, expand_animations)
    if wanted == "uint8":
        return pixels
    if wanted == "uint16":
        return pixels.astype(np.uint16) * np.uint16(256)
    return pixels.astype(np.float32) * np.float32(1 / 255)


def decode_image_in_passing(contents: ImageBytes, channels: int) -> Pixels:
    """The first frame, uint8 [height, width, channels], in memory that this thread's next such call may write over."""
    kind = _known_format(contents)
    if kind == "JPEG":
        return decode_jpeg_in_passing(contents, channels)
    if kind == "PNG":
        return decode_png(contents, channels)
    return _eight_bits(kind, contents, channels, expand_animations=False)


def _known_format(contents: ImageBytes) -> str:
    kind = image_format(contents) if isinstance(contents, ImageBytes) else None
    if kind not in ("JPEG", "PNG", "GIF", "BMP", "WebP"):
        refuse(contents, _FORMATS)
    return kind


def _eight_bits(kind: str, contents: ImageBytes, channels: int, expand_animations: bool) -> Pixels:
    if kind == "JPEG":
        return decode_jpeg(contents, channels)
    if kind == "BMP":
        return decode_bmp(contents, channels)
    if kind == "GIF" and channels not in (0, 3):
        raise InvalidArgumentError(f"channels={channels!r} is not supported for a GIF: 0 or 3")
    frames = None if expand_animations else 1
    pixels = decode_gif(contents, frames) if kind == "GIF" else decode_webp(contents, channels, frames)
    return pixels if expand_animations else pixels[0]


def _sample_kind(dtype: DTypeLike) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    if name not in ("uint8", "uint16", "float32"):
        raise InvalidArgumentError(f"dtype={name} is not supported for an image: uint8, uint16 or float32")
    return name
