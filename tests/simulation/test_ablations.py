"""Each safeguard of the protocol is taken away in turn, and the cluster notices; with it the same runs are clean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from headrace.broker.book import Acknowledged, Book, Checkpointed, Fact
from headrace.broker.lanes import Lane, LaneStream
from headrace.broker.machine import Broker
from headrace.broker.run import Limits, Run
from headrace.client.machine import ClientSession
from headrace.events import Action, Event, Journal
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.work import Piece
from headrace.server import Server

from .cluster import Cluster
from .weather import Faults, Lost

#: How many seeds are tried at most, and how many must go wrong.
TRIED, WRONG = 40, 3


#: Splits of several pieces, and a checkpoint whenever there can be one.
OFTEN = Limits(rows_each=6, splits_least=1, parcel_bytes=1, checkpoint_elements=1, least_s=0)


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A safeguard, and the least that shows what it is for."""

    take_away: Callable[[pytest.MonkeyPatch], None]
    pipeline: str
    faults: Faults
    limits: Limits = field(default_factory=lambda: Limits(rows_each=12, splits_least=1, parcel_bytes=1))
    window: int = 3
    workers: int = 2

    def play(self, seed: int, dataset: Dataset) -> None:
        """One run to its end; Lost where a promise is broken."""
        Cluster(seed, dataset, faults=self.faults, limits=self.limits, window=self.window, workers=self.workers).run(
            limit_s=60.0
        )

    def goes_wrong(self, seed: int, dataset: Dataset) -> bool:
        """Whether the cluster notices."""
        try:
            self.play(seed, dataset)
        except Lost:
            return True
        return False


def no_deduplication(patch: pytest.MonkeyPatch) -> None:
    def arrive(stream: LaneStream, lane: Lane, piece: Piece) -> bool:
        now = lane.arrivals.watermark
        if piece.first > now or lane.arrivals.complete:
            return False
        lane.arrivals.add(replace(piece, first=now, next=max(now, piece.next)))
        return True

    patch.setattr(LaneStream, "arrive", arrive)


def no_session_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientSession, "_mine", lambda self, session: True)
    patch.setattr(Broker, "_current", lambda self, talk, session: True)


def no_batch_cursor(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientSession, "_misses", lambda self, message: False)
    patch.setattr(ClientSession, "_known", lambda self, message: 0)


def no_counting(patch: pytest.MonkeyPatch) -> None:
    arrive = LaneStream.arrive

    def believe(stream: LaneStream, lane: Lane, piece: Piece) -> bool:
        now, stop = lane.arrivals.watermark, lane.work.stop
        if piece.first > now and (piece.last or (stop is not None and piece.next >= stop)):
            piece = replace(piece, first=now)  # the worker says that it is done
        return arrive(stream, lane, piece)

    patch.setattr(LaneStream, "arrive", believe)


def no_waiting_for_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    def settled(run: Run) -> object:
        newest = run.checkpoints[-1] if run.checkpoints else None
        run.checkpoints.clear()
        return newest

    def usable(broker: Broker, checkpoint: Checkpointed, cursor: int) -> bool:
        return True

    patch.setattr(Run, "settled", settled)
    patch.setattr(Broker, "_usable", usable)


def no_credit_for_heads(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Run, "_exception", lambda self, stream, lane: 0)


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Run, "_counts", lambda self, lane, attempt: True)


def acknowledging_on_prefetch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientSession, "_done", lambda self: self.received)


def no_journal_before_what_follows(patch: pytest.MonkeyPatch) -> None:
    handle = Server.handle

    def late(server: Server, event: Event) -> list[Action]:
        return sorted(handle(server, event), key=lambda action: isinstance(action, Journal))

    patch.setattr(Server, "handle", late)


def no_acknowledgements_after_compaction(patch: pytest.MonkeyPatch) -> None:
    facts = Book.facts

    def fewer(book: Book) -> list[Fact]:
        return [fact for fact in facts(book) if not isinstance(fact, Acknowledged)]

    patch.setattr(Book, "facts", fewer)


ABLATIONS = {
    "deduplication": Ablation(take_away=no_deduplication, pipeline="flat", faults=Faults(double=0.1)),
    "the session check": Ablation(
        take_away=no_session_check, pipeline="filtered images", faults=Faults(echo=0.3, client_crashes=0.3)
    ),
    "the batch cursor": Ablation(take_away=no_batch_cursor, pipeline="flat", faults=Faults(double=0.1)),
    "counted completeness": Ablation(take_away=no_counting, pipeline="flat", faults=Faults(drop=0.1)),
    "checkpoints behind acknowledgement": Ablation(
        take_away=no_waiting_for_acknowledgement,
        pipeline="filtered images",
        faults=Faults(server_crashes=1.0, client_crashes=1.0),
        limits=OFTEN,
        window=8,
    ),
    "credit for heads": Ablation(
        take_away=no_credit_for_heads,
        pipeline="hop after shuffle",
        faults=Faults(),
        limits=Limits(rows_each=12, splits_least=1, budget_bytes=1, look_ahead=1),
    ),
    "fencing": Ablation(
        take_away=no_fencing,
        pipeline="many files",
        faults=Faults(echo=0.5, server_crashes=0.5),
        limits=replace(OFTEN, rows_each=24),
    ),
    "journaling before what follows is said": Ablation(
        take_away=no_journal_before_what_follows, pipeline="flat", faults=Faults(server_crashes=0.5)
    ),
    "acknowledgements in a compacted journal": Ablation(
        take_away=no_acknowledgements_after_compaction,
        pipeline="flat",
        faults=Faults(server_crashes=1.0, client_crashes=1.0, compactions=0.1),
    ),
    "acknowledging what the loop took": Ablation(
        take_away=acknowledging_on_prefetch, pipeline="flat", faults=Faults(client_crashes=1.0), window=6
    ),
}


@pytest.mark.parametrize("safeguard", ABLATIONS)
def test_without_a_safeguard_runs_go_wrong_and_with_it_none_does(
    pipelines: dict[str, Dataset], safeguard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablation = ABLATIONS[safeguard]
    dataset, tried, wrong = pipelines[ablation.pipeline], list[int](), 0
    with monkeypatch.context() as without:
        ablation.take_away(without)
        while wrong < WRONG and len(tried) < TRIED:
            tried.append(len(tried))
            wrong += ablation.goes_wrong(tried[-1], dataset)
    assert wrong >= WRONG, f"{safeguard}: of {len(tried)} seeds without it {wrong} went wrong"
    for seed in tried:
        ablation.play(seed, dataset)
