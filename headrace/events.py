"""What happens to the server's machine, and what it wants done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .broker.actions import Answered, AskFile
from .facts import Fact
from .pipeline.messages import Message
from .pipeline.orders import Scan, Scanned, Shelve
from .pipeline.verdicts import Verdict

__all__ = [
    "Action",
    "Event",
    "Dead",
    "End",
    "Ending",
    "Examine",
    "Finish",
    "From",
    "Gone",
    "Journal",
    "Look",
    "Quarantine",
    "Report",
    "Said",
    "Seen",
    "Store",
    "Tick",
    "To",
    "Trouble",
    "Unkept",
]


@dataclass(frozen=True, slots=True)
class From:
    """A peer said something."""

    peer: str
    message: Message
    buffers: Sequence[Any] = ()
    admin: bool = False  #: Whether it may end what is others'.


@dataclass(frozen=True, slots=True)
class Dead:
    """A worker's process has ended, how, and what it was executing: split and position."""

    peer: str
    executing: tuple[int, int] | None = None
    cause: str = "the process ended"


@dataclass(frozen=True, slots=True)
class Gone:
    """What was sent to this peer did not reach it: nobody of that name is connected."""

    peer: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The answer to Examine: what the worker is executing, split and position, or nothing."""

    peer: str
    executing: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no worker can be kept running; None once that is over. Who waits is told."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """A worker that the server itself started has printed something."""

    worker: str
    text: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The server is to end: from now on no epoch begins, and those that run have so many seconds; and why."""

    grace_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unkept:
    """What a job skipped cannot be told where its options say, and why."""

    job: int
    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now: float


Event: TypeAlias = From | Dead | Gone | Seen | Trouble | Said | Ending | Unkept | Tick | Scanned | Answered


@dataclass(frozen=True, slots=True)
class To:
    """To a peer."""

    peer: str
    message: Message
    buffers: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """To disk, before anything that follows."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Look:
    """See where a file can be cut, and come back with Scanned."""

    scan: Scan


@dataclass(frozen=True, slots=True)
class Store:
    """Put elements where they are kept."""

    order: Shelve


@dataclass(frozen=True, slots=True)
class Quarantine:
    """To the file that tells what was skipped; come back with Unkept where it cannot be written."""

    job: int
    path: str  #: As whoever registered the job said it.
    user: str  #: Whose the job is; nothing for this user of this host.
    run: str
    epoch: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class End:
    """End a worker's process; a fresh one is to take its place."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Examine:
    """See what a silent worker of ours is executing, and come back with Seen."""

    peer: str


@dataclass(frozen=True, slots=True)
class Report:
    """Tell a peer how the server is; only its process knows all of that."""

    peer: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End the server's process in good order, as somebody asked."""

    grace_s: float


Action: TypeAlias = To | Journal | Look | Store | AskFile | Quarantine | End | Examine | Report | Finish
