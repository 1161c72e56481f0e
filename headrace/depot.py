"""The depot: the server's end of moving functions and arrays of graphs to and from hosts that share no folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from .pipeline.blobs import CHUNK, Blobs, Incoming
from .pipeline.errors import HeadraceError, MalformedMessage, ResourceExhaustedError, ServiceError, to_data
from .pipeline.graph import blobs_in
from .pipeline.limits import limits
from .pipeline.messages import Fetch, Lacking, Message, Part, Refused, Register, Stored, Upload

__all__ = ["Depot"]

#: Blobs that may be on their way at a time.
MOST = 1024
#: One of which nothing came for so many seconds is forgotten: its sender is gone, or begins anew.
IDLE_S = 600.0


@dataclass(slots=True)
class Depot:
    """Blobs by name in one folder."""

    blobs: Blobs
    incoming: dict[tuple[str, str], Incoming] = field(default_factory=dict)  #: By peer and digest, the idlest first.
    heard: dict[tuple[str, str], float] = field(default_factory=dict)  #: When the last part of each came.
    totals: dict[tuple[str, str], int] = field(default_factory=dict)  #: Bytes of each, as its sender said.
    clock: Callable[[], float] = monotonic

    def answer(self, peer: str, message: Message, buffers: Sequence[Any]) -> tuple[Message, list[Any]] | None:
        """The answer to what concerns blobs alone; None where it is for others to answer."""
        try:
            match message:
                case Register(key, graph):
                    named = blobs_in(graph)
                    lacking = [[each, self._size(peer, each)] for each in named if not self.blobs.has(each)]
                    if not lacking:
                        self._weigh(named)
                    return (Lacking(key, lacking), []) if lacking else None
                case Upload():
                    return self._store(peer, message, buffers), []
                case Fetch(digest, offset):
                    return self._part(digest, offset)
        except HeadraceError as error:
            return Refused(to_data(error), message.key if isinstance(message, Register) else ""), []
        except OSError as error:
            if isinstance(message, Upload):
                self._drop(peer, message.digest)  # a part may have been written by half; and it makes room
            return Refused(to_data(ServiceError(f"the server cannot keep a function or array: {error}"))), []
        return None

    def _weigh(self, named: Iterable[str]) -> None:
        """Refuse a graph that carries too much in all."""
        size, most = sum((self.blobs.folder / each).stat().st_size for each in named), limits().graph_bytes
        if size > most:
            raise ResourceExhaustedError(
                f"this pipeline carries {size:,} bytes of functions and arrays, and {most:,} are the most "
                "(limits.graph): write arrays to files (TFRecord, text) and read those"
            )

    def _size(self, peer: str, digest: str) -> int:
        incoming = self.incoming.get((peer, digest))
        return incoming.size if incoming is not None else 0

    def _store(self, peer: str, message: Upload, buffers: Sequence[Any]) -> Stored:
        digest, total = message.digest, message.total
        if not Blobs.is_name(digest) or len(buffers) != 1 or not 0 <= message.offset <= total:
            raise MalformedMessage(f"no part of a blob: {digest!r} from {message.offset} of {total}")
        if self.blobs.has(digest):
            self._drop(peer, digest)  # another has sent it meanwhile
            return Stored(digest, total, True)
        incoming = self.incoming.pop((peer, digest), None) or Incoming(self.blobs, digest)
        self._make_room()
        self._budget(peer, digest, total)
        self.incoming[peer, digest], self.heard[peer, digest] = incoming, self.clock()
        whole = incoming.add(message.offset, buffers[0], total)
        if whole:
            self._drop(peer, digest)
        return Stored(digest, total if whole else incoming.size, whole)

    def _budget(self, peer: str, digest: str, total: int) -> None:
        """Count a blob by the size that its sender says it has, before it is here."""
        self.blobs.check(total)
        self.totals.pop((peer, digest), None)
        others = sum(self.totals.values())
        if others + total > limits().upload_bytes:
            self._drop(peer, digest)
            raise ResourceExhaustedError(
                f"{total:,} bytes on top of {others:,} that are on their way from trainers are more than "
                f"{limits().upload_bytes:,} (limits.uploads): try again when those are here"
            )
        self.totals[peer, digest] = total

    def _make_room(self) -> None:
        """Forget what nothing came of for long, and the idlest of what is too many."""
        for peer, digest in list(self.incoming):
            if len(self.incoming) < MOST and self.clock() - self.heard[peer, digest] < IDLE_S:
                return
            self._drop(peer, digest)

    def _drop(self, peer: str, digest: str) -> None:
        """Forget one that is on its way; what is whole has its name by now, and stays."""
        self.heard.pop((peer, digest), None)
        self.totals.pop((peer, digest), None)
        if (incoming := self.incoming.pop((peer, digest), None)) is not None:
            incoming.drop()

    def _part(self, digest: str, offset: int) -> tuple[Part, list[Any]]:
        if not Blobs.is_name(digest) or not self.blobs.has(digest):
            return Part(digest, 0, -1), []
        content = self.blobs.get(digest)
        if not 0 <= offset <= len(content):
            raise MalformedMessage(f"blob {digest} has no byte {offset}")
        return Part(digest, offset, len(content)), [content[offset : offset + CHUNK]]

    def keep(self, graphs: Iterable[bytes]) -> None:
        """Delete what no graph of these names; what is on its way stays. A client sends again what it finds lacking."""
        try:
            wanted = {digest for graph in graphs for digest in blobs_in(graph)}
        except HeadraceError:
            return  # of another version, which may still come back to its job: what it names cannot be known
        for path in list(self.blobs.folder.iterdir()):
            if Blobs.is_name(path.name) and path.name not in wanted:
                path.unlink(missing_ok=True)

    def sweep(self, graphs: Iterable[bytes]) -> None:
        """At the server's start: delete what its last life left of blobs that were on their way, too."""
        for path in list(self.blobs.folder.glob(".*.part")):
            path.unlink(missing_ok=True)
        self.keep(graphs)
