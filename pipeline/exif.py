"""EXIF: which way up a photograph is."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .image_bytes import ImageBytes

__all__ = ["read_orientation", "turned_upright"]

_START, _EXIF, _SCAN = 0xD8, 0xE1, 0xDA
_MAGIC = b"Exif\0\0"
#: The tag and the type (16-bit number) of the orientation.
_ORIENTATION, _SHORT = 0x0112, 3
_ENTRY = 12


def read_orientation(contents: ImageBytes) -> int:
    """1 to 8, as the EXIF data of a JPEG say it; 1, upright, where they say nothing that can be understood.

    >>> from headrace.pipeline.decoding import read_file
    >>> read_orientation(read_file("tests/data/images/exif_orientation_6.jpg"))
    6

    Format: Exif 2.32 (CIPA DC-008), which is TIFF 6.0.
    """
    data, at = bytes(contents), 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == _EXIF and data[at + 4 : at + 10] == _MAGIC:
            return _in_tiff(data[at + 10 : at + 2 + size])
        at += 2 + size
    return 1


def _in_tiff(tiff: bytes) -> int:
    """The orientation in the first directory."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 10:
        return 1
    (at,) = struct.unpack_from(order + "I", tiff, 4)
    if at + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, at)
    for entry in range(at + 2, min(at + 2 + count * _ENTRY, len(tiff) - _ENTRY + 1), _ENTRY):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
        if (tag, kind) == (_ORIENTATION, _SHORT):
            return value if 1 <= value <= 8 else 1
    return 1


def turned_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """[height, width, channels], or turned on its side; contiguous.

    >>> row = np.arange(3, dtype=np.uint8).reshape(1, 3, 1)
    >>> turned_upright(row, 2).ravel().tolist(), turned_upright(row, 6).shape
    ([2, 1, 0], (3, 1, 1))
    """
    if orientation >= 5:  # rows are columns
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
