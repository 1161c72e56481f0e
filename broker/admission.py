"""Admission: whether a registration may make a job or join one, and a consumer open an epoch; if not, why."""

from __future__ import annotations

from collections.abc import Mapping

from ..pipeline.errors import FailedPreconditionError, HeadraceError, InvalidArgumentError
from ..pipeline.messages import Open, Register
from .book import Book, JobEntry, JobMade, Place
from .likeness import difference
from .rounds import EVEN

__all__ = ["CONSUMERS_MOST", "epoch_meant", "latest", "made", "objection", "rewound_away", "taken_over", "unfit"]

#: So many consumers a job can have.
CONSUMERS_MOST = 4096


def objection(book: Book, message: Register) -> HeadraceError | None:
    """Why this registration cannot be; None where it can."""
    number = book.numbers.get(message.key)
    if number is not None:
        return _other(book.jobs[number], message)
    if not 1 <= message.consumers <= CONSUMERS_MOST or message.even not in EVEN:
        return InvalidArgumentError(
            f"{message.consumers} consumers, even={message.even!r}: there can be 1 to {CONSUMERS_MOST:,} of them, "
            "and even is 'drop' or 'pad'"
        )
    if message.key in book.finished and not message.again:
        return FailedPreconditionError(
            f"job {message.name!r} has finished: choose another name, or iterate(..., again=True) for a new run"
        )
    return None


def _other(entry: JobEntry, message: Register) -> HeadraceError | None:
    """How a registration differs from the job that has its key."""
    differing = []
    if message.consumers != entry.consumers:
        differing.append(f"it has {entry.consumers} consumers, not {message.consumers}")
    if message.even != entry.even:
        differing.append(f"its even is {entry.even!r}, not {message.even!r}")
    if message.seed != entry.seed:
        differing.append(
            f"its seed is {entry.seed}, not {message.seed}: give the same one to all, with_options(Options(seed=...))"
        )
    if (where := difference(entry.graph, message.graph)) is not None:
        differing.append(f"its pipeline is another one: {where}")
    if not differing:
        return None
    return FailedPreconditionError(f"{entry.title} is there already, and {'; '.join(differing)}")


def made(number: int, message: Register) -> JobMade:
    """The job that a registration makes."""
    return JobMade(
        number,
        message.key,
        message.graph,
        message.seed,
        message.folder,
        message.name,
        message.consumers,
        message.even,
    )


def unfit(entry: JobEntry, message: Open) -> HeadraceError | None:
    """Why an epoch cannot be opened in this way; None where it can, now or later."""
    consumer = message.consumer
    if not 0 <= consumer < entry.consumers:
        return InvalidArgumentError(f"{entry.title} has no consumer {consumer}: it has {entry.consumers}")
    place = entry.places[consumer]
    if message.generation < place.generation:
        return taken_over(entry, consumer)
    if place.rewound and (not message.token or message.generation == place.generation):
        return rewound_away(entry)  # also in answer to what a session said before it was fenced
    if message.token:
        return None if message.epoch >= 0 else InvalidArgumentError("a token is of one epoch")
    if entry.consumers > 1 and message.generation > place.generation and _over(place, message):
        return FailedPreconditionError(
            f"{entry.title} is in epoch {place.epoch}, and its {entry.consumers} consumers go forward together: "
            f"epoch {message.epoch} is over"
        )
    return None


def _over(place: Place, message: Open) -> bool:
    """Whether the epoch that a new life asks for is one that several consumers have behind them.

    Where a power cut took all that was known of a job, the first to come back may be an epoch ahead of the others, who
    then seem never to have come: they go on in the epoch that they are in, or were about to begin.
    """
    lost = place.generation < 0 and (message.cursor is not None or message.epoch + 1 == place.epoch)
    return 0 <= message.epoch < place.epoch and not lost


def taken_over(entry: JobEntry, consumer: int) -> HeadraceError:
    """What a life of a consumer is told once there is a newer one."""
    return FailedPreconditionError(f"consumer {consumer} of {entry.title} was taken over by a newer iterator")


def epoch_meant(entry: JobEntry, message: Open) -> int:
    """Which epoch is to be opened: one below 0 is that in which the consumer was, or at least a certain one."""
    if message.epoch >= 0:
        return message.epoch
    place = entry.places[message.consumer]
    return max(-1 - message.epoch, place.epoch, entry.epoch if place.left else 0)


def latest(entry: JobEntry, consumer: int, wanted: Mapping[tuple[int, int], int]) -> int | float:
    """The latest epoch that a consumer may open: one ahead of the slowest other one.

    Who waits to open an epoch is as far as that: or else all would wait for one another where all leave some out.
    """
    others = (index for index, each in enumerate(entry.places) if index != consumer and not each.left)
    epochs = [max(entry.places[each].epoch, wanted.get((entry.number, each), -1)) for each in others]
    slowest = min(epochs, default=-1)
    return slowest + 1 if slowest >= 0 else float("inf")


def rewound_away(entry: JobEntry) -> HeadraceError:
    """What a consumer is told that goes on where others no longer are."""
    found = next(each.rewound for each in entry.epochs.values() if each.rewound is not None)
    return FailedPreconditionError(
        f"{entry.title} was rewound to element {found.element:,} of epoch {found.epoch} by consumer {found.consumer}: "
        "load the same state here, with load_state_dict(), to go on together"
    )
