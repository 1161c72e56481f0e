"""Everything that server, workers and clients say to one another.

A message is a frozen dataclass of plain data; blocks follow it as frames (see `frames`). The version
is said once, in Hello.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = [
    "MESSAGES",
    "NO_WORKER",
    "VERSION",
    "AskFiles",
    "AskStatus",
    "AskToken",
    "Bye",
    "Close",
    "Credit",
    "Deliver",
    "Ended",
    "Fetch",
    "Files",
    "Freed",
    "Heartbeat",
    "Hello",
    "Inspect",
    "Inspected",
    "Kill",
    "Lacking",
    "Lease",
    "Lost",
    "Message",
    "Next",
    "Open",
    "Opened",
    "Part",
    "Pieces",
    "Printed",
    "Program",
    "Refused",
    "Register",
    "Registered",
    "Retired",
    "Revoke",
    "Sample",
    "Sampled",
    "Session",
    "Shares",
    "Sharing",
    "Stale",
    "Status",
    "Stop",
    "Stopping",
    "Stored",
    "Token",
    "Upload",
    "Waiting",
    "Welcome",
    "WhatIs",
]

VERSION = 4

#: Begins the reason of a wait that no worker can end, since there is none.
NO_WORKER = "there is no worker"

#: Client generation, server incarnation, job, epoch, consumer: what a conversation about batches belongs to.
Session: TypeAlias = "tuple[int, int, int, int, int]"


@dataclass(frozen=True, slots=True)
class Hello:
    """First word on any connection; the answer is Welcome or Refused."""

    version: int  #: Stands first in every version, so that another one can be told from nonsense.
    role: str  #: "worker", "launcher" (of workers, on its host) or "client" (people's commands are clients, too).
    name: str
    pid: int
    versions: dict[str, str]  #: Of Python, NumPy and the architecture; workers of one job should agree.
    launcher: str = ""  #: Of a worker: the name of its launcher, where that is not the server itself.
    fresh: bool = True  #: Of a worker: whether it has computed nothing yet.


@dataclass(frozen=True, slots=True)
class Welcome:
    """You are known. `incarnation` grows with each start of the server."""

    incarnation: int
    heartbeat_s: float
    nonce: str = ""  #: Where a secret lies for who can share memory with the server (see `sharing`).


@dataclass(frozen=True, slots=True)
class Refused:
    """Something cannot be; an error as data."""

    error: dict[str, Any]
    about: str = ""  #: The key of the registration that it answers, if any.
    generation: int = (
        -1
    )  #: Of the session that it is about, if of one: word of one that is over means nothing any more.


@dataclass(frozen=True, slots=True)
class Bye:
    """I leave in good order; what I was leased can go to others. The server answers Close with it."""


@dataclass(frozen=True, slots=True)
class Stale:
    """You speak of something that this server does not know; say Hello again."""

    incarnation: int


# Client and broker.


@dataclass(frozen=True, slots=True)
class Register:
    """A pipeline to run. `key` is the clients' own name for it, so that saying it twice makes one job.

    All consumers of a job with a name say the same key, and must mean the same.
    """

    key: str
    graph: bytes
    seed: int
    folder: str = ""  #: In which relative file names are looked up: the client's own.
    name: str = ""  #: As people call the job; nothing where one iterator alone has it.
    consumers: int = 1
    even: str = "drop"  #: What becomes of a last round that is not full: "drop" or "pad".
    again: bool = False  #: Whether a job of this name that has finished is to be run once more.
    consumer: int = 0  #: Who of them says so.


@dataclass(frozen=True, slots=True)
class Registered:
    """It is job number `job`; `generation` is the newest life of the consumer that asks, -1 before it had one."""

    key: str
    job: int
    generation: int = -1


@dataclass(frozen=True, slots=True)
class Open:
    """I want epoch `epoch` of a job, from my element `cursor`, or from after the last acknowledged one.

    An epoch below 0 is for who may have been there before: -1 - n means n, or the later one that it was in.

    `generation` grows with each life of the client; the newest is the one that is heard.

    Of n consumers number i gets elements i, n + i, 2 n + i, ... of what the epoch has. Its cursors count its own,
    a *round* each, from where the epoch begins.
    """

    incarnation: int  #: In which the job has this number.
    job: int
    generation: int
    epoch: int
    cursor: int | None = None
    consumer: int = 0
    token: bytes = b""  #: Where a token says that all consumers go on (see `Token.position`), if one was loaded.


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer: talk in this session, from this cursor on. Rounds count from element `base` of the epoch."""

    session: Session
    cursor: int
    base: int = 0


@dataclass(frozen=True, slots=True)
class AskToken:
    """Where does the job stand behind the first `taken` of my elements? I want to be able to go on from there."""

    session: Session
    taken: int


@dataclass(frozen=True, slots=True)
class Token:
    """The answer: behind `element` elements of the epoch, and a checkpoint at or before that, if there is one."""

    session: Session
    taken: int
    element: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Next:
    """The training loop is done with all elements before `acknowledged`; I have all before `received`.

    Send up to, not including, `until`. With `again`, what I lack may have been lost: send it once more.
    """

    session: Session
    acknowledged: int
    received: int
    until: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Deliver:
    """Elements `first` and on, as a block that follows; or one failed element, as an error."""

    session: Session
    first: int
    count: int
    layout: list[Any] | None
    checksum: int  #: Of the identities of everything up to and with these, chained.
    error: dict[str, Any] | None = None
    slab: list[Any] | None = None  #: Where the block lies (see `slabs`), if it does not follow.
    mask: bool = True  #: False for an element that fills up a last round: another consumer has it, too.


@dataclass(frozen=True, slots=True)
class Ended:
    """The epoch has `total` elements for this consumer, and this checksum; and what happened in it."""

    session: Session
    total: int
    checksum: int
    ledger: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to send yet, and why."""

    session: Session
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """I am done with this job. It ends when all of its consumers are."""

    job: int
    generation: int
    consumer: int = 0


@dataclass(frozen=True, slots=True)
class Printed:
    """A worker printed this. Its launcher tells the server, which tells the clients."""

    worker: str
    text: str


# Functions and arrays of a graph, between those that do not share a folder.


@dataclass(frozen=True, slots=True)
class Lacking:
    """The registration with this key has to wait: these blobs of its graph are not here."""

    key: str
    digests: list[Any]


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes of a blob from `offset` on, which follow; it has `total`."""

    digest: str
    offset: int
    total: int


@dataclass(frozen=True, slots=True)
class Stored:
    """All of a blob before `offset` is kept; with `whole`, it is complete and has the content of its name."""

    digest: str
    offset: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """Give me bytes of a blob, from `offset` on."""

    digest: str
    offset: int


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a blob from `offset` on follow; it has `total`, or -1 where there is none of that name."""

    digest: str
    offset: int
    total: int


# Memory that two processes on one host share.


@dataclass(frozen=True, slots=True)
class Shares:
    """I can read your memory, in which this secret lies. In mine, at `nonce`, it lies too. Without: I share none."""

    secret: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Sharing:
    """I can read that, so blocks may lie in slabs, up to `limit` bytes; with 0 they may not, or no longer."""

    limit: int
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Freed:
    """I no longer use these regions: slab, offset, and the number under which each was lent to me last."""

    regions: list[Any]


@dataclass(frozen=True, slots=True)
class Retired:
    """These slabs of mine are no more; unmap them."""

    slabs: list[Any]


# People's commands.


@dataclass(frozen=True, slots=True)
class AskStatus:
    """How are you?"""


@dataclass(frozen=True, slots=True)
class Status:
    """What the server, its workers and jobs are doing: plain data."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AskFiles:
    """What do your workers see of these files?"""

    paths: list[Any]


@dataclass(frozen=True, slots=True)
class Files:
    """By worker, for each path its size and the CRC of its ends, or why not; None: it has not answered."""

    found: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """To a worker: look at these files, in these roots."""

    number: int
    paths: list[Any]
    roots: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """I see this of them: size and CRC of the ends, or why not."""

    number: int
    found: list[Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """End in good order: begin no epoch, finish those that run, but be gone after so many seconds."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Stopping:
    """I end, in so many seconds at most; and why, where nobody asked for it."""

    grace_s: float
    reason: str = ""


# Launchers of workers on other hosts.


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker of mine has ended, how, and what it was executing: split and position."""

    worker: str
    executing: list[Any] | None
    cause: str


@dataclass(frozen=True, slots=True)
class Inspect:
    """See what this silent worker of yours is executing."""

    worker: str


@dataclass(frozen=True, slots=True)
class Inspected:
    """It is executing this: split and position, or nothing."""

    worker: str
    executing: list[Any] | None


@dataclass(frozen=True, slots=True)
class Kill:
    """End this worker of yours; another takes its place."""

    worker: str
    reason: str


# Worker, coordinator and broker.


@dataclass(frozen=True, slots=True)
class Lease:
    """Compute this. Blocks may be sent as long as those sent before take less than `limit` bytes."""

    split: int
    attempt: int
    job: int
    epoch: int
    work: list[Any]
    limit: int
    depth: int  #: How many segments lie upstream; the most downstream work comes first.
    layout: list[Any] | None = None  #: Of the elements handed along, which follow with their identities.


@dataclass(frozen=True, slots=True)
class WhatIs:
    """I was leased work of a job that I do not know."""

    job: int


@dataclass(frozen=True, slots=True)
class Program:
    """A job's graph, and where its functions and arrays lie."""

    job: int
    graph: bytes
    seed: int
    roots: list[Any] | None = None  #: Folders that its files must lie in; None for anywhere.


@dataclass(frozen=True, slots=True)
class Pieces:
    """What came of the input positions from `first` to before `next` of a split; a block may follow."""

    split: int
    attempt: int
    first: int
    next: int
    last: bool
    layout: list[Any] | None = None
    error: dict[str, Any] | None = None
    slab: list[Any] | None = None  #: Where the block lies (see `slabs`), if it does not follow.
    left_out: int = 0  #: Elements that predicates left out; behind a block, a buffer says before which of its own.
    ignored: bool = False  #: Whether an `ignore_errors` of the segment drops the failure.
    tags: int = 0  #: Numbers beside each element; a buffer behind the others says which.
    state: bool = False  #: Whether a last buffer is the state of a sequential function.


@dataclass(frozen=True, slots=True)
class Credit:
    """All before `watermark` has arrived; up to `limit` bytes may be sent in all under this attempt."""

    split: int
    attempt: int
    watermark: int
    limit: int
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """I am at work on these: split, attempt. Said from the loop that does the work."""

    leases: list[Any] = field(default_factory=list)
    busy_s: float = 0.0  #: Seconds of computing since the start.
    parked_s: float = 0.0  #: Seconds in which there was work and no credit.


@dataclass(frozen=True, slots=True)
class Revoke:
    """This lease is no longer yours."""

    split: int
    attempt: int


Message: TypeAlias = (
    Hello
    | Welcome
    | Refused
    | Bye
    | Stale
    | Register
    | Registered
    | Open
    | Opened
    | AskToken
    | Token
    | Next
    | Deliver
    | Ended
    | Waiting
    | Close
    | Lease
    | WhatIs
    | Program
    | Pieces
    | Credit
    | Heartbeat
    | Revoke
    | Printed
    | Lacking
    | Upload
    | Stored
    | Fetch
    | Part
    | Shares
    | Sharing
    | Freed
    | Retired
    | AskStatus
    | AskFiles
    | Files
    | Sample
    | Sampled
    | Status
    | Stop
    | Stopping
    | Lost
    | Inspect
    | Inspected
    | Kill
)

#: By name, as they are told apart on the wire.
MESSAGES: dict[str, type[Any]] = {kind.__name__: kind for kind in Message.__args__}
