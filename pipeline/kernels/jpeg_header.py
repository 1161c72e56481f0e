"""Header of a JPEG file: its frame, found by walking the markers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compile import inline, kernel

__all__ = ["read_jpeg_header"]

# Markers of ITU-T T.81, table B.1.
_SOF0, _DHT, _JPG, _DAC, _SOF15 = 0xC0, 0xC4, 0xC8, 0xCC, 0xCF
_TEM, _RST0, _SOI, _EOI, _SOS, _APP14 = 0x01, 0xD0, 0xD8, 0xD9, 0xDA, 0xEE


@inline
def _is_adobe(data: NDArray[np.uint8], at: Any, size: Any) -> bool:
    return bool(
        size >= 12
        and data[at] == 0x41
        and data[at + 1] == 0x64
        and data[at + 2] == 0x6F
        and data[at + 3] == 0x62
        and data[at + 4] == 0x65
    )


@inline
def _next_marker(data: NDArray[np.uint8], at: Any) -> tuple[Any, Any]:
    """The next marker and where its segment begins; (0, end) where there is none."""
    end = data.shape[0]
    while at + 1 < end:
        if data[at] == 0xFF and data[at + 1] != 0xFF and data[at + 1] != 0:
            return np.int64(data[at + 1]), at + 2
        at += 1
    return 0, end


@kernel
def read_jpeg_header(data: NDArray[np.uint8]) -> tuple[Any, Any, Any, Any, Any]:
    """The frame of a JPEG: (SOF marker, height, width, components, whether an Adobe marker was seen).

    The SOF marker is 0 when the bytes end, or say what no decoder accepts, before the first scan. Markers are
    found as libjpeg finds them, so that the size that is checked here is the size that it will decode.
    """
    frame = height = width = components = np.int64(0)
    adobe = False
    end = data.shape[0]
    marker, at = _next_marker(data, 2)
    while marker not in (0, _SOI, _EOI):
        if marker == _TEM or _RST0 <= marker < _SOI:
            marker, at = _next_marker(data, at)
            continue
        if marker == _SOS:
            return frame, height, width, components, adobe
        if at + 2 > end:
            break
        size = (np.int64(data[at]) << 8 | np.int64(data[at + 1])) - 2
        at += 2
        if size < 0 or at + size > end:
            break
        if _SOF0 <= marker <= _SOF15 and marker not in (_DHT, _JPG, _DAC):
            if frame != 0 or size < 6:
                break
            frame = marker
            height = np.int64(data[at + 1]) << 8 | np.int64(data[at + 2])
            width = np.int64(data[at + 3]) << 8 | np.int64(data[at + 4])
            components = np.int64(data[at + 5])
        elif marker == _APP14:
            adobe = adobe or _is_adobe(data, at, size)
        marker, at = _next_marker(data, at + size)
    return 0, height, width, components, adobe
