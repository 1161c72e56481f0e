"""What comes into a broker and what it does about it: events and actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..pipeline.blocks import Block
from ..pipeline.cache_files import Found, Request
from ..pipeline.messages import Credit, Message, Pieces
from ..pipeline.orders import Granted, Release, Scan, Scanned, Shelve, Want, Withdrawn
from ..pipeline.verdicts import Verdict
from .book import Fact

__all__ = [
    "Action",
    "Answered",
    "Ask",
    "AskFile",
    "Event",
    "FromClient",
    "FromWorker",
    "Gone",
    "Quarantine",
    "Record",
    "Reply",
    "Tell",
    "Tick",
]


@dataclass(frozen=True, slots=True)
class FromClient:
    """A client said something."""

    peer: str
    message: Message


@dataclass(frozen=True, slots=True)
class FromWorker:
    """A worker computed something."""

    peer: str
    message: Pieces
    buffers: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now: float


@dataclass(frozen=True, slots=True)
class Gone:
    """What was sent to this client did not reach it: nobody of that name is connected."""

    peer: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What a look at a cache's files has found; or, as text, why what was to be written cannot be."""

    job: int
    number: int
    found: Found | str


Event: TypeAlias = FromClient | FromWorker | Gone | Granted | Withdrawn | Scanned | Answered | Tick


@dataclass(frozen=True, slots=True)
class Record:
    """To disk, before anything that follows."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Reply:
    """To a client, with a block, if any."""

    peer: str
    message: Message
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """To a worker."""

    worker: str
    message: Credit


@dataclass(frozen=True, slots=True)
class Ask:
    """To the coordinator."""

    order: Want | Release | Scan | Shelve


@dataclass(frozen=True, slots=True)
class Quarantine:
    """To the file that tells what was skipped, where it is not yet."""

    job: int
    epoch: int
    path: str  #: As whoever registered the job said it.
    run: str  #: What it is called there.
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class AskFile:
    """Of the files of a cache: look, or write. What was asked before is done before."""

    job: int
    request: Request


Action: TypeAlias = Record | Reply | Tell | Ask | Quarantine | AskFile
