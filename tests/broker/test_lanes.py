"""Lanes: splits merged in order, however they arrive."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from headrace.broker.lanes import Lane, LaneStream
from headrace.pipeline.blocks import Block
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.feeds import RowFeed
from headrace.pipeline.operators.protocol import Failed, Signal
from headrace.pipeline.spot import Spot
from headrace.pipeline.store import Store
from headrace.pipeline.work import Piece, identities


def piece(first: int, end: int, last: bool = False) -> Piece:
    """Elements that are their own positions."""
    block = Block.of_elements([np.int64(i) for i in range(first, end)])
    return Piece(first, end, block, identities(5, range(first, end)), np.arange(first, end), last=last)


class Stream(LaneStream):
    """Of twelve rows in splits of four, two of them ahead."""

    def __init__(self) -> None:
        self.released: list[int] = []
        super().__init__(
            RowFeed((1,), 5, 12, 4),
            Store(),
            depth=1,
            splits=count(100),
            look_ahead=2,
            closed=lambda stream: None,
            release=lambda lane: self.released.append(lane.split),
        )

    def values(self, limit: int = 100) -> list[int] | Signal | Failed:
        got = self.pull(limit)
        if not isinstance(got, np.ndarray):
            return got
        values = [int(each) for each in self.store.gather(got)]
        self.store.release(got)
        return values


@pytest.fixture
def stream() -> Stream:
    made = Stream()
    made.extend()
    return made


def lane(stream: Stream, split: int) -> Lane:
    return stream.by_split[split]


def test_lanes_are_opened_as_far_ahead_as_is_allowed(stream: Stream) -> None:
    assert [(each.split, each.work.start, each.work.stop) for each in stream.open_lanes()] == [(100, 0, 4), (101, 4, 8)]


def test_splits_are_consumed_in_order_however_they_arrive(stream: Stream) -> None:
    assert stream.arrive(lane(stream, 101), piece(4, 8))
    assert stream.values() is Signal.PENDING
    assert stream.arrive(lane(stream, 100), piece(0, 4))
    assert [stream.values(), stream.values()] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert stream.values() is Signal.PENDING
    stream.arrive(lane(stream, 102), piece(8, 12))
    assert stream.values(3) == [8, 9, 10]
    assert stream.values() == [11]
    assert stream.values() is Signal.END
    assert stream.released == [100, 101, 102]
    assert len(stream.store) == 0


def test_a_piece_that_came_before_is_left_out(stream: Stream) -> None:
    assert stream.arrive(lane(stream, 100), piece(0, 2))
    assert not stream.arrive(lane(stream, 100), piece(0, 2))
    assert stream.values() == [0, 1]


def test_a_piece_is_not_taken_before_those_that_come_before_it(stream: Stream) -> None:
    assert not stream.arrive(lane(stream, 100), piece(2, 4, last=True))
    assert not lane(stream, 100).arrivals.complete
    assert stream.values() is Signal.PENDING


def test_nothing_is_taken_behind_the_end_of_a_split(stream: Stream) -> None:
    assert stream.arrive(lane(stream, 100), piece(0, 4))
    assert not stream.arrive(lane(stream, 100), Piece(4, 4, last=True))


def test_whatever_arrives_its_sender_is_told_again(stream: Stream) -> None:
    at = lane(stream, 100)
    stream.arrive(at, piece(0, 2))
    at.told = (2, 100)
    stream.arrive(at, piece(0, 2))
    assert at.told is None


def test_a_failure_stands_in_its_place(stream: Stream) -> None:
    error = InvalidArgumentError("bad")
    for each in (piece(0, 1), Piece(1, 2, error=error), piece(2, 4)):
        stream.arrive(lane(stream, 100), each)
    failed = Failed(error, Spot((1,), 5, 1))
    assert [stream.values(), stream.values(), stream.values()] == [[0], failed, [2, 3]]


def test_work_that_is_wanted_again_begins_at_the_watermark(stream: Stream) -> None:
    stream.arrive(lane(stream, 100), piece(0, 3))
    assert (lane(stream, 100).work.start, lane(stream, 100).work.stop) == (3, 4)


def test_outstanding_credit_is_what_was_admitted_and_has_not_come(stream: Stream) -> None:
    at = lane(stream, 100)
    at.limit = 1000
    nbytes = piece(0, 2).nbytes
    stream.arrive(at, piece(0, 2))
    assert (at.received, at.outstanding, stream.waiting_bytes) == (nbytes, 1000 - nbytes, nbytes)
    stream.values()
    assert stream.waiting_bytes == 0
    at.limit = nbytes // 2  # a block may overshoot its limit
    assert at.outstanding == 0


def test_only_the_first_lane_is_waited_for(stream: Stream) -> None:
    assert [stream.is_head(lane(stream, split)) for split in (100, 101)] == [True, False]
    stream.arrive(lane(stream, 100), piece(0, 4))
    stream.values()
    stream.values()
    assert stream.is_head(lane(stream, 101))


def test_a_closed_stream_gives_back_all_that_waited(stream: Stream) -> None:
    stream.arrive(lane(stream, 101), piece(4, 6))
    stream.close()
    assert (len(stream.store), stream.released) == (0, [100, 101])
    assert stream.values() is Signal.END


def test_a_restored_stream_goes_on_with_the_first_element_that_was_not_consumed(stream: Stream) -> None:
    stream.arrive(lane(stream, 100), piece(0, 4))
    stream.arrive(lane(stream, 101), piece(4, 6))
    stream.values(3)
    state = stream.snapshot(lambda handles, *_: None)
    again = Stream()
    again.restore(state, lambda data: np.empty(0, np.int64))
    again.extend()
    assert [(each.work.start, each.work.stop) for each in again.open_lanes()] == [(3, 4), (4, 8)]
    assert again.feed.snapshot(lambda handles, *_: None) == {"at": 8}
