"""Decoder of JPEG files."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .errors import InvalidArgumentError
from .exif import read_orientation, turned_upright
from .image_bytes import ImageBytes, check_dimensions, checked_window, refuse
from .kernels.jpeg_header import read_jpeg_header
from .limits import limits

try:
    import simplejpeg
except ImportError:  # no wheel for this platform: Pillow gives the same pixels, more slowly
    simplejpeg = None

__all__ = ["decode_and_crop_jpeg", "decode_jpeg", "decode_jpeg_in_passing"]

#: A progressive JPEG with more scans than this is refused: each one costs a pass over the whole image.
MAX_SCANS = 500
#: And so many, where it has as many pixels as an image may: the time that all scans take has a limit, too.
LARGE_SCANS = 20

_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_END_OF_IMAGE = b"\xff\xd9"
_FAST_DCT = {"INTEGER_ACCURATE": False, "": False, "INTEGER_FAST": True}
_PILLOW_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}

#: Pillow's words, and ours.
_WHY = {
    "not enough image data": "truncated, the bytes end before the image; try_recover_truncated=True gives the rest",
    "cannot decode image data": "it is damaged beyond what the decoder can step over",
}

#: So many bytes of a thread's memory are kept for what it decodes next.
_KEPT = 8 << 20

Pixels = NDArray[np.uint8]


def decode_jpeg(
    contents: ImageBytes,
    channels: int = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1.0,
    dct_method: str = "INTEGER_ACCURATE",
    exif_orientation: bool = False,
) -> Pixels:
    """The pixels of a JPEG, uint8 [height, width, channels].

    `channels`: 0 as stored (1 or 3), 1 grey, 3 RGB. `ratio` 1, 2, 4 or 8 decodes at that fraction of the size.
    `dct_method`: "INTEGER_ACCURATE" or "INTEGER_FAST". CMYK becomes RGB; with `exif_orientation` the image is turned
    as its EXIF data say; what follows the end of the image is ignored; a damage that the decoder can step over is
    stepped over. Of a truncated file `try_recover_truncated` gives the rows that are there, the rest grey.

    Raises InvalidArgumentError: the bytes are no JPEG (the message says what they are), end too early, announce
    more than MAX_PIXELS pixels; or an argument has a value that is not supported.

    >>> from headrace.pipeline.decoding import read_file
    >>> photo = read_file("tests/data/images/baseline_420.jpg")
    >>> decode_jpeg(photo).shape, decode_jpeg(photo, channels=1, ratio=2).shape
    ((108, 135, 3), (54, 68, 1))
    >>> decode_jpeg(read_file("tests/data/images/exif_orientation_6.jpg"), exif_orientation=True).shape
    (120, 96, 3)

    Format: ITU-T T.81; decoded by libjpeg-turbo, through simplejpeg or Pillow. Meaning: that of tf.io.decode_jpeg.
    """
    options = (channels, ratio, fancy_upscaling, try_recover_truncated, acceptable_fraction, dct_method)
    pixels = _pixels(contents, *options)
    return turned_upright(pixels, read_orientation(contents)) if exif_orientation else pixels


def decode_and_crop_jpeg(
    contents: ImageBytes,
    crop_window: Sequence[int],
    channels: int = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1.0,
    dct_method: str = "INTEGER_ACCURATE",
) -> Pixels:
    """A window of a JPEG's pixels, uint8 [height, width, channels], the same as cut out of `decode_jpeg`.

    `crop_window` is (first row, first column, height, width), in pixels of the image at its `ratio`; the other
    arguments are those of `decode_jpeg`.

    Raises InvalidArgumentError, as `decode_jpeg` does, and for a window that is empty or not inside the image.

    >>> from headrace.pipeline.decoding import read_file
    >>> decode_and_crop_jpeg(read_file("tests/data/images/baseline_420.jpg"), (10, 20, 32, 48)).shape
    (32, 48, 3)

    Meaning: that of tf.io.decode_and_crop_jpeg.
    """
    options = (channels, ratio, fancy_upscaling, try_recover_truncated, acceptable_fraction, dct_method)
    pixels = _pixels(contents, *options, passing=True)
    top, left, height, width = checked_window(crop_window, pixels.shape)
    return pixels[top : top + height, left : left + width].copy()


def decode_jpeg_in_passing(contents: ImageBytes, channels: int) -> Pixels:
    """As `decode_jpeg`, in memory that the next such call of this thread may write over."""
    return _pixels(contents, channels, passing=True)


class _Memory(threading.local):
    """What a thread decodes into where the pixels are not kept: new memory costs as much as a tenth of decoding."""

    bytes = np.empty(0, np.uint8)

    def of(self, size: int) -> NDArray[np.uint8] | None:
        """At least so many bytes; None where they are too many to be kept."""
        if size > _KEPT:
            return None
        if size > len(self.bytes):
            self.bytes = np.empty(size, np.uint8)
        return self.bytes


_MEMORY = _Memory()


def _pixels(
    contents: ImageBytes,
    channels: int,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1.0,
    dct_method: str = "INTEGER_ACCURATE",
    passing: bool = False,
) -> Pixels:
    if not isinstance(contents, ImageBytes) or contents[:3] != b"\xff\xd8\xff":
        refuse(contents, "JPEG")
    if (
        channels not in (0, 1, 3)
        or ratio not in (1, 2, 4, 8)
        or dct_method not in _FAST_DCT
        or acceptable_fraction != 1
    ):
        _unsupported(channels, ratio, acceptable_fraction, dct_method)
    frame, height, width, components, adobe = read_jpeg_header(np.frombuffer(contents, np.uint8))
    _check_frame(contents, frame, height, width, components)
    if components == 4 and channels == 1:
        raise InvalidArgumentError("a CMYK JPEG does not decode to grey: use channels=3")
    colours = "CMYK" if components == 4 else "GRAY" if (channels or components) == 1 else "RGB"
    options = (colours, -(-height // ratio), -(-width // ratio), ratio, not fancy_upscaling, _FAST_DCT[dct_method])
    try:
        memory = _MEMORY.of(height * width * len(colours)) if passing else None
        pixels = _decode(contents, *options, memory, strict=True)
    except (ValueError, RuntimeError):
        pixels = _decode_tolerantly(contents, options, (height, width), try_recover_truncated)
    return _from_cmyk(pixels, adobe) if colours == "CMYK" else pixels


def _unsupported(channels: int, ratio: int, acceptable_fraction: float, dct_method: str) -> NoReturn:
    if channels not in (0, 1, 3):
        raise InvalidArgumentError(f"channels={channels!r} is not supported for a JPEG: 0 (as stored), 1 or 3")
    if ratio not in (1, 2, 4, 8):
        raise InvalidArgumentError(f"ratio={ratio!r} is not supported: 1, 2, 4 or 8")
    if dct_method not in _FAST_DCT:
        raise InvalidArgumentError(f'dct_method={dct_method!r} is not supported: "INTEGER_ACCURATE" or "INTEGER_FAST"')
    raise InvalidArgumentError(
        f"acceptable_fraction={acceptable_fraction!r} is not supported: leave it at 1.0; "
        "try_recover_truncated=True accepts any truncated image"
    )


def _check_frame(contents: ImageBytes, frame: int, height: int, width: int, components: int) -> None:
    if frame == 0:
        raise InvalidArgumentError(
            f"undecodable JPEG: its {len(contents):,} bytes have no complete header (truncated, or damaged)"
        )
    check_dimensions("JPEG", height, width)
    if components not in (1, 3, 4):
        raise InvalidArgumentError(f"undecodable JPEG: {components} components; grey, colour and CMYK have 1, 3 and 4")
    scans = bytes(contents).count(b"\xff\xda") if frame in _PROGRESSIVE else 0
    most = min(MAX_SCANS, LARGE_SCANS * limits().image_pixels // (height * width))
    if scans > most:
        raise InvalidArgumentError(
            f"this JPEG of {height:,} x {width:,} pixels has {scans:,} scans, more than the {most} that are decoded: "
            "save it anew"
        )


def _decode(
    contents: ImageBytes,
    colours: str,
    height: int,
    width: int,
    ratio: int,
    plain: bool,
    fast: bool,
    memory: NDArray[np.uint8] | None = None,
    *,
    strict: bool,
) -> Pixels:
    """As simplejpeg gives it, in `memory` if any; strict makes an error of what libjpeg only warns of."""
    if simplejpeg is None:
        if plain or fast:
            raise InvalidArgumentError("fancy_upscaling=False and INTEGER_FAST need simplejpeg: pip install simplejpeg")
        return _decode_by_pillow(contents, colours, height, width, ratio)
    if ratio == 1:
        return simplejpeg.decode_jpeg(contents, colours, fast, plain, buffer=memory, strict=strict)  # type: ignore[no-any-return]
    # The smallest scaling that keeps these minima is the one of exactly 1 / ratio.
    return simplejpeg.decode_jpeg(contents, colours, fast, plain, height, width, ratio, memory, strict)  # type: ignore[no-any-return]


def _decode_by_pillow(contents: ImageBytes, colours: str, height: int, width: int, ratio: int, *_: Any) -> Pixels:
    """Pillow's bare codec: it steps over damage but not over the end, and reads no metadata, so it has no warnings."""
    mode = _PILLOW_MODES[colours]
    image = Image.frombytes(mode, (width, height), bytes(contents), "jpeg", mode, "", ratio, 0)
    pixels = np.array(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _decode_tolerantly(contents: ImageBytes, options: tuple[Any, ...], size: tuple[int, int], recover: bool) -> Pixels:
    """What libjpeg makes of a damaged file, provided that it reaches the end of the image."""
    contents = bytes(contents) + _END_OF_IMAGE if recover else contents
    try:
        pixels = _decode_by_pillow(contents, *options)
        # Only now is it known that nothing fatal comes: simplejpeg would return what was decoded up to there.
        return _decode(contents, *options, strict=False) if options[-1] or options[-2] else pixels
    except (ValueError, RuntimeError, OSError) as error:
        what = f"undecodable JPEG ({size[0]} x {size[1]} by its header, {len(contents):,} bytes)"
        raise InvalidArgumentError(f"{what}: {_WHY.get(str(error), error)}") from error


def _from_cmyk(pixels: Pixels, adobe: bool) -> Pixels:
    """RGB of CMYK; Adobe's are stored inverted."""
    wide = pixels.astype(np.uint16)
    if not adobe:
        wide = np.uint16(255) - wide
    return (wide[:, :, :3] * wide[:, :, 3:] // np.uint16(255)).astype(np.uint8)
