"""What the bytes of an image file are, told before anything decodes them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NoReturn

from .errors import InvalidArgumentError
from .limits import Limits, limits

__all__ = ["MAX_PIXELS", "ImageBytes", "check_dimensions", "checked_window", "image_format", "refuse"]

#: Images that announce more pixels than this are refused before they are decoded, where nobody set another limit.
MAX_PIXELS = Limits().image_pixels

#: What the functions here take for the bytes of a file.
ImageBytes = bytes | bytearray | memoryview

#: How files begin: offset, bytes, name.
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\x89PNG", "PNG (damaged: a transfer in text mode changes these bytes)"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WebP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"%PDF", "PDF"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x93NUMPY", "a NumPy array file"),
    (0, b"<", "text (HTML, XML or SVG?)"),
)

#: Which function reads a format.
_DECODERS = {
    "JPEG": "decode_jpeg",
    "PNG": "decode_png",
    "BMP": "decode_bmp",
    "GIF": "decode_gif",
    "WebP": "decode_webp",
}


def image_format(contents: ImageBytes) -> str | None:
    """The name of a file's format by its first bytes; None for one that is not known.

    >>> image_format(b"GIF89a...")
    'GIF'
    """
    for offset, signature, name in _SIGNATURES:
        if contents[offset : offset + len(signature)] == signature:
            return name
    return None


def refuse(contents: object, wanted: str) -> NoReturn:
    """Raise InvalidArgumentError that says what these bytes are instead of a `wanted` file.

    >>> refuse(b"GIF89a......", "JPEG")
    Traceback (most recent call last):
    headrace.pipeline.errors.InvalidArgumentError: not a JPEG: begins with 47 49 46 38 39 61 2e 2e, which is GIF: ...
    """
    if not isinstance(contents, ImageBytes):
        raise InvalidArgumentError(
            f"a {wanted} is decoded from the bytes of its file, not from {type(contents).__name__}: "
            "read_file(path) gives them"
        )
    if not contents:
        raise InvalidArgumentError(f"not a {wanted}: there are no bytes")
    name = image_format(contents)
    looks = f"begins with {bytes(contents[:8]).hex(' ')}"
    if name == wanted:
        raise InvalidArgumentError(f"undecodable {wanted}: {looks}, and ends there")
    if name is None:
        raise InvalidArgumentError(f"not a {wanted}: {looks}, which is no image format that we know")
    advice = f"use {_DECODERS[name]}" if name in _DECODERS else "convert it to JPEG or PNG"
    raise InvalidArgumentError(f"not a {wanted}: {looks}, which is {name}: {advice}")


def check_dimensions(name: str, height: int, width: int, frames: int = 1) -> None:
    """Refuse a format that is not to be decoded, and what the header announces: nothing, or too many pixels."""
    most, formats = limits().image_pixels, limits().image_formats
    if name not in formats:
        allowed = ", ".join(formats) or "none"
        raise InvalidArgumentError(f"a {name} is not decoded here: limits.formats allows {allowed}")
    if height == 0 or width == 0:
        raise InvalidArgumentError(f"undecodable {name}: its header says {height} x {width} pixels")
    if height * width * frames > most:
        times = f"{frames:,} frames of " if frames > 1 else ""
        raise InvalidArgumentError(
            f"this {name} is {times}{height:,} x {width:,} pixels, more than the {most:,} that are decoded: "
            "make it smaller before it is stored, or raise limits.pixels"
        )


def checked_window(window: Sequence[int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """First row, first column, height and width of a part that lies inside an image [height, width, channels]."""
    try:
        top, left, height, width = (operator.index(each) for each in window)
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"a window is (first row, first column, height, width) in whole pixels, not {window!r}"
        ) from None
    if min(top, left) < 0 or min(height, width) < 1 or top + height > shape[-3] or left + width > shape[-2]:
        raise InvalidArgumentError(
            f"the window of {height} x {width} pixels from row {top} and column {left} on does not lie inside an "
            f"image of {shape[-3]} x {shape[-2]}"
        )
    return top, left, height, width
