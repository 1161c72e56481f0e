"""Decoder of WebP files."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .errors import InvalidArgumentError
from .image_bytes import ImageBytes, check_dimensions, refuse

__all__ = ["decode_webp"]

Pixels = NDArray[np.uint8]

#: The bits of the extended header that say: moving pictures, an alpha channel.
_ANIMATED, _ALPHA = 0x02, 0x10


def decode_webp(contents: ImageBytes, channels: int = 0, frames: int | None = None) -> Pixels:
    """The frames of a WebP, uint8 [frames, height, width, channels], also where there is but one; `frames` at most.

    `channels`: 0 as stored (3, or 4 with alpha; an animation always has 4); 3 or 4, which the file must have. Alpha is
    not blended. Each frame of an animation is the whole picture that is seen.

    Raises InvalidArgumentError: the bytes are no WebP (the message says what they are), are truncated or damaged; all
    frames together announce more than MAX_PIXELS pixels; or `channels` is not what the file has.

    >>> from headrace.pipeline.decoding import read_file
    >>> decode_webp(read_file("tests/data/images/animated.webp")).shape
    (3, 48, 64, 4)

    Format: RFC 9649; decoded by libwebp, through Pillow. Meaning: that of tf.io.decode_webp.
    """
    if not isinstance(contents, ImageBytes) or contents[:4] != b"RIFF" or contents[8:12] != b"WEBP":
        refuse(contents, "WebP")
    if channels not in (0, 3, 4):
        raise InvalidArgumentError(f"channels={channels!r} is not supported for a WebP: 0 (as stored), 3 or 4")
    data = bytes(contents)
    height, width, stored, count = _announced(data)
    count = count if frames is None else min(count, frames)
    check_dimensions("WebP", height, width, count)
    if channels not in (0, stored):
        raise InvalidArgumentError(f"channels={channels}, and this WebP has {stored}: use channels=0 or {stored}")
    pixels = np.empty((count, height, width, stored), np.uint8)
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            if image.size != (width, height) or getattr(image, "n_frames", 1) < count:
                raise ValueError(f"{image.size[1]} x {image.size[0]} pixels inside")
            for number in range(count):
                image.seek(number)
                pixels[number] = np.asarray(image.convert("RGB" if stored == 3 else "RGBA"))
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidArgumentError(
            f"undecodable WebP ({height} x {width} by its header, {len(data):,} bytes): truncated or damaged ({error})"
        ) from error
    return pixels


def _announced(data: bytes) -> tuple[int, int, int, int]:
    """Height, width, channels and frames, from the headers alone."""
    kind = data[12:16]
    try:
        if kind == b"VP8X":
            flags, width, height = data[20], _three(data, 24) + 1, _three(data, 27) + 1
            if flags & _ANIMATED:
                return height, width, 4, _count(data, b"ANMF")
            return height, width, 4 if flags & _ALPHA else 3, 1
        if kind == b"VP8L":
            (packed,) = struct.unpack_from("<I", data, 21)
            return (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1, 4 if packed >> 28 & 1 else 3, 1
        if kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return height & 0x3FFF, width & 0x3FFF, 3, 1
    except (IndexError, struct.error):
        raise InvalidArgumentError(f"truncated WebP: its {len(data):,} bytes end inside its header") from None
    raise InvalidArgumentError(f"undecodable WebP: it begins with an unknown chunk {kind!r}")


def _three(data: bytes, at: int) -> int:
    if at + 3 > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + 3], "little")


def _count(data: bytes, name: bytes) -> int:
    """How many chunks of this name the file has."""
    at, found = 12, 0
    while at + 8 <= len(data):
        found += data[at : at + 4] == name
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    if not found:
        raise InvalidArgumentError("undecodable WebP: an animation without a frame")
    return found
