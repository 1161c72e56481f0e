"""Large frames in chunks, so that a TCP socket never has to take a large frame from anyone.

libzmq takes a whole frame before it looks who sends it, so the largest frame that a socket takes is what every
unknown peer can make the server hold. Over TCP, frames above `CHUNK_BYTES` are therefore sent as a *cut* message:

    frame 0        0xC1, which no MessagePack begins with, and the length of each frame as 8 bytes, little-endian
    frames 1 ...   each frame in chunks of CHUNK_BYTES, the last of them shorter; an empty frame is one empty chunk
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from .errors import MalformedMessage

__all__ = ["CHUNK_BYTES", "WIRE_BYTES", "cut", "join"]

Buffer: TypeAlias = "bytes | bytearray | memoryview"

CHUNK_BYTES = 256 << 10
#: What a chunk may take on its way: CURVE adds 33 bytes.
WIRE_BYTES = CHUNK_BYTES + 1024
#: Begins the head of a cut message.
_MARK = b"\xc1"


def cut(frames: Sequence[Any]) -> list[Any]:
    """A message's frames, in chunks if one of them is too large for TCP. Nothing is copied.

    >>> [len(each) for each in cut([b"head", bytes(CHUNK_BYTES + 3)])]
    [17, 4, 262144, 3]
    >>> cut([b"head", b"small"])
    [b'head', b'small']
    """
    views = [memoryview(each).cast("B") if memoryview(each).nbytes else memoryview(b"") for each in frames]
    if all(len(view) <= CHUNK_BYTES for view in views):
        return list(frames)
    head = _MARK + struct.pack(f"<{len(views)}Q", *map(len, views))
    return [head, *(view[at : at + CHUNK_BYTES] for view in views for at in range(0, max(1, len(view)), CHUNK_BYTES))]


def join(frames: Sequence[Buffer], most: int, limit: int) -> list[Buffer]:
    """What `cut` made into the frames that it was given: at most so many, each of at most `limit` bytes.

    Frames of one chunk are not copied. Other messages are returned as they are.

    Raises:
        MalformedMessage: chunks that do not add up, or exceed a limit.
    """
    if not frames or bytes(frames[0][:1]) != _MARK:
        return list(frames)
    sizes = _sizes(frames[0], most, limit)
    counts = [max(1, -(-size // CHUNK_BYTES)) for size in sizes]
    if sum(counts) != len(frames) - 1:
        raise MalformedMessage(f"a cut message of {len(frames) - 1} chunks, not {sum(counts)}")
    ends = [1 + sum(counts[: place + 1]) for place in range(len(counts))]
    return [_joined(frames[end - count : end], size) for size, count, end in zip(sizes, counts, ends, strict=True)]


def _sizes(head: Buffer, most: int, limit: int) -> tuple[int, ...]:
    count, rest = divmod(len(head) - 1, 8)
    if rest or not 1 <= count <= most:
        raise MalformedMessage(f"a cut message of {count} frames: 1 to {most} are possible")
    sizes = struct.unpack(f"<{count}Q", bytes(head[1:]))
    if max(sizes) > limit:
        raise MalformedMessage(f"a block of more than {limit:,} bytes")
    return sizes


def _joined(chunks: Sequence[Buffer], size: int) -> Buffer:
    if any(len(each) != CHUNK_BYTES for each in chunks[:-1]) or sum(map(len, chunks)) != size:
        raise MalformedMessage("a cut message whose chunks have other lengths than it says")
    if len(chunks) == 1:
        return chunks[0]
    whole = np.empty(size, np.uint8)
    for place, chunk in enumerate(chunks):
        whole[place * CHUNK_BYTES : place * CHUNK_BYTES + len(chunk)] = np.frombuffer(chunk, np.uint8)
    return whole.data
