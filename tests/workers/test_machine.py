"""A worker's session: which lease it works on, what it sends, and what it sends again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from headrace.pipeline.blocks import Block
from headrace.pipeline.messages import (
    VERSION,
    Credit,
    Heartbeat,
    Hello,
    Lease,
    Message,
    Pieces,
    Program,
    Revoke,
    Stale,
    Welcome,
    WhatIs,
)
from headrace.pipeline.work import Piece, Work, identities
from headrace.workers.machine import (
    MOST_KNOWN,
    Action,
    Begin,
    Drop,
    Learn,
    Produced,
    Received,
    Say,
    Tick,
    WorkerSession,
)

HELLO = Hello(VERSION, "worker", "w", 1, {})
LEASE = Lease(7, attempt=1, job=1, epoch=0, work=Work((1,), 5, 0, 10).to_data(), limit=100, depth=0)
PROGRAM = Program(1, b"graph", 5)


@pytest.fixture
def session() -> WorkerSession:
    """Of a worker that is known, and knows job 1."""
    made = WorkerSession(hello=HELLO)
    for message in (Welcome(1, heartbeat_s=1.0), PROGRAM):
        made.handle(Received(message))
    return made


def said(actions: Sequence[Action]) -> list[Message]:
    return [each.message for each in actions if isinstance(each, Say)]


def piece(first: int, end: int, last: bool = False) -> Piece:
    """Elements of 8 bytes each."""
    block = Block.of_elements([np.int64(i) for i in range(first, end)])
    return Piece(first, end, block, identities(5, range(first, end)), np.arange(first, end), last=last)


def test_a_worker_says_hello_until_it_is_welcome() -> None:
    session = WorkerSession(hello=HELLO)
    assert [said(session.handle(Tick(now))) for now in (0.0, 0.5, 1.0)] == [[HELLO], [], [HELLO]]
    session.handle(Received(Welcome(1, heartbeat_s=5.0)))
    assert said(session.handle(Tick(2.5))) == [Heartbeat([], 0.0, 0.0)]
    assert said(session.handle(Tick(3.5))) == []


def test_a_lease_is_begun_and_confirmed_at_once(session: WorkerSession) -> None:
    assert session.handle(Received(LEASE)) == [Begin(LEASE), Say(Heartbeat([[7, 1]]))]
    assert session.choose() == 7


def test_a_lease_that_comes_twice_is_begun_once(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    assert session.handle(Received(LEASE)) == []


def test_only_a_newer_attempt_takes_the_place_of_a_lease(session: WorkerSession) -> None:
    newer = replace(LEASE, attempt=2)
    session.handle(Received(newer))
    assert session.handle(Received(LEASE)) == []
    assert Begin(replace(LEASE, attempt=3)) in session.handle(Received(replace(LEASE, attempt=3)))


def test_work_of_an_unknown_job_waits_for_its_program(session: WorkerSession) -> None:
    lease = replace(LEASE, job=2)
    assert WhatIs(2) in said(session.handle(Received(lease)))
    assert session.choose() is None
    program = replace(PROGRAM, job=2)
    assert session.handle(Received(program)) == [Learn(program)]
    assert session.handle(Received(program)) == []
    assert session.choose() == 7


def test_programs_of_jobs_that_are_over_are_forgotten_and_asked_for_again(session: WorkerSession) -> None:
    session.handle(Received(LEASE))  # job 1 is at hand, however long
    for job in range(2, MOST_KNOWN + 4):
        session.handle(Received(replace(PROGRAM, job=job)))
        session.handle(Received(replace(LEASE, split=100, attempt=job, job=2)))
        session.handle(Received(Revoke(100, job)))
    assert sorted(session.known) == [1, 2, *range(4, MOST_KNOWN + 4)], "job 2 was used again and again"
    assert WhatIs(3) in said(session.handle(Received(replace(LEASE, split=9, job=3))))


def test_a_program_that_does_not_come_is_asked_for_again(session: WorkerSession) -> None:
    session.handle(Received(replace(LEASE, job=2)))
    assert [WhatIs(2) in said(session.handle(Tick(now))) for now in (1.5, 1.6, 3.0)] == [True, False, True]


def test_programs_of_several_unknown_jobs_are_all_asked_for_again(session: WorkerSession) -> None:
    for split, job in ((7, 2), (8, 3)):
        session.handle(Received(replace(LEASE, split=split, job=job)))
    asked = [each for each in said(session.handle(Tick(1.5))) if isinstance(each, WhatIs)]
    assert asked == [WhatIs(2), WhatIs(3)], "one that is never answered must not keep the others from being asked"
    session.handle(Received(replace(PROGRAM, job=2)))
    assert [each for each in said(session.handle(Tick(3.0))) if isinstance(each, WhatIs)] == [WhatIs(3)]


def test_the_most_downstream_work_comes_first_then_the_oldest(session: WorkerSession) -> None:
    for split, depth in ((3, 0), (4, 2), (5, 2)):
        session.handle(Received(replace(LEASE, split=split, depth=depth)))
    assert session.choose() == 4
    session.handle(Received(Revoke(4, 1)))
    assert session.choose() == 5
    session.handle(Received(Revoke(5, 1)))
    assert session.choose() == 3


def test_a_lease_without_credit_parks_and_another_goes_on(session: WorkerSession) -> None:
    block = piece(0, 2).nbytes
    for split in (7, 8):
        session.handle(Received(replace(LEASE, split=split, limit=block)))
    session.handle(Produced(7, 1, piece(0, 2)))
    assert session.choose() == 8
    session.handle(Produced(8, 1, piece(0, 2)))
    assert session.choose() is None
    assert session.parked
    session.handle(Received(Credit(7, 1, watermark=2, limit=block + 1)))
    assert session.choose() == 7
    assert not session.parked


def test_credit_admits_one_block_however_large(session: WorkerSession) -> None:
    session.handle(Received(replace(LEASE, limit=1)))
    assert session.choose() == 7
    assert len(said(session.handle(Produced(7, 1, piece(0, 5))))) == 1
    assert session.choose() is None


def test_late_word_never_lowers_a_limit(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    session.handle(Received(Credit(7, 1, 0, limit=1)))
    session.handle(Produced(7, 1, piece(0, 2)))
    assert session.choose() == 7


def test_a_piece_is_sent_again_until_it_is_known_to_have_arrived(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    session.handle(Tick(0.0))
    one, two = piece(0, 2), piece(2, 4)
    (first,) = said(session.handle(Produced(7, 1, one)))
    assert first == Pieces(7, 1, 0, 2, False, one.block.layout.to_data() if one.block else None)
    (second,) = said(session.handle(Produced(7, 1, two)))
    assert [each for each in said(session.handle(Tick(1.5))) if isinstance(each, Pieces)] == [first, second]
    session.handle(Received(Credit(7, 1, watermark=2, limit=100)))
    assert [each for each in said(session.handle(Tick(3.0))) if isinstance(each, Pieces)] == [second]


def test_a_large_piece_is_given_the_time_that_it_takes_before_it_is_sent_again(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    session.handle(Tick(0.0))
    large = Piece(0, 2, Block.of_elements([np.zeros(50_000_000, np.uint8)]))
    session.handle(Produced(7, 1, large))
    again = [
        sum(isinstance(each, Pieces) for each in said(session.handle(Tick(now)))) for now in (1.5, 2.5, 2.9, 3.1, 4.0)
    ]
    assert again == [0, 0, 0, 1, 0], "50 MB may take two seconds, and a second is waited in any case"


def test_the_last_piece_is_sent_again_until_the_split_is_complete(session: WorkerSession) -> None:
    session.handle(Received(replace(LEASE, work=Work((1,), 5, 0, None).to_data())))
    session.handle(Produced(7, 1, piece(0, 2)))
    (last,) = said(session.handle(Produced(7, 1, Piece(2, 2, last=True))))
    assert session.choose() is None
    session.handle(Received(Credit(7, 1, watermark=2, limit=100)))
    assert last in said(session.handle(Tick(2.0)))
    assert session.handle(Received(Credit(7, 1, 2, 100, complete=True))) == [Drop(7)]
    assert said(session.handle(Tick(4.0))) == [Heartbeat([])]


def test_a_split_whose_end_is_reached_is_done_without_more_words(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    session.handle(Produced(7, 1, piece(0, 10)))
    assert session.choose() is None
    assert not session.parked


def test_a_revoked_lease_is_dropped_but_not_its_successor(session: WorkerSession) -> None:
    session.handle(Received(replace(LEASE, attempt=2)))
    assert session.handle(Received(Revoke(7, 1))) == []
    assert session.handle(Received(Revoke(7, 2))) == [Drop(7)]
    assert session.handle(Received(Revoke(7, 2))) == []


def test_what_was_computed_for_a_lease_that_is_over_is_not_sent(session: WorkerSession) -> None:
    session.handle(Received(replace(LEASE, attempt=2)))
    assert session.handle(Produced(7, 1, piece(0, 2))) == []
    session.handle(Received(Revoke(7, 2)))
    assert session.handle(Produced(7, 2, piece(0, 2))) == []


def test_another_incarnation_of_the_server_ends_all_leases(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    assert session.handle(Received(Welcome(1, 1.0))) == []
    assert session.handle(Received(Welcome(2, 1.0))) == [Drop(7)]
    assert session.handle(Received(Welcome(1, 1.0))) == [], "late word of a former life"
    assert WhatIs(1) in said(session.handle(Received(LEASE))), "job 1 of another server may be another job"


def test_a_worker_that_is_not_known_says_hello_again(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    assert said(session.handle(Received(Stale(2)))) == [HELLO]


def test_a_worker_that_was_forgotten_drops_its_leases_once_it_is_welcome_again(session: WorkerSession) -> None:
    for split in (7, 9):
        session.handle(Received(replace(LEASE, split=split)))
    session.handle(Received(Stale(1)))
    assert session.handle(Received(Welcome(1, 1.0))) == [Drop(7), Drop(9)], "the same server gave them to others"
    assert session.choose() is None
    assert Begin(LEASE) in session.handle(Received(LEASE))


def test_a_worker_that_is_not_known_is_silent_but_for_hello(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    session.handle(Produced(7, 1, piece(0, 2)))
    session.handle(Received(Stale(2)))
    again = replace(HELLO, fresh=False)  # it has computed something
    assert [said(session.handle(Tick(now))) for now in (0.5, 1.0, 1.5, 2.0)] == [[], [again], [], [again]]


def test_a_newer_attempt_begins_with_nothing_of_the_former(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    session.handle(Produced(7, 1, piece(0, 10)))
    session.handle(Received(replace(LEASE, attempt=2, limit=1)))
    assert session.choose() == 7, "what the former attempt sent does not count against its credit"
    assert not [each for each in said(session.handle(Tick(5.0))) if isinstance(each, Pieces)]
    session.handle(Received(Credit(7, 1, 10, 100, complete=True)))
    assert session.choose() == 7, "word on a former attempt is not heard"


def test_what_arrives_puts_off_saying_the_rest_again(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    for first in (0, 2):
        session.handle(Produced(7, 1, piece(first, first + 2)))
    session.handle(Tick(0.9))
    session.handle(Received(Credit(7, 1, watermark=2, limit=100)))
    assert not [each for each in said(session.handle(Tick(1.5))) if isinstance(each, Pieces)]
    (again,) = [each for each in said(session.handle(Tick(2.0))) if isinstance(each, Pieces)]
    assert (again.first, again.next) == (2, 4)


def test_a_piece_that_arrived_in_part_is_kept(session: WorkerSession) -> None:
    session.handle(Received(LEASE))
    session.handle(Produced(7, 1, piece(0, 4)))
    session.handle(Received(Credit(7, 1, watermark=2, limit=100)))
    (again,) = [each for each in said(session.handle(Tick(2.0))) if isinstance(each, Pieces)]
    assert (again.first, again.next) == (0, 4)


def test_credit_is_overshot_by_one_block_only(session: WorkerSession) -> None:
    block = piece(0, 1).nbytes
    session.handle(Received(replace(LEASE, limit=2 * block + 1)))
    computed = 0
    while session.choose() is not None:
        session.handle(Produced(7, 1, piece(computed, computed + 1)))
        computed += 1
    assert computed == 3
    assert session.parked


def test_heartbeats_name_what_is_held(session: WorkerSession) -> None:
    for split in (7, 9):
        session.handle(Received(replace(LEASE, split=split)))
    assert said(session.handle(Tick(1.0))) == [Heartbeat([[7, 1], [9, 1]])]
    assert said(session.handle(Tick(1.5))) == []
