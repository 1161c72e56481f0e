"""Decoder of BMP files."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgumentError
from .image_bytes import ImageBytes, check_dimensions, refuse

__all__ = ["decode_bmp"]

Pixels = NDArray[np.uint8]

#: The file's header and the first 40 bytes of the image's, from byte 10 on: where the pixels begin, size of the
#: image's header, width, height, planes, bits of a pixel, compression, and (further on) colours of the palette.
_HEADER = struct.Struct("<IIiiHHI12xI")
_HEADER_AT, _FILE_HEADER, _SHORTEST = 10, 14, 40

_PLAIN, _BIT_FIELDS = 0, 3
#: The masks of red, green and blue in the only order of 32 bits that is read.
_MASKS = (0xFF0000, 0xFF00, 0xFF)


def decode_bmp(contents: ImageBytes, channels: int = 0) -> Pixels:
    """The pixels of a BMP, uint8 [height, width, channels].

    `channels`: 0 as stored (8 bits 1, 24 bits 3, 32 bits 4), 3 RGB, 4 RGB and alpha, which is 255 where there is none.

    Raises InvalidArgumentError: the bytes are no BMP (the message says what they are), are compressed, coloured by a
    palette, or of another number of bits; end too early; announce more than MAX_PIXELS pixels.

    >>> from headrace.pipeline.decoding import read_file
    >>> decode_bmp(read_file("tests/data/images/rgba.bmp")).shape
    (96, 120, 4)

    Format: Microsoft's BITMAPINFOHEADER; meaning: that of tf.io.decode_bmp.
    """
    if not isinstance(contents, ImageBytes) or contents[:2] != b"BM":
        refuse(contents, "BMP")
    if channels not in (0, 3, 4):
        raise InvalidArgumentError(f"channels={channels!r} is not supported for a BMP: 0 (as stored), 3 or 4")
    if len(contents) < _HEADER_AT + _HEADER.size:
        raise InvalidArgumentError(f"truncated BMP: its {len(contents):,} bytes end inside its header")
    start, header, width, height, _, bits, compression, colours = _HEADER.unpack_from(contents, _HEADER_AT)
    check_dimensions("BMP", abs(height), max(0, width))
    _check_kind(contents, header, bits, compression, colours)
    samples = bits // 8
    stride = -(-width * samples // 4) * 4
    # The padding of the last row may be missing.
    if start + stride * (abs(height) - 1) + width * samples > len(contents):
        raise InvalidArgumentError(
            f"truncated BMP ({abs(height)} x {width} by its header): its pixels are not all there"
        )
    pixels = _pixels(contents, start, stride, (abs(height), width, samples))
    return _with_channels(pixels if height < 0 else pixels[::-1], channels or samples)


def _check_kind(contents: ImageBytes, header: int, bits: int, compression: int, colours: int) -> None:
    if header < _SHORTEST or bits not in (8, 24, 32):
        raise InvalidArgumentError(
            f"a BMP of {bits} bits a pixel, with a header of {header} bytes, is not supported: convert it to PNG"
        )
    if compression == _BIT_FIELDS and bits == 32:
        at = _FILE_HEADER + _SHORTEST
        if len(contents) < at + 12 or struct.unpack_from("<III", contents, at) != _MASKS:
            raise InvalidArgumentError("a BMP with colours in an order of its own is not supported: convert it to PNG")
    elif compression != _PLAIN:
        raise InvalidArgumentError(f"a BMP of compression {compression} is not supported: convert it to PNG")
    if bits == 8 and not _is_grey(contents, _FILE_HEADER + header, colours or 256):
        raise InvalidArgumentError("a BMP with a palette of colours is not supported: convert it to PNG")


def _is_grey(contents: ImageBytes, at: int, colours: int) -> bool:
    """Whether the palette gives every index as the same grey."""
    count = min(colours, 256)
    if at + 4 * count > len(contents):
        return False
    palette = np.frombuffer(contents, np.uint8, 4 * count, at).reshape(count, 4)
    return bool((palette[:, :3] == np.arange(count)[:, None]).all())


def _pixels(contents: ImageBytes, start: int, stride: int, shape: tuple[int, int, int]) -> Pixels:
    """Rows as they are stored, each padded to four bytes, without the padding."""
    height, width, samples = shape
    flat = np.frombuffer(contents, np.uint8, stride * (height - 1) + width * samples, start)
    padded = np.zeros(stride * height, np.uint8)
    padded[: len(flat)] = flat
    return padded.reshape(height, stride)[:, : width * samples].reshape(shape)


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    """Blue, green, red become red, green, blue."""
    samples = pixels.shape[2]
    if channels == samples == 1:
        return np.ascontiguousarray(pixels)
    out = np.full((*pixels.shape[:2], channels), 255, np.uint8)
    out[:, :, :3] = pixels[:, :, 2::-1] if samples >= 3 else pixels
    if channels == samples == 4:
        out[:, :, 3] = pixels[:, :, 3]
    return out
