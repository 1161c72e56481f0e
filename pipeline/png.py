"""PNG: its chunks, its pixels."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from .errors import InvalidArgumentError
from .image_bytes import ImageBytes, check_dimensions, refuse
from .kernels.png_rows import undo_png_filters

__all__ = ["decode_png"]

Samples = NDArray[Any]  # uint8 or uint16, [height, width, samples of a pixel]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")

#: Samples of a pixel by colour type: grey, RGB, palette index, grey and alpha, RGB and alpha.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: How Pillow's codec calls what it reads: (colour type, bits) -> (mode, raw mode).
_PILLOW_MODES = {
    (0, 1): ("1", "1"),
    (0, 2): ("L", "L;2"),
    (0, 4): ("L", "L;4"),
    (0, 8): ("L", "L"),
    (2, 8): ("RGB", "RGB"),
    (3, 1): ("P", "P;1"),
    (3, 2): ("P", "P;2"),
    (3, 4): ("P", "P;4"),
    (3, 8): ("P", "P"),
    (4, 8): ("LA", "LA"),
    (6, 8): ("RGBA", "RGBA"),
}
#: Pillow has no 16-bit colour, so these are read here.
_DEEP = {(0, 16), (2, 16), (4, 16), (6, 16)}
#: The passes of an interlaced image: first row, first column, row step, column step.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def decode_png(contents: ImageBytes, channels: int = 0, dtype: DTypeLike = np.uint8) -> Samples:
    """The pixels of a PNG, uint8 or uint16 [height, width, channels].

    `channels`: 0 as stored (1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; a palette becomes 3, or 4 when it has
    transparent entries), 1 grey, 3 RGB, 4 RGB and alpha. Alpha is cut off, not blended; where there is none it is full
    (as in TensorFlow 1 for 1-bit grey, 3 for 2-bit, 15 for 4-bit); colour becomes grey with the weights of JPEG (0.299,
    0.587, 0.114). As uint8, 16-bit samples keep their high byte; as uint16, 8-bit samples are multiplied by 257. Gamma
    and colour profiles are ignored.

    Raises InvalidArgumentError: the bytes are no PNG (the message says what they are), are truncated or damaged,
    announce more than MAX_PIXELS pixels; or an argument has a value that is not supported.

    >>> from headrace.pipeline.decoding import read_file
    >>> picture = read_file("tests/data/images/palette_transparent.png")
    >>> decode_png(picture).shape, decode_png(picture, channels=3, dtype="uint16").dtype
    ((96, 120, 4), dtype('uint16'))

    Format: PNG specification, third edition (W3C).
    """
    if not isinstance(contents, ImageBytes) or contents[:8] != _SIGNATURE:
        refuse(contents, "PNG")
    if channels not in (0, 1, 3, 4):
        raise InvalidArgumentError(f"channels={channels!r} is not supported for a PNG: 0 (as stored), 1, 3 or 4")
    bits = _bits(dtype)
    png = _Png.read(contents)
    samples, alpha = png.pixels(channels == 4)
    samples = _with_channels(samples, alpha, channels, png.opaque())
    if samples.dtype.itemsize * 8 == bits:
        return samples
    return (samples >> 8).astype(np.uint8) if bits == 8 else samples.astype(np.uint16) * np.uint16(257)


def _bits(dtype: DTypeLike) -> int:
    try:
        return {"uint8": 8, "uint16": 16}[np.dtype(dtype).name]
    except (KeyError, TypeError):
        raise InvalidArgumentError(f"dtype={dtype!r} is not supported for a PNG: uint8 or uint16") from None


@dataclass(slots=True)
class _Png:
    """What the chunks say."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: int
    palette: bytes
    transparent: bytes | None  #: tRNS: alpha by palette entry, or the one colour that is transparent.
    data: bytes  #: Compressed rows.

    @classmethod
    def read(cls, contents: ImageBytes) -> _Png:
        chunks = _chunks(contents)
        width, height, bits, colour, compression, filters, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
        check_dimensions("PNG", height, width)
        if (colour, bits) not in _PILLOW_MODES and (colour, bits) not in _DEEP:
            raise InvalidArgumentError(f"undecodable PNG: there is no colour type {colour} of {bits} bits")
        if compression or filters or interlaced > 1:
            raise InvalidArgumentError("undecodable PNG: an unknown compression, filter or interlace method")
        palette, transparent = chunks.get(b"PLTE", b""), chunks.get(b"tRNS")
        if colour == 3 and (not palette or len(palette) % 3):
            raise InvalidArgumentError("undecodable PNG: a palette image without a palette")
        return cls(width, height, bits, colour, interlaced, palette, transparent, chunks[b"IDAT"])

    def pixels(self, want_alpha: bool) -> tuple[Samples, Samples | None]:
        """The samples at the depth in which they are stored (8 at least), and the alpha that a tRNS chunk gives."""
        samples = self._deep() if self.bits == 16 else self._shallow()
        if self.colour == 3:
            return self._coloured(samples), None
        if not want_alpha or self.transparent is None or self.colour not in (0, 2):
            return samples, None
        return samples, self._key_alpha(samples)

    def _shallow(self) -> Samples:
        mode, raw = _PILLOW_MODES[self.colour, self.bits]
        try:
            image = Image.frombytes(mode, (self.width, self.height), self.data, "zip", raw, self.interlaced)
        except (ValueError, OSError) as error:
            raise self._undecodable(str(error)) from error
        samples = np.array(image, np.uint8)
        samples = samples * np.uint8(255) if mode == "1" else samples
        return samples if samples.ndim == 3 else samples[:, :, None]

    def _deep(self) -> Samples:
        try:
            stream = zlib.decompressobj().decompress(self.data, self._inflated_size())
        except zlib.error as error:
            raise self._undecodable(str(error)) from error
        if len(stream) < self._inflated_size():
            raise self._undecodable(f"it holds {len(stream):,} bytes of pixels, not {self._inflated_size():,}")
        if not self.interlaced:
            return self._rows(np.frombuffer(stream, np.uint8), self.height, self.width)
        image = np.empty((self.height, self.width, _SAMPLES[self.colour]), np.uint16)
        at = 0
        for (y, x, dy, dx), size, height, width in self._passes():
            image[y::dy, x::dx] = self._rows(np.frombuffer(stream, np.uint8, size, at), height, width)
            at += size
        return image

    def _passes(self) -> list[tuple[tuple[int, int, int, int], int, int, int]]:
        """Of each pass that has pixels: where they go, its bytes, its height and width."""
        sizes = [(p, -(-(self.height - p[0]) // p[2]), -(-(self.width - p[1]) // p[3])) for p in _PASSES]
        return [(p, h * (1 + w * self._pixel_bytes()), h, w) for p, h, w in sizes if h > 0 and w > 0]

    def _pixel_bytes(self) -> int:
        return 2 * _SAMPLES[self.colour]

    def _inflated_size(self) -> int:
        if self.interlaced:
            return sum(size for _, size, _, _ in self._passes())
        return self.height * (1 + self.width * self._pixel_bytes())

    def _rows(self, filtered: NDArray[np.uint8], height: int, width: int) -> Samples:
        rows = filtered.reshape(height, -1).copy()
        if (bad := undo_png_filters(rows, self._pixel_bytes())) >= 0:
            raise self._undecodable(f"row {bad} has an unknown filter")
        return np.ascontiguousarray(rows[:, 1:]).view(">u2").astype(np.uint16).reshape(height, width, -1)

    def _coloured(self, indices: Samples) -> Samples:
        """Palette entries; an index beyond the palette is black and opaque."""
        palette = np.zeros((256, 3), np.uint8)
        entries = np.frombuffer(self.palette[:768], np.uint8).reshape(-1, 3)
        palette[: len(entries)] = entries
        if self.transparent is not None:
            alpha = np.full((256, 1), 255, np.uint8)
            given = np.frombuffer(self.transparent[:256], np.uint8)
            alpha[: len(given), 0] = given
            palette = np.concatenate([palette, alpha], axis=1)
        return palette[indices[:, :, 0]]

    def opaque(self) -> int:
        """The alpha of an image that has none: as in TensorFlow, of as many bits as its grey samples have."""
        return 255 if self.colour == 3 else int(2**self.bits - 1)

    def _key_alpha(self, samples: Samples) -> Samples | None:
        """Alpha that is 0 where a pixel has the transparent colour."""
        transparent = self.transparent or b""
        if len(transparent) != 2 * samples.shape[2]:
            return None
        scale = 1 if self.bits >= 8 else 255 // (2**self.bits - 1)
        key = np.frombuffer(transparent, ">u2").astype(np.int64) * scale
        full = np.iinfo(samples.dtype).max
        return np.where((samples == key).all(axis=2, keepdims=True), 0, full).astype(samples.dtype)

    def _undecodable(self, reason: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"undecodable PNG ({self.height} x {self.width} by its header): {reason}")


def _chunks(contents: ImageBytes) -> dict[bytes, bytes]:
    """The chunks that make the pixels, checked; IDAT joined."""
    found: dict[bytes, bytes] = {}
    data: list[bytes] = []
    at = len(_SIGNATURE)
    while b"IEND" not in found:
        if at + 12 > len(contents):
            raise InvalidArgumentError(f"truncated PNG: its {len(contents):,} bytes end before its last chunk")
        size, name = struct.unpack_from(">I4s", contents, at)
        if at + 12 + size > len(contents):
            raise InvalidArgumentError(f"truncated PNG: its {len(contents):,} bytes end inside the {name!r} chunk")
        if not found and (name, size) != (b"IHDR", 13):
            raise InvalidArgumentError(f"undecodable PNG: it begins with the {name!r} chunk, not with IHDR")
        if name in _KEPT:
            content = _checked(contents, at, size, name)
            data.append(content) if name == b"IDAT" else found.setdefault(name, content)
        elif not name[0] & 0x20:  # lower case marks what a reader may pass over
            raise InvalidArgumentError(f"undecodable PNG: unknown critical chunk {name!r}")
        at += 12 + size
    if not data:
        raise InvalidArgumentError("undecodable PNG: it has no pixels (no IDAT chunk)")
    found[b"IDAT"] = b"".join(data)
    return found


def _checked(contents: ImageBytes, at: int, size: int, name: bytes) -> bytes:
    view = memoryview(contents)
    if zlib.crc32(view[at + 4 : at + 8 + size]) != int.from_bytes(view[at + 8 + size : at + 12 + size], "big"):
        raise InvalidArgumentError(f"damaged PNG: the checksum of its {name.decode()} chunk does not match")
    return bytes(view[at + 8 : at + 8 + size])


def _with_channels(samples: Samples, alpha: Samples | None, channels: int, opaque: int) -> Samples:
    """As many channels as asked for; 0 leaves them as they are."""
    stored = samples.shape[2]
    if channels in (0, stored) and alpha is None:
        return samples
    colour = samples[:, :, : 1 if stored <= 2 else 3]
    if channels == 1:
        return np.ascontiguousarray(colour if stored <= 2 else _luma(colour))
    colour = np.broadcast_to(colour, (*colour.shape[:2], 3))
    if channels == 3:
        return np.ascontiguousarray(colour)
    if alpha is None:
        full = np.full((*colour.shape[:2], 1), opaque, samples.dtype)
        alpha = samples[:, :, -1:] if stored in (2, 4) else full
    return np.concatenate([colour, alpha], axis=2)


def _luma(colour: Samples) -> Samples:
    """Grey by the weights of JPEG (ITU-R BT.601), in 16-bit fixed point."""
    red, green, blue = (colour[:, :, i : i + 1].astype(np.uint32) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16).astype(colour.dtype)
