"""Delivery: what goes to a consumer from its outbox, and what it is told while nothing does."""

from __future__ import annotations

from collections.abc import Iterator

from ..pipeline.errors import to_data
from ..pipeline.messages import Deliver, Ended
from .actions import Reply
from .book import JobEntry
from .conversation import Conversation
from .outbox import Outbox, Parcel
from .run import Run

__all__ = ["ahead", "delivered", "missing"]


def delivered(run: Run, talk: Conversation, now: float) -> Iterator[Reply]:
    """What is new for a consumer, and the end, once it has all."""
    outbox = run.rounds.outboxes[talk.consumer]
    for parcel in outbox.unsent(talk.until):
        talk.sent = now
        yield _parcel(talk, parcel)
    if run.ended and outbox.sent >= outbox.produced and not talk.ended_told:
        talk.ended_told = True
        yield Reply(talk.peer, _end(run, talk, outbox))


def _parcel(talk: Conversation, parcel: Parcel) -> Reply:
    layout = parcel.block.layout.to_data() if parcel.block is not None else None
    error = to_data(parcel.error) if parcel.error is not None else None
    message = Deliver(talk.session, parcel.first, parcel.count, layout, parcel.checksum, error, mask=parcel.mask)
    return Reply(talk.peer, message, parcel.block)


def _end(run: Run, talk: Conversation, outbox: Outbox) -> Ended:
    return Ended(talk.session, outbox.produced, run.rounds.checksums[talk.consumer], run.numbers)


def missing(entry: JobEntry, run: Run, talks: dict[int, Conversation], now: float) -> str:
    """Who keeps the others waiting: the consumer that is furthest behind, since when, and where it is."""
    boxes = run.rounds.outboxes
    behind = [consumer for consumer, outbox in enumerate(boxes) if not (outbox.left or outbox.away)]
    consumer = min(behind, key=lambda each: boxes[each].acknowledged, default=0)
    return _silent(entry, consumer, talks.get(consumer), now) + (
        f": epoch {run.epoch}, round {boxes[consumer].acknowledged}"
    )


def ahead(entry: JobEntry, consumer: int, talks: dict[int, Conversation], now: float) -> str:
    """Why a consumer cannot open an epoch yet: somebody is two behind."""
    others = [index for index in range(entry.consumers) if index != consumer and not entry.places[index].left]
    slowest = min(others, key=lambda each: entry.places[each].epoch)
    place = entry.places[slowest]
    return _silent(entry, slowest, talks.get(slowest), now) + (
        f": it is still in epoch {place.epoch}, round {place.acknowledged}, and the others may be one epoch ahead of it"
    )


def _silent(entry: JobEntry, consumer: int, talk: Conversation | None, now: float) -> str:
    who = f"consumer {consumer} of {entry.consumers} of {entry.title}"
    if entry.places[consumer].generation < 0:
        return f"{who} has not come yet"
    if talk is None:
        return f"{who} is gone"
    if talk.gone is not None:
        return f"{who} is gone, for {now - talk.gone:.0f} s"
    return f"{who} has not taken its batches for {now - talk.heard:.0f} s"
