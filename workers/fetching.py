"""Fetching: functions and arrays of a program that are not on this host are got from the server first."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..pipeline.blobs import Blobs, Incoming
from ..pipeline.errors import HeadraceError
from ..pipeline.graph import blobs_in
from ..pipeline.messages import Fetch, Message, Part, Program, Welcome

__all__ = ["Fetching"]

#: A request that is not answered for so long is made again; on a line that turns out to be slow, later.
RESEND_S = 1.0


@dataclass(slots=True)
class Fetching:
    """Holds programs back until all their blobs are in the folder."""

    blobs: Blobs
    programs: dict[int, Program] = field(default_factory=dict)  #: Held back, by job.
    incoming: dict[str, Incoming] = field(default_factory=dict)  #: By digest, the first one on its way.
    asked_at: float = -1e9
    patience_s: float = RESEND_S
    began_at: float | None = None  #: When the part that is on its way was asked for first.
    now: float = 0.0

    def hear(self, message: Message, buffers: Sequence[Any]) -> Iterator[Message]:
        """What the session is to hear: everything but parts of blobs, and programs once they are whole."""
        match message:
            case Program(job, graph):
                named = blobs_in(graph)
                lacking = [each for each in named if not self.blobs.has(each)]
                if not lacking:
                    self.blobs.use(named)
                    self.programs.pop(job, None)
                    yield message
                    return
                self.programs[job] = message
                for digest in lacking:
                    self.incoming.setdefault(digest, Incoming(self.blobs, digest))
            case Part(digest, offset, total):
                yield from self._part(digest, offset, total, buffers)
            case Welcome():  # what was asked before a server was away, it does not know of
                self.asked_at, self.began_at, self.patience_s = -1e9, None, RESEND_S
                yield message
            case _:
                yield message

    def _part(self, digest: str, offset: int, total: int, buffers: Sequence[Any]) -> Iterator[Message]:
        incoming = self.incoming.get(digest)
        if total < 0:
            self.began_at = None
            self._give_up(digest)
        if incoming is None or len(buffers) != 1 or offset != incoming.size:
            return  # it came before
        if self.began_at is not None:  # answers to what is asked too early would take the line from the next part
            self.patience_s = max(RESEND_S, 2 * (self.now - self.began_at))
        self.asked_at, self.began_at = -1e9, None
        try:
            if not incoming.add(offset, buffers[0], total):
                return
        except (HeadraceError, OSError) as error:
            # Asked for again; if that is no use, the lease runs out, and the server says so.
            print(f"a function or array could not be fetched: {error}", file=sys.stderr)
            incoming.drop()
            self.asked_at = self.now
            return
        del self.incoming[digest]
        for job, program in list(self.programs.items()):
            if all(map(self.blobs.has, blobs_in(program.graph))):
                del self.programs[job]
                yield program

    def _give_up(self, digest: str) -> None:
        """The server has no such blob: its job is over."""
        if (incoming := self.incoming.pop(digest, None)) is not None:
            incoming.drop()
        self.programs = {job: each for job, each in self.programs.items() if digest not in blobs_in(each.graph)}

    def again(self, now: float) -> Iterator[Fetch]:
        """What to ask for: the next bytes of the first blob, unless they are on their way."""
        self.now = now
        for digest, incoming in self.incoming.items():
            if now - self.asked_at >= self.patience_s:
                if self.began_at is None:
                    self.began_at = now
                else:
                    self.patience_s *= 2
                self.asked_at = now
                yield Fetch(digest, incoming.size)
            return
