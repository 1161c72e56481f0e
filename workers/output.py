"""A worker's output: what it prints, line by line, as its launcher reads it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["Output", "print_named", "show"]

#: Read at once from one stream; who prints more waits, as it would for a slow terminal.
CHUNK = 64 << 10
#: A line without an end is handed on when it is so long.
LONGEST = 16 << 10


@dataclass(slots=True)
class Output:
    """The reading ends of a process's output and errors."""

    streams: dict[int, int]  #: Descriptor to 1 or 2.
    rests: dict[int, bytes] = field(default_factory=dict)  #: Of a line that is not whole yet.

    @classmethod
    def open(cls) -> tuple[Output, tuple[int, int]]:
        """Two pipes; their writing ends, for the process, are to be closed here once it is started."""
        out, out_end = os.pipe()
        try:
            errors, errors_end = os.pipe()
        except OSError:
            os.close(out)
            os.close(out_end)
            raise
        os.set_blocking(out, False)
        os.set_blocking(errors, False)
        return cls({out: 1, errors: 2}), (out_end, errors_end)

    @property
    def descriptors(self) -> list[int]:
        """Those that may still give something."""
        return list(self.streams)

    def read(self) -> Iterator[tuple[str, int]]:
        """Whole lines that have come, without their last line end, and on which stream."""
        for descriptor, stream in list(self.streams.items()):
            if text := self._read(descriptor):
                yield text, stream

    def _read(self, descriptor: int) -> str:
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return ""
        if not data:
            return self._end(descriptor)
        lines, end, rest = (self.rests.pop(descriptor, b"") + data).rpartition(b"\n")
        if len(rest) > LONGEST:
            lines, rest = lines + end + rest, b""
        self.rests[descriptor] = rest
        return lines.decode("utf-8", "replace")

    def _end(self, descriptor: int) -> str:
        """The process closed this stream, or has ended."""
        del self.streams[descriptor]
        os.close(descriptor)
        return self.rests.pop(descriptor, b"").decode("utf-8", "replace")

    def close(self) -> Iterator[tuple[str, int]]:
        """What is left, also without a line end; the pipes are closed. A process of the worker's own may hold them."""
        for descriptor, stream in list(self.streams.items()):
            text = self._read(descriptor)
            if descriptor in self.streams:
                text += ("\n" if text and self.rests.get(descriptor) else "") + self._end(descriptor)
            if text:
                yield text, stream


def print_named(worker: str, text: str, stream: int = 2) -> None:
    """Show lines that a worker printed, each with its name, on our own output or errors."""
    show("\n".join(f"[{worker}] {line}" for line in text.splitlines()), stream)


def show(text: str, stream: int = 2) -> None:
    """Write to our own output or errors. A terminal that is gone, a full disk or a poor alphabet ends no server."""
    file = sys.stdout if stream == 1 else sys.stderr
    encoding = file.encoding or "utf-8"
    with suppress(OSError):
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=True)
