"""Decoder of GIF files: their blocks, their frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .errors import InvalidArgumentError
from .image_bytes import ImageBytes, check_dimensions, refuse

__all__ = ["decode_gif"]

Pixels = NDArray[np.uint8]

_SCREEN, _DESCRIPTOR = 13, 9
_IMAGE, _EXTENSION, _END, _GRAPHIC_CONTROL = 0x2C, 0x21, 0x3B, 0xF9


def decode_gif(contents: ImageBytes, frames: int | None = None) -> Pixels:
    """The frames of a GIF, uint8 [frames, height, width, 3], also where there is but one; `frames` of them at most.

    The canvas is as large as the largest frame. A frame that covers a part of it, or has transparent pixels, shows
    what the one before showed there, the first one black; how the file wants frames disposed of is not looked at.

    Raises InvalidArgumentError: the bytes are no GIF (the message says what they are), are truncated or damaged, or all
    frames together announce more than MAX_PIXELS pixels.

    >>> from headrace.pipeline.decoding import read_file
    >>> decode_gif(read_file("tests/data/images/animated.gif")).shape
    (4, 48, 64, 3)

    Format: GIF89a (CompuServe); meaning: that of tf.io.decode_gif.
    """
    if not isinstance(contents, ImageBytes) or contents[:6] not in (b"GIF87a", b"GIF89a"):
        refuse(contents, "GIF")
    found: list[_Frame] = []
    height = width = 0
    for frame in _frames(bytes(contents)):
        found.append(frame)
        height, width = max(height, frame.height), max(width, frame.width)
        check_dimensions("GIF", height, width, len(found))
        if len(found) == frames:
            break
    if not found:
        raise InvalidArgumentError("undecodable GIF: it has no frame")
    canvas = np.zeros((len(found), height, width, 3), np.uint8)
    for number, frame in enumerate(found):
        canvas[number] = canvas[max(0, number - 1)]
        frame.draw(canvas[number])
    return canvas


@dataclass(slots=True)
class _Frame:
    """One image of the file."""

    left: int
    top: int
    width: int
    height: int
    interlaced: bool
    palette: NDArray[np.uint8]  #: [colours, 3]
    transparent: int  #: The index of no colour; -1 where every one has a colour.
    bits: int
    data: bytes  #: Compressed, in blocks with their lengths.

    def draw(self, canvas: Pixels) -> None:
        """Put what lies inside on [height, width, 3]."""
        indices = self._indices()[: max(0, canvas.shape[0] - self.top), : max(0, canvas.shape[1] - self.left)]
        shown = indices != self.transparent
        if shown.any() and (worst := int(indices[shown].max())) >= len(self.palette):
            raise InvalidArgumentError(f"undecodable GIF: colour {worst} of a palette of {len(self.palette)}")
        colours = np.zeros((256, 3), np.uint8)
        colours[: len(self.palette)] = self.palette
        part = canvas[self.top : self.top + len(indices), self.left : self.left + indices.shape[1]]
        part[shown] = colours[indices[shown]]

    def _indices(self) -> NDArray[np.int16]:
        try:
            size = (self.width, self.height)
            image = Image.frombytes("P", size, self.data, "gif", self.bits, int(self.interlaced), -1)
        except (ValueError, OSError) as error:
            raise InvalidArgumentError(
                f"undecodable GIF, a frame of {self.height} x {self.width} pixels: {error}"
            ) from error
        return np.array(image).astype(np.int16)


def _frames(data: bytes) -> Iterator[_Frame]:
    """The images in order; where the file ends before it says so, an error comes behind them."""
    _need(data, _SCREEN)
    at, shared = _palette(data, _SCREEN, data[10])
    transparent = -1
    while data[at : at + 1] != bytes([_END]):
        _need(data, at + 2)
        if data[at] == _EXTENSION:
            control = data[at + 3 : at + 7]
            if data[at + 1] == _GRAPHIC_CONTROL and len(control) == 4:
                transparent = control[3] if control[0] & 1 else -1
            at = _after_blocks(data, at + 2)
        elif data[at] == _IMAGE:
            frame, at = _frame(data, at + 1, shared, transparent)
            yield frame
            transparent = -1
        else:
            raise InvalidArgumentError(f"undecodable GIF: a block of unknown kind {data[at]:#04x} at byte {at:,}")


def _frame(data: bytes, at: int, shared: Pixels | None, transparent: int) -> tuple[_Frame, int]:
    """The image whose descriptor is here, and where the next block is."""
    _need(data, at + _DESCRIPTOR)
    left, top, width, height = (int.from_bytes(data[at + i : at + i + 2], "little") for i in (0, 2, 4, 6))
    packed = data[at + 8]
    check_dimensions("GIF", height, width)
    begin, own = _palette(data, at + _DESCRIPTOR, packed)
    palette = shared if own is None else own
    if palette is None:
        raise InvalidArgumentError("undecodable GIF: a frame has no palette")
    _need(data, begin + 1)
    if not 1 <= data[begin] <= 11:
        raise InvalidArgumentError(f"undecodable GIF: codes of {data[begin]} bits")
    end = _after_blocks(data, begin + 1)
    pixels = data[begin + 1 : end]
    return _Frame(left, top, width, height, bool(packed & 0x40), palette, transparent, data[begin], pixels), end


def _palette(data: bytes, at: int, packed: int) -> tuple[int, Pixels | None]:
    """Where the block behind a palette begins, and the palette, if there is one."""
    if not packed & 0x80:
        return at, None
    end = at + 3 * (2 << (packed & 7))
    _need(data, end)
    return end, np.frombuffer(data, np.uint8, end - at, at).reshape(-1, 3)


def _after_blocks(data: bytes, at: int) -> int:
    """Where a run of blocks, each behind its length, has come to its empty one."""
    while True:
        _need(data, at + 1)
        if data[at] == 0:
            return at + 1
        at += 1 + data[at]


def _need(data: bytes, end: int) -> None:
    if end > len(data):
        raise InvalidArgumentError(f"truncated GIF: its {len(data):,} bytes end before its last block")
