"""Caching: where a cache keeps its elements, and reads them once all are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .cache_files import Add, CacheFiles, Done, Found, Look, Marker, Request, Undo
from .counts import Counts
from .element_records import encoded_rows
from .errors import HeadraceError, MalformedMessage, from_data, to_data
from .memory import Content, Draft, Key, Memory
from .operators.protocol import Failed, Find, Keep, Operator, Pulled, Signal, State
from .store import Handles, Store

__all__ = ["Desk", "InFiles", "InMemory", "Keeping", "LocalDesk", "Nothing", "Ticket"]

#: More failures than this are not told in a marker.
FAILURES = 10_000


@dataclass(slots=True)
class Keeping:
    """One that keeps nothing: elements are always computed."""

    def begin(self, counts: Counts) -> Operator | Signal | HeadraceError | None:
        """What reads the elements; None where they are to be computed; PENDING as long as that is not known."""
        return None

    def collect(self, store: Store, got: Handles | Failed, counts: Counts) -> None:
        """What was computed next."""

    def finish(self, store: Store, counts: Counts) -> None:
        """That was all; a second call does nothing."""

    def undo(self) -> None:
        """Not all will come."""


@dataclass(slots=True)
class InMemory(Keeping):
    """In memory, as long as there is room."""

    memory: Memory
    key: Key
    store: Store
    budget: int  #: Bytes.
    warn: Callable[[str], None]
    draft: Draft | None = None

    def begin(self, counts: Counts) -> Operator | None:
        content = self.memory.contents.get(self.key)
        if content is not None:
            return MemoryReader(content, self.store, counts)
        if self.key not in self.memory.too_large:
            self.draft = Draft(self.budget)
        return None

    def collect(self, store: Store, got: Handles | Failed, counts: Counts) -> None:
        if self.draft is None:
            return
        self.draft.add(store, got, (counts.all_filtered, counts.all_ignored))
        if self.draft.full:
            self.draft = None
            self.memory.too_large.add(self.key)
            self.warn(
                f"cache() would hold more than {self.budget:,} bytes: its elements are computed again in every pass. "
                "Cache before elements grow (before decoding), raise Options(buffer_bytes=...), or name a file: "
                "cache(filename)"
            )

    def finish(self, store: Store, counts: Counts) -> None:
        if self.draft is not None:
            content = self.draft.finish(store, (counts.all_filtered, counts.all_ignored))
            self.memory.contents.setdefault(self.key, content)
        self.draft = None

    def undo(self) -> None:
        self.draft = None


@dataclass(slots=True)
class MemoryReader(Operator):
    """What is in memory."""

    content: Content
    store: Store
    counts: Counts
    at: int = 0

    def __post_init__(self) -> None:
        self.store.works |= self.content.works
        self.store.paths |= self.content.paths

    def pull(self, limit: int) -> Pulled:
        portion = self.content.at(self.at)
        self.counts.filtered, self.counts.ignored = self.content.counts if portion is None else portion.counts
        if portion is None:
            return Signal.END
        got = portion.give(self.store, self.at - portion.first, limit)
        self.at += 1 if isinstance(got, Failed) else len(got)
        return got

    def close(self) -> None:
        pass

    def snapshot(self, keep: Keep) -> State:
        return {"at": self.at}

    def restore(self, state: State, find: Find) -> None:
        self.at = state["at"]


@dataclass(slots=True, eq=False)
class Ticket:
    """A look at the files of a cache, and what became of it."""

    number: int
    warn: Callable[[str], None]  #: Told why something cannot be written.
    found: Found | Signal = Signal.PENDING
    failed: bool = False  #: Whether nothing more can be written.


@dataclass(slots=True)
class Desk:
    """Through which operators ask for the files of caches; who has the files answers in the tickets."""

    send: Callable[[Request], None]
    numbers: count[int] = field(default_factory=count)
    tickets: dict[int, Ticket] = field(default_factory=dict)

    def look(self, filename: str, warn: Callable[[str], None]) -> Ticket:
        """Is a cache there? If not, the one who asks has to write it."""
        ticket = Ticket(next(self.numbers), warn)
        self.tickets[ticket.number] = ticket
        self.send(Look(ticket.number, filename))
        return ticket

    def answer(self, number: int, found: Found | str) -> None:
        """What a look has found, or why what was to be written then cannot be."""
        if (ticket := self.tickets.get(number)) is not None:
            if isinstance(found, str):
                ticket.failed = True
                ticket.warn(found)
            else:
                ticket.found = found


class LocalDesk(Desk):
    """Files are read and written here and now."""

    def __init__(self) -> None:
        super().__init__(self._do)
        self.files = CacheFiles()

    def _do(self, request: Request) -> None:
        found = self.files.look(request) if isinstance(request, Look) else self.files.do(request)
        if isinstance(request, Look) or isinstance(found, str):
            self.answer(request.number, found)


@dataclass(slots=True)
class InFiles(Keeping):
    """In files."""

    desk: Desk
    filename: str
    reader: Callable[[], Operator]  #: Of what is in the file of records.
    warn: Callable[[str], None]
    ticket: Ticket | None = None
    writes: bool = False
    count: int = 0  #: What came, failed ones too.
    failures: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def begin(self, counts: Counts) -> Operator | Signal | HeadraceError | None:
        if self.ticket is None:
            self.ticket = self.desk.look(self.filename, self.warn)
        found = self.ticket.found
        if found is not Signal.PENDING and found is not None:
            del self.desk.tickets[self.ticket.number]
        if isinstance(found, Marker):
            counts.filtered, counts.ignored = found.filtered, found.ignored
            return FileReader(self.reader(), dict(found.failures), found.count)
        self.writes = found is None
        return found

    def collect(self, store: Store, got: Handles | Failed, counts: Counts) -> None:
        if not self.writes or self.ticket is None or self.ticket.failed:
            return
        if isinstance(got, Failed):
            self.failures.append((self.count, to_data(got.error)))
            self.count += 1
        else:
            self.count += len(got)
            self.desk.send(Add(self.ticket.number, tuple(_records(store, got))))
        if len(self.failures) > FAILURES:
            self.undo()
            self.warn(f"cache({self.filename!r}): more than {FAILURES:,} elements fail; it is not written")

    def finish(self, store: Store, counts: Counts) -> None:
        if self.writes and self.ticket is not None:
            left_out = counts.all_filtered, counts.all_ignored
            marker = Marker(self.count, 0, tuple(self.failures), *left_out)
            self.desk.send(Done(self.ticket.number, marker))
            self.writes = False

    def undo(self) -> None:
        if self.ticket is not None and self.desk.tickets.pop(self.ticket.number, None) is not None:
            self.desk.send(Undo(self.ticket.number))
        self.writes = False


def _records(store: Store, handles: Handles) -> list[bytes]:
    """Elements as records."""
    found: list[bytes] = []
    while len(handles):
        some = handles[: store.alike(handles)]
        found += encoded_rows(store.whole(some) or store.gather(some))
        handles = handles[len(some) :]
    return found


@dataclass(slots=True)
class FileReader(Operator):
    """The elements of a file of records, and between them what had failed."""

    stream: Operator
    failures: dict[int, dict[str, Any]]  #: By number.
    count: int  #: Of all.
    taken: int = 0

    def pull(self, limit: int) -> Pulled:
        if self.taken in self.failures:
            error = from_data(self.failures[self.taken])
            self.taken += 1
            return Failed(error)
        got = self.stream.pull(min(limit, self._before_failure()))
        if not isinstance(got, Signal):
            self.taken += 1 if isinstance(got, Failed) else len(got)
        return got

    def _before_failure(self) -> int:
        """How many come before the next failure."""
        ahead = (number - self.taken for number in self.failures if number > self.taken)
        return max(1, min(ahead, default=1 << 30))

    def close(self) -> None:
        self.stream.close()

    def snapshot(self, keep: Keep) -> State:
        return {"stream": self.stream.snapshot(keep), "taken": self.taken}

    def restore(self, state: State, find: Find) -> None:
        self.taken = state["taken"]
        if self.taken > self.count:
            raise MalformedMessage(f"a cache of {self.count} elements that stands behind {self.taken}")
        self.stream.restore(state["stream"], find)


@dataclass(slots=True)
class Nothing(Operator):
    """No more names of files."""

    def pull(self, limit: int) -> Pulled:
        return Signal.END

    def close(self) -> None:
        pass

    def snapshot(self, keep: Keep) -> State:
        return {}

    def restore(self, state: State, find: Find) -> None:
        pass
