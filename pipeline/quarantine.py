"""Quarantine: a file of JSON lines that tells which elements were skipped, and why."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ServiceError, from_data
from .verdicts import SKIPPED, Verdict

__all__ = ["Quarantine", "line_of"]


def line_of(verdict: Verdict, run: str, epoch: int) -> str:
    """What is told of an element that was skipped, in one line of JSON.

    Its keys, which docs/errors.md explains: run, epoch, number, file, record, rest, operator, kind, error, where.

    >>> from .errors import DataLossError, to_data
    >>> from .spot import Spot
    >>> spot = Spot((1,), 5, 40, span=0, path="a.tfrecord")
    >>> line = line_of(Verdict(1, 1, SKIPPED, spot, "", to_data(DataLossError("a.tfrecord", "cut", 40))), "r", 0)
    >>> [json.loads(line)[key] for key in ("file", "record", "rest", "kind", "error")]
    ['a.tfrecord', 40, True, 'DataLossError', 'a.tfrecord, byte 40: cut']
    """
    spot, error = verdict.spot, from_data(verdict.error)
    told = {
        "run": run,
        "epoch": epoch,
        "number": verdict.number,
        "file": (spot.path if spot else "") or getattr(error, "path", None),
        "record": spot.offset if spot else None,
        "rest": bool(spot and not spot.span),
        "operator": verdict.operator or ("read" if spot else None),
        "kind": type(error).__name__,
        "error": error.describe(),
        "where": error.where,
    }
    return json.dumps(told, ensure_ascii=True)


@dataclass(slots=True)
class Quarantine:
    """The file. What is told again, as by a process that goes on where another was killed, stands there once."""

    path: str
    _told: dict[tuple[str, int], set[int]] = field(default_factory=dict)  #: Numbers by run and epoch.

    def add(self, verdict: Verdict, run: str, epoch: int) -> None:
        """Append a line, unless it is there. Only what was skipped is told.

        Raises:
            ServiceError: the file cannot be read or written.
        """
        if verdict.outcome != SKIPPED:
            return
        try:
            if (run, epoch) not in self._told:
                self._told[run, epoch] = self._read(run, epoch)
            if verdict.number not in self._told[run, epoch]:
                self._append(line_of(verdict, run, epoch))
                self._told[run, epoch].add(verdict.number)
        except OSError as error:
            raise ServiceError(
                f"{self.path}: what is skipped cannot be written there: {error.strerror}; see to the folder and its "
                'modes, or name another file in Options(on_error=...), or "skip" for none'
            ) from error

    def _read(self, run: str, epoch: int) -> set[int]:
        found: set[int] = set()
        if not Path(self.path).exists():
            return found
        with Path(self.path).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                told = _parsed(line)
                if told.get("run") == run and told.get("epoch") == epoch and isinstance(told.get("number"), int):
                    found.add(told["number"])
        return found

    def _append(self, line: str) -> None:
        """In one write, so that lines of several processes do not mix; behind a torn one on a line of its own."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self.path, flags, 0o600)
        try:
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            os.write(file, b"\n" * torn + line.encode() + b"\n")
        finally:
            os.close(file)


def _parsed(line: str) -> dict[str, Any]:
    """What a line says; nothing where it is torn, or somebody else's."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
