"""CRC-32C (Castagnoli) of a range of a buffer, plain and masked as TFRecord stores it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .compile import inline, kernel

__all__ = ["crc32c", "mask", "masked_crc", "word32"]

#: The polynomial 0x1EDC6F41 with its bits reversed, as the reflected form of the algorithm wants it.
POLYNOMIAL = 0x82F63B78


def _tables() -> npt.NDArray[np.uint32]:
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = (first >> np.uint32(1)) ^ (np.uint32(POLYNOMIAL) * (first & np.uint32(1)))
    tables = [first]
    for _ in range(7):
        tables.append(first[tables[-1] & np.uint32(255)] ^ (tables[-1] >> np.uint32(8)))
    return np.concatenate(tables)


#: Slicing by eight: the remainder of byte b that has k more bytes behind it stands at [256 * k + b].
TABLES = _tables()


@inline
def word32(data: npt.NDArray[np.uint8], at: np.uint64) -> np.uint32:
    """The little-endian 32-bit word at `at`; the caller has made sure that it lies inside."""
    return np.uint32(
        np.uint32(data[at])
        | np.uint32(data[at + np.uint64(1)]) << np.uint32(8)
        | np.uint32(data[at + np.uint64(2)]) << np.uint32(16)
        | np.uint32(data[at + np.uint64(3)]) << np.uint32(24)
    )


@inline
def _eight(low: np.uint32, high: np.uint32) -> np.uint32:
    byte = np.uint32(255)
    return np.uint32(
        TABLES[np.uint32(1792) + (low & byte)]
        ^ TABLES[np.uint32(1536) + ((low >> np.uint32(8)) & byte)]
        ^ TABLES[np.uint32(1280) + ((low >> np.uint32(16)) & byte)]
        ^ TABLES[np.uint32(1024) + (low >> np.uint32(24))]
        ^ TABLES[np.uint32(768) + (high & byte)]
        ^ TABLES[np.uint32(512) + ((high >> np.uint32(8)) & byte)]
        ^ TABLES[np.uint32(256) + ((high >> np.uint32(16)) & byte)]
        ^ TABLES[high >> np.uint32(24)]
    )


@kernel
def crc32c(data: npt.NDArray[np.uint8], begin: int, end: int) -> np.uint32:
    """CRC-32C of data[begin:end], which must lie inside `data`.

    Eight bytes a step with eight tables (Kounavis and Berry, "Novel Table Lookup-Based Algorithms for
    High-Performance CRC Generation", 2008); the parameters are those of RFC 3720, appendix B.4.

    >>> import numpy as np
    >>> hex(crc32c(np.frombuffer(b"123456789", np.uint8), 0, 9))
    '0xe3069283'
    """
    # Unsigned positions: numba would check signed ones for being counted from the end.
    at, stop = np.uint64(begin), np.uint64(end)
    crc = np.uint32(0xFFFFFFFF)
    while at + np.uint64(8) <= stop:
        crc = _eight(crc ^ word32(data, at), word32(data, at + np.uint64(4)))
        at += np.uint64(8)
    while at < stop:
        crc = TABLES[np.uint32(crc ^ data[at]) & np.uint32(255)] ^ (crc >> np.uint32(8))
        at += np.uint64(1)
    return np.uint32(crc ^ np.uint32(0xFFFFFFFF))


@inline
def mask(crc: np.uint32) -> np.uint32:
    """The form in which a TFRecord holds a CRC, so that the CRC of data with CRCs inside stays a good one."""
    return np.uint32((crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(0xA282EAD8))


@kernel
def masked_crc(data: npt.NDArray[np.uint8], begin: int, end: int) -> np.uint32:
    """Masked CRC-32C of data[begin:end]: rotated right by 15 bits, plus a constant."""
    return mask(crc32c(data, begin, end))
