"""Each safeguard of the protocol, how to take it away, and the least that shows what it is for.

    python -m tests.simulation.ablations 100

prints how many of so many seeds go wrong without each of them.
"""

from __future__ import annotations

import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.broker.book import Acknowledged, Book, Checkpointed, Fact
from headrace.broker.lanes import Lane, LaneStream
from headrace.broker.machine import Broker
from headrace.broker.outbox import Outbox
from headrace.broker.rounds import Rounds
from headrace.broker.run import Limits, Run
from headrace.client.machine import ClientSession
from headrace.coordinator import machine as coordinator_machine
from headrace.coordinator.machine import Coordinator
from headrace.events import Action, Event, Journal
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.messages import Message, Stale
from headrace.pipeline.operators.protocol import Failed, Pulled
from headrace.pipeline.store import Handles
from headrace.pipeline.work import Piece
from headrace.server import Server
from headrace.workers import machine as worker_machine
from headrace.workers.machine import WorkerSession

from .cluster import Cluster
from .graphs import graphs
from .weather import Faults

__all__ = ["ABLATIONS", "Ablation"]

#: Splits of several pieces, and a checkpoint whenever there can be one.
OFTEN = Limits(rows_each=6, splits_least=1, parcel_bytes=1, checkpoint_elements=1, least_s=0)


#: What of an ablation is not its cluster's.
_OWN = {"take_away", "pipeline", "settles"}


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A safeguard, and the least that shows what it is for."""

    take_away: Callable[[pytest.MonkeyPatch], None]
    pipeline: str
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=lambda: Limits(rows_each=12, splits_least=1, parcel_bytes=1))
    window: int = 3
    workers: int = 2
    consumers: int = 1
    slow: float = 1.0
    leaves_at: tuple[int, int] | None = None
    epochs: int = 2
    settles: bool = False  #: Whether what is left behind at the end is what shows it.

    def play(self, seed: int, pipelines: Mapping[str, Dataset]) -> None:
        """One run to its end; Lost where a promise is broken."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _OWN}
        cluster = Cluster(seed, pipelines[self.pipeline], **given).run(limit_s=60.0)
        if self.settles:
            cluster.settle()

    def wrong(self, seeds: Iterable[int], pipelines: Mapping[str, Dataset], enough: int | None = None) -> list[bool]:
        """Of each seed, whether the cluster notices that the safeguard is gone; up to `enough` that do."""
        found: list[bool] = []
        with pytest.MonkeyPatch.context() as patch:
            self.take_away(patch)
            for seed in seeds:
                if enough is not None and sum(found) >= enough:
                    break
                try:
                    self.play(seed, pipelines)
                except (AssertionError, KeyError):  # of the cluster, or of the machines about themselves
                    found.append(True)
                else:
                    found.append(False)
        return found


# What workers send, and under which lease.


def no_deduplication(patch: pytest.MonkeyPatch) -> None:
    def arrive(stream: LaneStream, lane: Lane, piece: Piece) -> bool:
        now = lane.arrivals.watermark
        if piece.first > now or lane.arrivals.complete:
            return False
        lane.arrivals.add(replace(piece, first=now, next=max(now, piece.next)))
        return True

    patch.setattr(LaneStream, "arrive", arrive)


def no_counting(patch: pytest.MonkeyPatch) -> None:
    arrive = LaneStream.arrive

    def believe(stream: LaneStream, lane: Lane, piece: Piece) -> bool:
        now, stop = lane.arrivals.watermark, lane.work.stop
        if piece.first > now and (piece.last or (stop is not None and piece.next >= stop)):
            piece = replace(piece, first=now)  # the worker says that it is done
        return arrive(stream, lane, piece)

    patch.setattr(LaneStream, "arrive", believe)


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Run, "_counts", lambda self, lane, attempt: True)


def attempts_that_begin_anew(patch: pytest.MonkeyPatch) -> None:
    grant = Coordinator._grant

    def forgetful(self: Coordinator, worker: Any, want: Any) -> Iterator[Any]:
        incarnation, self.incarnation = self.incarnation, 0
        try:
            yield from grant(self, worker, want)
        finally:
            self.incarnation = incarnation

    patch.setattr(Coordinator, "_grant", forgetful)


def no_order_of_lanes(patch: pytest.MonkeyPatch) -> None:
    pull = LaneStream.pull

    def whatever_came(stream: LaneStream, limit: int) -> Pulled:
        ready = [each for each in stream.lanes if isinstance(each, Failed) or each.arrivals.waiting]
        if ready:
            stream.lanes.remove(ready[0])
            stream.lanes.appendleft(ready[0])
        return pull(stream, limit)

    patch.setattr(LaneStream, "pull", whatever_came)


# Who computes, and what if nobody does.


def no_credit_for_heads(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Run, "_exception", lambda self, stream, lane: 0)


def credit_told_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Run, "_untold", lambda self, lane, now: lane.told != (lane.arrivals.watermark, lane.limit))


def no_expiry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Coordinator, "_expire", lambda self: iter(()))


def leases_told_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Coordinator, "_compare", lambda self, worker, split, attempt, named: iter(()))


def pieces_sent_once(patch: pytest.MonkeyPatch) -> None:
    tick = WorkerSession._tick

    def never_again(self: WorkerSession) -> Iterator[worker_machine.Action]:
        for held in self.held.values():
            held.sent_at = self.now
        yield from tick(self)

    patch.setattr(WorkerSession, "_tick", never_again)


def pieces_not_kept(patch: pytest.MonkeyPatch) -> None:
    say = WorkerSession._say

    def forget(self: WorkerSession, held: worker_machine.Held, piece: Piece) -> worker_machine.Say:
        held.unacknowledged = deque()
        return say(self, held, piece)

    patch.setattr(WorkerSession, "_say", forget)


def strangers_not_told(patch: pytest.MonkeyPatch) -> None:
    def deaf(self: WorkerSession, message: Message) -> Iterator[worker_machine.Action]:
        return iter(()) if isinstance(message, Stale) else hear(self, message)

    hear = WorkerSession._hear
    patch.setattr(WorkerSession, "_hear", deaf)


def releases_not_told(patch: pytest.MonkeyPatch) -> None:
    def release(self: Coordinator, split: int) -> Iterator[coordinator_machine.Action]:
        self.wants.pop(split, None)
        return iter(())

    patch.setattr(Coordinator, "_release", release)


# What the client says and hears.


def no_session_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientSession, "_mine", lambda self, session: True)
    patch.setattr(Broker, "_current", lambda self, talk, session: True)


def no_batch_cursor(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientSession, "_misses", lambda self, message: False)
    patch.setattr(ClientSession, "_known", lambda self, message: 0)


def acknowledging_on_prefetch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientSession, "_done", lambda self: self.received)


def asking_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientSession, "_again", lambda self: iter(()))


# Several consumers, and several epochs.


def rounds_not_released_whole(patch: pytest.MonkeyPatch) -> None:
    def at_once(rounds: Rounds, handles: Handles) -> None:
        for handle in handles.tolist():
            consumer = min(range(rounds.consumers), key=lambda each: rounds.outboxes[each].produced)
            rounds._give(consumer, np.array([handle], np.int64))

    patch.setattr(Rounds, "_share_out", at_once)


def ends_that_are_not_even(patch: pytest.MonkeyPatch) -> None:
    def finish(rounds: Rounds) -> None:
        rest, rounds._waiting = rounds._waiting, []
        for consumer, each in enumerate(rest):
            if each is not None:
                rounds._hand(consumer, each)

    patch.setattr(Rounds, "finish", finish)


def the_fastest_consumer_counts(patch: pytest.MonkeyPatch) -> None:
    def settled(rounds: Rounds) -> int:
        return rounds.base + rounds.consumers * max(each.acknowledged for each in rounds.outboxes)

    patch.setattr(Rounds, "settled", property(settled))
    patch.setattr(Broker, "_usable", lambda self, checkpoint, cursor: True)


def any_number_of_epochs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("headrace.broker.epochs.latest", lambda *_: 1 << 30)


def waiting_for_who_has_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outbox, "leave", lambda self: None)
    patch.setattr(Broker, "go_on_without", lambda self, run, idle_s: None)


# What is on disk.


def no_waiting_for_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    def settled(run: Run) -> object:
        newest = run.checkpoints[-1] if run.checkpoints else None
        run.checkpoints.clear()
        return newest

    def usable(broker: Broker, checkpoint: Checkpointed, cursor: int) -> bool:
        return True

    patch.setattr(Run, "settled", settled)
    patch.setattr(Broker, "_usable", usable)


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
    "counted completeness": Ablation(take_away=no_counting, pipeline="flat", faults=Faults(drop=0.1)),
    "fencing": Ablation(
        take_away=no_fencing,
        pipeline="many files",
        faults=Faults(echo=0.5, server_crashes=0.5),
        limits=replace(OFTEN, rows_each=24),
    ),
    "attempts above those of former lives": Ablation(
        take_away=attempts_that_begin_anew,
        pipeline="many files",
        faults=Faults(echo=1.0, server_crashes=1.0),
        limits=replace(OFTEN, rows_each=24),
    ),
    "one order of splits": Ablation(take_away=no_order_of_lanes, pipeline="flat"),
    "credit for heads": Ablation(
        take_away=no_credit_for_heads,
        pipeline="hop after shuffle",
        limits=Limits(rows_each=12, splits_least=1, budget_bytes=1, look_ahead=1),
    ),
    "credit told again": Ablation(
        take_away=credit_told_once, pipeline="flat", faults=Faults(drop=0.3), limits=replace(OFTEN, budget_bytes=1)
    ),
    "expiry of leases": Ablation(
        take_away=no_expiry, pipeline="flat", faults=Faults(worker_stops=1.0, stop_s=500.0), limits=OFTEN, workers=3
    ),
    "leases told again": Ablation(take_away=leases_told_once, pipeline="flat", faults=Faults(drop=0.2)),
    "pieces sent again": Ablation(take_away=pieces_sent_once, pipeline="flat", faults=Faults(drop=0.1)),
    "pieces kept until they have come": Ablation(take_away=pieces_not_kept, pipeline="flat", faults=Faults(drop=0.1)),
    "a word to workers that are strangers": Ablation(
        take_away=strangers_not_told, pipeline="flat", faults=Faults(server_crashes=1.0)
    ),
    "a word that nothing more is wanted": Ablation(
        take_away=releases_not_told, pipeline="takes", settles=True, limits=OFTEN
    ),
    "the session check": Ablation(
        take_away=no_session_check, pipeline="filtered images", faults=Faults(echo=0.3, client_crashes=0.3)
    ),
    "the batch cursor": Ablation(take_away=no_batch_cursor, pipeline="flat", faults=Faults(double=0.1)),
    "acknowledging what the loop took": Ablation(
        take_away=acknowledging_on_prefetch, pipeline="flat", faults=Faults(client_crashes=1.0), window=6
    ),
    "asking again": Ablation(take_away=asking_once, pipeline="flat", faults=Faults(drop=0.1)),
    "rounds released whole": Ablation(
        take_away=rounds_not_released_whole, pipeline="failing shuffle", consumers=3, faults=Faults(server_crashes=0.5)
    ),
    "even ends": Ablation(take_away=ends_that_are_not_even, pipeline="flat", consumers=4),
    "checkpoints behind the slowest consumer": Ablation(
        take_away=the_fastest_consumer_counts,
        pipeline="flat",
        consumers=2,
        slow=8.0,
        faults=Faults(server_crashes=1.0),
        limits=OFTEN,
    ),
    "two epochs at a time": Ablation(
        take_away=any_number_of_epochs, pipeline="repeat within", consumers=2, slow=20.0, epochs=4
    ),
    "the share of who has left": Ablation(
        take_away=waiting_for_who_has_left,
        pipeline="flat",
        consumers=2,
        leaves_at=(0, 2),
        limits=replace(OFTEN, budget_bytes=100),
    ),
    "checkpoints behind acknowledgement": Ablation(
        take_away=no_waiting_for_acknowledgement,
        pipeline="flat",
        faults=Faults(server_crashes=1.0, client_crashes=1.0),
        limits=OFTEN,
        window=8,
    ),
    "journaling before what follows is said": Ablation(
        take_away=no_journal_before_what_follows, pipeline="flat", faults=Faults(server_crashes=0.5)
    ),
    "acknowledgements in a compacted journal": Ablation(
        take_away=no_acknowledgements_after_compaction,
        pipeline="flat",
        faults=Faults(server_crashes=1.0, client_crashes=1.0, compactions=0.1),
    ),
}


def main(count: int, names: list[str]) -> None:
    """The table, for documentation."""
    with tempfile.TemporaryDirectory() as folder:
        pipelines = graphs(Path(folder))
        print(f"| safeguard | of {count} seeds go wrong without it |\n| --- | --- |")
        for name in names or ABLATIONS:
            print(f"| {name} | {sum(ABLATIONS[name].wrong(range(count), pipelines))} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
