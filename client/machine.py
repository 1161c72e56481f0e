"""A client's session: opens epochs, receives their elements in order, acknowledges what the loop has taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..pipeline.blobs import CHUNK
from ..pipeline.errors import DataLossError, FailedPreconditionError, HeadraceError, from_data
from ..pipeline.messages import (
    AskToken,
    Bye,
    Close,
    Deliver,
    Ended,
    Hello,
    Lacking,
    Message,
    Next,
    Open,
    Opened,
    Printed,
    Refused,
    Register,
    Registered,
    Session,
    Stale,
    Stopping,
    Stored,
    Token,
    Upload,
    Waiting,
    Welcome,
)

__all__ = ["ClientSession", "Event", "Go", "Parcel", "Received", "Say", "Stand", "Take", "Tick"]

#: Two lives that begin at once differ in generation as their clocks do, by less than this.
APART = 1 << 20


#: After so many seconds the server is told how far the loop has come, however little that is.
TOLD_S = 0.25


@dataclass(frozen=True, slots=True)
class Received:
    """The server said something; a block's buffer may follow."""

    message: Message
    buffer: Any = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes."""

    now: float


@dataclass(frozen=True, slots=True)
class Go:
    """The loop wants this epoch; -1 - n is n or, if it was in a later one in an earlier life, that.

    With `afresh`, it wants it from its first element also where it has had some of it, or is past it; with a token,
    from where that says.
    """

    epoch: int
    afresh: bool = False
    token: bytes = b""


@dataclass(frozen=True, slots=True)
class Take:
    """The loop is done with what it took before, and wants more: it takes `count` elements of the first parcel."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class Stand:
    """The loop wants to know where it stands, to go on from there another time."""


Event: TypeAlias = Received | Tick | Go | Take | Stand


@dataclass(frozen=True, slots=True)
class Say:
    """To the server, with bytes that follow, if any."""

    message: Message
    buffers: Sequence[Any] = ()


@dataclass(slots=True)
class Parcel:
    """Elements as they came: a block, of which the first `skip` are known already, or a failed one."""

    first: int
    count: int
    layout: list[Any] | None
    buffer: Any
    error: HeadraceError | None
    skip: int = 0
    mask: bool = True  #: False for one that fills up the last round.


@dataclass(slots=True, kw_only=True)
class ClientSession:
    """One job seen from the training loop of one of its consumers.

    Everything that is said carries the session: generation, server incarnation, job, epoch, consumer. What is not of
    it is dropped. `received` counts the elements that are here, `taken` those that the loop got; the one
    taken last is acknowledged when the loop comes for the next.
    """

    hello: Hello
    register: Register
    generation: int
    consumer: int = 0
    blobs: Mapping[str, memoryview] = field(default_factory=dict)  #: Of the graph, where the server may lack them.
    window: int = 2  #: Elements asked for ahead of the loop.
    resend_s: float = 1.0
    now: float = 0.0
    asked_at: float = -1e9
    gap_at: float = -1e9
    heard_at: float = 0.0
    welcomed: int | None = None  #: The server's incarnation.
    job: int | None = None
    epoch: int | None = None  #: That the loop wants.
    session: Session | None = None
    known: bool = False  #: Whether this epoch's cursor is known to us, and not to the server alone.
    entered: bool = False  #: Whether this life of us has opened an epoch.
    received: int = 0
    taken: int = 0
    told: tuple[int, int] = (-1, -1)  #: Acknowledged and until, as last said.
    inbox: deque[Parcel] = field(default_factory=deque)
    checksum: int | None = None  #: Of all before `received`; None where nothing came in this life.
    end: Ended | None = None
    waiting: str = ""  #: The server's word on what is waited for.
    refused: HeadraceError | None = None
    printed: list[tuple[str, str]] = field(default_factory=list)  #: By workers: who and what, to be shown.
    stopping: bool = False  #: Whether the server said that it ends.
    ending: str = ""  #: Why, where it said that.
    parted: bool = False  #: Whether the server knows that the loop is done with the job.
    lacking: list[str] = field(default_factory=list)  #: Blobs that the server waits for, the first one on its way.
    uploaded: tuple[str, int] = ("", -1)  #: The part that was sent last.
    uploaded_at: float = -1e9
    over: bool = False  #: Whether the loop came again after it had taken all.
    token: bytes = b""  #: Where the epoch was begun, if not with its first element; said as long as it lasts.
    base: int = 0  #: From which element of the epoch on rounds count.
    standing: Token | None = None  #: The server's answer to where the loop stands.
    asking: bool = False  #: Whether that is still to come.

    def handle(self, event: Event) -> list[Say]:
        """What to do about an event."""
        match event:
            case Received(message, buffer):
                return list(self._hear(message, buffer))
            case Tick(now):
                self.now = now
                return list(self._again())
            case Go(epoch, afresh, token):
                self._begin(epoch, afresh, token)
                return list(self._ask())
            case Stand():
                self.asking, self.standing = True, None
                return list(self._ask_token())
            case Take(count):
                self.over = count == 0 and self.finished
                self._take(count)
                return list(self._next())

    @property
    def ready(self) -> Parcel | None:
        """The parcel that the loop may take from."""
        return self.inbox[0] if self.inbox else None

    @property
    def finished(self) -> bool:
        """Whether the loop has had all of this epoch."""
        return self.end is not None and self.taken == self.end.total

    def _begin(self, epoch: int, afresh: bool, token: bytes) -> None:
        self.epoch, self.session, self.known = epoch, None, afresh or bool(token)
        self.generation += self.known  # or else it would be late word of an epoch that we have left
        self.token, self.base, self.asking = token, 0, False
        self.refused = None if token else self.refused
        self.received = self.taken = 0
        self.checksum = None
        self.told, self.end, self.over = (-1, -1), None, False
        self.inbox.clear()

    def _take(self, count: int) -> None:
        if not count:
            return
        parcel = self.inbox[0]
        parcel.skip += count
        self.taken += count
        if parcel.skip == parcel.count:
            self.inbox.popleft()

    # What is said.

    def _ask(self) -> Iterator[Say]:
        """Whatever stands between us and a session."""
        self.asked_at = self.now
        if self.welcomed is None:
            yield Say(self.hello)
        elif self.job is None:
            yield Say(self.register)
        elif self.epoch is not None and self.session is None:
            cursor = self.received if self.known else None
            yield Say(Open(self.welcomed, self.job, self.generation, self.epoch, cursor, self.consumer, self.token))

    def _ask_token(self) -> Iterator[Say]:
        if self.session is not None:
            self.asked_at = self.now
            yield Say(AskToken(self.session, self.taken))

    def _next(self, again: bool = False) -> Iterator[Say]:
        """Acknowledge and ask for more, where that is news."""
        if self.session is None:
            return
        acknowledged = self._done()
        until = self.taken + self.window
        if not again and self._recent(acknowledged, until):
            return
        self.told, self.asked_at = (acknowledged, until), self.now
        yield Say(Next(self.session, acknowledged, self.received, until, again))

    def _done(self) -> int:
        """How many elements the loop is done with: it still works on the one taken last, until it comes again."""
        return self.taken if self.over else max(0, self.taken - 1)

    def _recent(self, acknowledged: int, until: int) -> bool:
        """Whether the server knows enough: with small elements not each is worth a message, unless time goes by."""
        step = max(1, self.window // 4)
        starved = until > self.told[1] and self.received <= self.taken
        due = self.now - self.asked_at >= TOLD_S or until >= self.told[1] + step
        return not (starved or self.over or due) or (acknowledged, until) == self.told

    def _again(self) -> Iterator[Say]:
        """Where nothing came for long, what was said or answered may be lost."""
        if self.epoch is None or self.now - max(self.asked_at, self.heard_at) < self.resend_s:
            return
        if self.session is None:
            yield from self._ask()
        elif self.asking:
            yield from self._ask_token()
        elif self.end is None and self.received < self.taken + self.window:
            yield from self._next(again=True)

    def close(self) -> list[Say]:
        """The loop is done with the job."""
        return [Say(Close(self.job, self.generation, self.consumer))] if self.job is not None else []

    # What is heard.

    def _hear(self, message: Message, buffer: Any) -> Iterator[Say]:
        self.heard_at = self.now
        match message:
            case Welcome(incarnation):
                self.stopping = False
                if self.welcomed is None or incarnation > self.welcomed:
                    self.welcomed, self.job, self.session = incarnation, None, None
                    yield from self._ask()
            case Stale():
                if self.welcomed is not None:
                    self.welcomed = self.job = self.session = None
                    yield from self._ask()
            case Registered(key, job, generation) if key == self.register.key and self.job is None:
                # Or else it is late word, perhaps of a former server, to which this number meant another job.
                self.job = job
                self._outlive(generation)
                yield from self._ask()
            case Lacking(key, digests) if key == self.register.key:
                self.lacking = [digest for digest, _ in digests]
                yield from self._upload(digests[0][1])
            case Stored(digest, offset, whole) if self.lacking and digest == self.lacking[0]:
                yield from self._stored(offset, whole)
            case Printed(worker, text):
                self.printed.append((worker, text))
            case Stopping(_, reason):
                self.stopping, self.ending = True, reason
            case Bye():
                self.parted = True
            case Refused(error, about, generation) if about in ("", self.register.key):
                if generation in (-1, self.generation):  # or else it is late word of a session that is over
                    self.refused = from_data(error)
            case Opened(session, cursor, base):
                yield from self._opened(session, cursor, base)
            case Token(session, taken) if self._mine(session) and self.asking and taken == self.taken:
                self.standing, self.asking = message, False
            case Deliver(session) if self._mine(session):
                yield from self._delivered(message, buffer)
            case Ended(session) if self._mine(session):
                yield from self._ended(message)
            case Waiting(session, reason) if self._mine(session) or self._asked(session):
                self.waiting = reason
                if self.over and self.now - self.asked_at >= self.resend_s:
                    yield from self._next(again=True)  # others wait for us: what we said last was lost

    def _upload(self, offset: int) -> Iterator[Say]:
        """The next bytes of the first blob that the server lacks."""
        digest = self.lacking[0]
        content = self.blobs.get(digest)
        if content is None:
            self.refused = FailedPreconditionError(
                "the server has lost a function or array of this pipeline: iterate again"
            )
            return
        if (digest, offset) == self.uploaded and self.now - self.uploaded_at < self.resend_s:
            return  # on a slow line the answers to all that was asked meanwhile come together
        self.uploaded, self.uploaded_at, self.asked_at = (digest, offset), self.now, self.now
        yield Say(Upload(digest, offset, len(content)), [content[offset : offset + CHUNK]])

    def _stored(self, offset: int, whole: bool) -> Iterator[Say]:
        if not whole:
            yield from self._upload(offset)
            return
        self.lacking.pop(0)
        yield from self._upload(0) if self.lacking else self._ask()

    def _outlive(self, generation: int) -> None:
        """Who comes anew is the newest life of this consumer, whatever the clocks of hosts say."""
        if not self.entered and self.generation < generation:  # its own is known where only Opened was lost
            self.generation = generation + 1 + self.generation % APART

    def _asked(self, session: Session) -> bool:
        """Whether it is the session that we want to have opened."""
        return self.session is None and session == self._session_of(session[3])

    def _session_of(self, epoch: int) -> tuple[int, int | None, int | None, int, int]:
        """The session in which an epoch would be opened."""
        later = self.epoch is not None and self.epoch < 0 and epoch >= -1 - self.epoch
        wanted = epoch if later or self.epoch is None else self.epoch
        return self.generation, self.welcomed, self.job, wanted, self.consumer

    def _mine(self, session: Session) -> bool:
        """Whether this is said in the session at hand, and not in one that is over."""
        return session == self.session

    def _opened(self, session: Session, cursor: int, base: int) -> Iterator[Say]:
        if self.session is not None or session != self._session_of(session[3]):
            return
        self.epoch, self.entered = session[3], True
        if not self.known:
            self.received = self.taken = cursor
            self.known = True
        self.session, self.base, self.told = session, base, (-1, -1)
        yield from self._next(again=True)
        if self.asking:
            yield from self._ask_token()

    def _delivered(self, message: Deliver, buffer: Any) -> Iterator[Say]:
        if self._misses(message):
            yield from self._gap()
            return
        skip = self._known(message)
        if skip >= message.count:
            return  # it came before
        error = from_data(message.error) if message.error is not None else None
        self.inbox.append(Parcel(message.first, message.count, message.layout, buffer, error, skip, message.mask))
        self.received = message.first + message.count
        self.checksum = message.checksum
        self.waiting = ""

    def _gap(self) -> Iterator[Say]:
        """Something before what came is lost, or late. Asked for once: each answer may show the same gap."""
        if self.now - self.gap_at >= self.resend_s:
            self.gap_at = self.now
            yield from self._next(again=True)

    def _misses(self, message: Deliver) -> bool:
        """Whether something before it has not come."""
        return message.first > self.received

    def _known(self, message: Deliver) -> int:
        """How many of its elements came before."""
        return self.received - message.first

    def _ended(self, message: Ended) -> Iterator[Say]:
        if message.total > self.received:
            yield from self._gap()
        elif message.total < self.received or self.checksum not in (None, message.checksum):
            self.refused = DataLossError(
                f"epoch {self.epoch} of job {self.job}",
                f"the server counts {message.total} elements, checksum {message.checksum:x}; "
                f"{self.received}, checksum {self.checksum or 0:x}, came here",
            )
        else:
            self.end = message
