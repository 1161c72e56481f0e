"""The scanner: looks into files beside the server's loop. A file on a disk that hangs holds nobody up for long."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from queue import SimpleQueue
from time import monotonic
from typing import Protocol, TypeAlias

from .pipeline.orders import Scan, Scanned
from .pipeline.roots import Roots

__all__ = ["PATIENCE_S", "Scanner"]

#: What takes longer is not waited for: such a file is not cut.
PATIENCE_S = 30.0

_Ask: TypeAlias = "tuple[int, Scan, Roots]"


class Look(Protocol):
    """Looks into one file."""

    def __call__(self, scan: Scan, *, roots: Roots) -> Scanned:
        """Where it can be cut, if it is in the roots."""


class _Line(threading.Thread):
    """Does one scan after another. A daemon thread: one that hangs keeps no process from ending."""

    def __init__(self, look: Look, done: deque[tuple[int, Scanned]]) -> None:
        super().__init__(name="scan", daemon=True)
        self.asks: SimpleQueue[_Ask | None] = SimpleQueue()
        self.now: tuple[int, float] | None = None  #: Which it is at, and since when.
        self._look, self._done = look, done

    def run(self) -> None:
        while (ask := self.asks.get()) is not None:
            number, scan, roots = ask
            self.now = number, monotonic()
            self._done.append((number, self._look(scan, roots=roots)))
            self.now = None


@dataclass(slots=True)
class Scanner:
    """Scans in the order in which they are asked for.

    >>> scanner = Scanner(lambda scan, *, roots: Scanned(scan.job, scan.path, (0, None)))
    >>> scanner.ask(Scan(1, "a", "lines"), Roots())
    >>> while not (found := list(scanner.done())):
    ...     pass
    >>> found, scanner.close()
    ([Scanned(job=1, path='a', bounds=(0, None), kind='')], None)
    """

    look: Look
    patience_s: float = PATIENCE_S
    _numbers: count[int] = field(default_factory=count)
    _pending: dict[int, tuple[Scan, Roots]] = field(default_factory=dict)
    _found: deque[tuple[int, Scanned]] = field(default_factory=deque)
    _line: _Line | None = None

    def ask(self, scan: Scan, roots: Roots) -> None:
        """One more."""
        number = next(self._numbers)
        self._pending[number] = scan, roots
        self._running().asks.put((number, scan, roots))

    def _running(self) -> _Line:
        if self._line is None:
            self._line = _Line(self.look, self._found)
            self._line.start()
        return self._line

    def done(self) -> Iterator[Scanned]:
        """What has been found, and what is given up, since the last time."""
        while self._found:
            number, found = self._found.popleft()
            if self._pending.pop(number, None) is not None:
                yield found
        now = self._line.now if self._line is not None else None
        if now is not None and now[0] in self._pending and monotonic() - now[1] > self.patience_s:
            yield self._give_up(now[0])

    def _give_up(self, number: int) -> Scanned:
        """The file is as one that cannot be cut; another thread goes on with the others."""
        scan, _ = self._pending.pop(number)
        told = f"headrace: {scan.path} could not be looked into for {self.patience_s:g} s: does its disk hang?"
        print(told, file=sys.stderr, flush=True)
        self._line = None
        for other, (each, roots) in self._pending.items():
            self._running().asks.put((other, each, roots))
        return Scanned(scan.job, scan.path, (0, None) if _kind(scan) == "" else (), _kind(scan))

    def close(self) -> None:
        """No more; what hangs is left to end with the process."""
        if self._line is not None:
            self._line.asks.put(None)
        self._pending.clear()


def _kind(scan: Scan) -> str:
    """What the answer to a scan is called."""
    return scan.kind if scan.kind in ("ends", "shelf") else ""
