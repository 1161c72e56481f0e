"""Decoders of what lies in files: records, images."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from headrace.pipeline.bmp import decode_bmp
from headrace.pipeline.decoding import decode_and_crop_jpeg, decode_gif, decode_image, decode_jpeg, decode_webp
from headrace.pipeline.errors import HeadraceError
from headrace.pipeline.kernels import framing
from headrace.pipeline.kernels.jpeg_header import read_jpeg_header
from headrace.pipeline.limits import limits
from headrace.pipeline.png import decode_png
from headrace.pipeline.records import masked, read_records, scan_records
from headrace.pipeline.resizing import decode_and_resize

from .decoder import Decoder, Place, a_folder, under
from .mutation import cut_and_pasted

__all__ = ["FILES"]

DATA = Path(__file__).parents[1] / "data"
#: Images of up to so many pixels are decoded here, that fuzzing is quick; the real limit has a test of its own.
PIXELS = 1 << 20


@lru_cache
def golden(pattern: str) -> Sequence[bytes]:
    """The real files that match."""
    return [path.read_bytes() for path in sorted(DATA.glob(pattern))]


@lru_cache
def _scratch() -> Path:
    return a_folder() / "input"


# TFRecord.


def framed(data: bytes) -> bytes:
    """The same bytes with right CRCs wherever a record's header and payload lie inside."""
    out, at = bytearray(data), 0
    while at + framing.HEADER <= len(out):
        struct.pack_into("<I", out, at + 8, masked(bytes(out[at : at + 8])))
        length = int.from_bytes(out[at : at + 8], "little")
        end = at + framing.HEADER + length
        if end + framing.FOOTER <= len(out):
            struct.pack_into("<I", out, end, masked(bytes(out[at + framing.HEADER : end])))
        at = end + framing.FOOTER
    return bytes(out)


def reframed(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Changed bytes whose CRCs are right all the same."""
    return framed(cut_and_pasted(data, rng, others))


def _records(data: bytes, _: Place) -> None:
    """Through a file; whatever the size of chunks, the same records come before the same error."""
    _scratch().write_bytes(data)
    payloads, error = _alike("", (1, 100, 1 << 20))
    assert sum(map(len, payloads)) + 16 * len(payloads) <= len(data)
    places = scan_records(str(_scratch()), every=1)
    assert places == sorted(places)
    if error is not None:
        raise error


def _alike(kind: str, sizes: Sequence[int]) -> tuple[list[bytes], HeadraceError | None]:
    outcomes = [_read(kind, chunk_bytes) for chunk_bytes in sizes]
    told = [(payloads, type(error), str(error)) for payloads, error in outcomes]
    assert told == told[:1] * len(told)
    return outcomes[0]


def _read(kind: str, chunk_bytes: int) -> tuple[list[bytes], HeadraceError | None]:
    found: list[bytes] = []
    try:
        for chunk in read_records(str(_scratch()), kind, chunk_bytes=chunk_bytes):
            assert chunk.splits[0] == 0
            assert chunk.splits[-1] == len(chunk.data)
            found += chunk.payloads()
    except HeadraceError as error:
        return found, error
    return found, None


def _framing(data: bytes, place: Place) -> None:
    """The kernels alone, over memory that ends where the bytes do."""
    buffer = place(data)
    starts, lengths, found = np.zeros(64, np.int64), np.zeros(64, np.int64), np.zeros(64, np.int64)
    buffer.flags.writeable = False
    framing.boundaries(buffer, len(buffer), 0, 0, 1, 0, found)
    writable = place(data)
    writable = writable if writable.flags.writeable else writable.copy()
    at = 0
    while at < len(data):
        count, after, status, _ = framing.frame(writable, at, len(data), len(data), 1 << 30, starts, lengths)
        splits = np.concatenate([[0], np.cumsum(lengths[:count])])
        framing.concatenate(writable, starts[:count], splits, np.empty(int(splits[-1]), np.uint8))
        assert count == 0 or (starts[:count] + lengths[:count]).max() + framing.FOOTER <= len(data)
        if status != framing.DONE or after == at:
            return
        at = after


def _compressed(data: bytes, _: Place) -> None:
    """A GZIP or ZLIB file, by its first byte; what it holds is framed anew and read again."""
    kind = "GZIP" if data[:1] == b"\x1f" else "ZLIB"
    _scratch().write_bytes(data)
    with under(replace(limits(), content_bytes=1 << 20)):
        error = _alike(kind, (1000, 1 << 16))[1]
    if error is not None:
        raise error


def recompressed(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A stream that is intact, of changed content, in one member or several."""
    bits = 31 if data[:1] == b"\x1f" else 15
    content = reframed(_inflated(data), rng, others)
    cut = rng.randrange(len(content) + 1)
    return b"".join(_deflated(part, bits) for part in (content[:cut], content[cut:]))


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(47).decompress(data, 1 << 12)
    except zlib.error:
        return data


def _deflated(content: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(content) + packer.flush()


def _streams() -> Sequence[bytes]:
    return [*golden("tfrecord/*.gzip.tfrecord"), *golden("tfrecord/*.zlib.tfrecord"), _deflated(bytes(5 << 20), 31)]


# Images.


def _small(decode: Callable[[Any], Any]) -> Callable[[bytes, Place], None]:
    def run(data: bytes, place: Place) -> None:
        contents: Any = place(data).data if data else data
        with under(replace(limits(), image_pixels=PIXELS)):
            decode(contents)

    return run


def _is_image(pixels: Any, *channels: int) -> None:
    assert pixels.ndim == 3
    assert 0 < pixels.shape[0] * pixels.shape[1] <= PIXELS
    assert pixels.shape[2] in channels


def _jpeg(contents: Any) -> None:
    read_jpeg_header(np.frombuffer(contents, np.uint8))
    _is_image(decode_jpeg(contents, 3, ratio=2), 3)
    _is_image(decode_jpeg(contents, try_recover_truncated=True, exif_orientation=True), 1, 3)
    _is_image(decode_and_crop_jpeg(contents, (0, 0, 1, 1)), 1, 3)
    _is_image(decode_and_resize(contents, (20, 20), antialias=True), 3)
    _is_image(decode_image(contents), 1, 3)


def _png(contents: Any) -> None:
    _is_image(decode_png(contents), 1, 2, 3, 4)
    _is_image(decode_png(contents, 4, np.uint16), 4)
    _is_image(decode_image(contents, 1, np.float32), 1)


def _bmp(contents: Any) -> None:
    _is_image(decode_bmp(contents), 1, 3, 4)
    _is_image(decode_bmp(contents, 3), 3)


def _are_frames(frames: Any, *channels: int) -> None:
    assert frames.ndim == 4
    assert 0 < frames[..., 0].size <= PIXELS
    assert frames.shape[3] in channels


def _gif(contents: Any) -> None:
    _are_frames(decode_gif(contents), 3)
    _is_image(decode_image(contents, 3, expand_animations=False), 3)


def _webp(contents: Any) -> None:
    _are_frames(decode_webp(contents), 3, 4)
    _is_image(decode_image(contents, expand_animations=False), 3, 4)


def resized(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Changed, with small numbers in 16 bits somewhere: where frames lie, and how large they are."""
    out = bytearray(cut_and_pasted(data, rng, others))
    for _ in range(rng.randrange(1, 5)):
        if len(out) > 8:
            struct.pack_into("<H", out, rng.randrange(len(out) - 2), rng.choice((0, 1, 2, 30, 40, 48, 64, 1000, 65535)))
    return bytes(out)


def checked_chunks(data: bytes) -> bytes:
    """A PNG with right checksums."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        size = int.from_bytes(out[at : at + 4], "big")
        if at + 12 + size > len(out):
            break
        struct.pack_into(">I", out, at + 8 + size, zlib.crc32(out[at + 4 : at + 8 + size]))
        at += 12 + size
    return bytes(out)


def rechecked(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A changed PNG whose checksums are right all the same."""
    return checked_chunks(cut_and_pasted(data, rng, others))


def rearranged(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A PNG of changed pixel data, in a stream that is intact; or with other numbers in its header."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        content = data[at + 8 : at + 8 + size]
        if name == b"IDAT" and rng.random() < 0.5:
            content = zlib.compress(cut_and_pasted(_inflated(content), rng, others), 1)
        elif name == b"IHDR" and rng.random() < 0.4:
            header = [rng.choice((1, 2, 3, 7, 96, 120, 1000)) for _ in range(2)]
            content = struct.pack(
                ">IIBBBBB", *header, rng.choice((1, 2, 4, 8, 16)), rng.choice((0, 2, 3, 4, 6)), 0, 0, rng.randrange(2)
            )
        elif name[:1] != b"I" and rng.random() < 0.3:
            content = cut_and_pasted(content, rng, others)
        out += struct.pack(">I", len(content)) + name + content + bytes(4)
        at += 12 + size
    return checked_chunks(bytes(out))


FILES = (
    Decoder(
        "tfrecord",
        _records,
        lambda: [d for d in golden("tfrecord/*[a-z].tfrecord") if d[:1] != b"\x1f"],
        (cut_and_pasted, reframed),
    ),
    Decoder(
        "framing", _framing, lambda: [framed(d) for d in golden("tfrecord/*d.tfrecord")], (cut_and_pasted, reframed)
    ),
    Decoder("compressed", _compressed, _streams, (cut_and_pasted, recompressed)),
    Decoder("jpeg", _small(_jpeg), lambda: golden("images/*.jpg")),
    Decoder("png", _small(_png), lambda: golden("images/*.png"), (rechecked, rearranged, cut_and_pasted)),
    Decoder("bmp", _small(_bmp), lambda: golden("images/*.bmp")),
    Decoder("gif", _small(_gif), lambda: golden("images/*.gif"), (cut_and_pasted, resized)),
    Decoder("webp", _small(_webp), lambda: golden("images/*.webp"), (cut_and_pasted, resized)),
)
