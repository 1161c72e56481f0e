"""Large frames in chunks: back as they were, over a socket that takes no large frame; and lies about them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from headrace.pipeline.chunks import CHUNK_BYTES, WIRE_BYTES, cut, join
from headrace.pipeline.errors import MalformedMessage
from headrace.pipeline.frames import FRAMES, from_frames, to_frames
from headrace.pipeline.messages import WhatIs
from headrace.pipeline.sockets import bind, connect, send

from .conftest import Serve, SocketOf

MOST = 4 * CHUNK_BYTES


def head(*sizes: int) -> bytes:
    return b"\xc1" + struct.pack(f"<{len(sizes)}Q", *sizes)


near = st.integers(0, 3).flatmap(lambda count: st.integers(-2, 2).map(lambda by: max(0, count * CHUNK_BYTES + by)))


@given(st.lists(near, min_size=1, max_size=FRAMES))
def test_what_is_cut_is_joined_to_what_it_was(sizes: list[int]) -> None:
    frames = [np.arange(size, dtype=np.uint32).astype(np.uint8).tobytes() for size in sizes]
    pieces = cut(frames)
    assert max(map(len, pieces)) <= CHUNK_BYTES
    assert [bytes(each) for each in join(pieces, FRAMES, MOST)] == frames


def test_arrays_are_cut_without_being_copied() -> None:
    array = np.ones((3, CHUNK_BYTES // 8), np.float64)
    pieces = cut([b"head", array])
    array[:] = 2.0
    joined = join(pieces, FRAMES, MOST)
    np.testing.assert_array_equal(np.frombuffer(joined[1]).reshape(array.shape), array)


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([b"\xc1"], "a cut message of 0 frames"),
        ([b"\xc1123"], "a cut message of 0 frames"),
        ([head(1) + b"1", b"x"], "a cut message of 1 frames"),
        ([head(*[1] * (FRAMES + 1)), *[b"x"] * (FRAMES + 1)], f"a cut message of {FRAMES + 1} frames"),
        ([head(MOST + 1)], f"a block of more than {MOST:,} bytes"),
        ([head(2**64 - 1)], f"a block of more than {MOST:,} bytes"),
        ([head(1)], "a cut message of 0 chunks, not 1"),
        ([head(1), b"x", b"x"], "a cut message of 2 chunks, not 1"),
        ([head(0)], "a cut message of 0 chunks, not 1"),
        ([head(1), b"xy"], "chunks have other lengths"),
        ([head(CHUNK_BYTES + 1), b"x", bytes(CHUNK_BYTES)], "chunks have other lengths"),
        ([head(MOST), b"", b"", b"", b""], "chunks have other lengths"),
    ],
)
def test_chunks_that_do_not_add_up_are_refused(frames: Sequence[bytes], why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        join(frames, FRAMES, MOST)
    with pytest.raises(MalformedMessage):
        from_frames(frames)


def test_a_large_message_goes_over_a_socket_that_takes_no_large_frame(socket_of: SocketOf) -> None:
    router, dealer = socket_of(zmq.ROUTER), socket_of(zmq.DEALER, "d")
    connect(dealer, bind(router, "tcp://127.0.0.1:*", insecure=True))
    block = np.random.default_rng(1).integers(0, 255, 40 * CHUNK_BYTES + 7, np.uint8)
    send(dealer, to_frames(WhatIs(1), [block]))
    assert router.poll(10_000)
    name, *frames = router.recv_multipart(copy=False)
    assert max(len(each.buffer) for each in frames) <= WIRE_BYTES
    message, buffers = from_frames([each.buffer for each in frames])
    assert message == WhatIs(1)
    np.testing.assert_array_equal(np.frombuffer(buffers[0], np.uint8), block)
    send(router, to_frames(WhatIs(2), [block]), to=name.bytes)
    assert dealer.poll(10_000)
    assert from_frames(dealer.recv_multipart())[0] == WhatIs(2)


def test_over_ipc_large_frames_stay_whole(socket_of: SocketOf, tmp_path: Path) -> None:
    router, dealer = socket_of(zmq.ROUTER), socket_of(zmq.DEALER)
    connect(dealer, bind(router, f"ipc://{tmp_path}/s"))
    send(dealer, to_frames(WhatIs(1), [bytes(3 * CHUNK_BYTES)]))
    assert router.poll(10_000)
    assert len(router.recv_multipart()) == 3


def test_a_frame_that_no_chunk_is_ends_the_connection(serve: Serve, socket_of: SocketOf) -> None:
    serving = serve(None)
    dealer = socket_of(zmq.DEALER)
    connect(dealer, serving.address)
    dealer.send(bytes(WIRE_BYTES))
    assert dealer.poll(10_000)
    assert dealer.recv() == b"anyone"
    dealer.send(bytes(WIRE_BYTES + 1))
    assert not dealer.poll(300)
