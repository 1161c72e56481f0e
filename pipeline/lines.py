"""Text files read line by line, many lines at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .compression import ByteSource, open_source
from .errors import DataLossError
from .limits import limits
from .records import RecordChunk

__all__ = ["read_lines"]

_NEWLINE, _RETURN = 10, 13
Bytes = npt.NDArray[np.uint8]


def read_lines(
    path: str, compression: str = "", start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20
) -> Iterator[RecordChunk]:
    """The lines that begin in [start, stop), offsets counted in the uncompressed content.

    Line ends are left out, and every carriage return, as in tf.data. Blank lines count, and so does a last
    line without an end. A line that begins before `start` is left to whoever reads the bytes before.

    Raises:
        NotFoundError: the file cannot be opened.
        DataLossError: compressed content that is cut or damaged, after the lines before it; or a line larger than an
            element may be.
    """
    with open_source(path, compression) as source:
        reader = _Reader(path, source, chunk_bytes, start)
        if start > 0:
            # From one byte before: where that is a line's end, the line at `start` is ours.
            source.skip(start - 1)
            reader.position = start - 1
            reader.drop_line()
        while stop is None or reader.position < stop:
            chunk = reader.next(stop)
            if chunk is None:
                break
            yield chunk
        if reader.ended and source.failure is not None:
            raise DataLossError(path, source.failure, reader.position)


@dataclass(slots=True)
class _Reader:
    path: str
    source: ByteSource
    chunk_bytes: int
    position: int  #: Of the first byte of `text` in the content.
    text: Bytes = None  # type: ignore[assignment]
    ended: bool = False

    def __post_init__(self) -> None:
        self.text = np.empty(0, np.uint8)

    def _more(self) -> bool:
        """Append what the file gives next; False at its end."""
        # A line that is longer than all that was read asks for as much again, so that it is not searched many times.
        fresh, count = np.empty(max(self.chunk_bytes, len(self.text)), np.uint8), 0
        while count < len(fresh) and (more := self.source.readinto(fresh.data[count:])):
            count += more
        self.ended = count == 0
        self.text = np.concatenate([self.text, fresh[:count]])
        return not self.ended

    def drop_line(self) -> None:
        """Go on behind the next line's end."""
        while True:
            ends = np.flatnonzero(self.text == _NEWLINE)
            cut = int(ends[0]) + 1 if len(ends) else len(self.text)
            self.position += cut
            self.text = self.text[cut:]
            if len(ends) or not self._more():
                return

    def next(self, stop: int | None) -> RecordChunk | None:
        """The lines that are complete in the next piece of the file; None at its end."""
        while True:
            ends = np.flatnonzero(self.text == _NEWLINE)
            if len(ends):
                return self._lines(ends + 1, stop)
            if len(self.text) > limits().element_bytes:
                raise DataLossError(
                    self.path,
                    f"a line of more than {len(self.text):,} bytes: no element may be so large (limits.element)",
                    self.position,
                )
            if not self._more():
                break
        if not len(self.text) or self.source.failure is not None:
            return None
        return self._lines(np.array([len(self.text)]), stop)

    def _lines(self, ends: npt.NDArray[np.int64], stop: int | None) -> RecordChunk:
        starts = np.concatenate([[0], ends[:-1]])
        if stop is not None:
            count = max(1, int(np.searchsorted(starts + self.position, stop)))
            starts, ends = starts[:count], ends[:count]
        end = int(ends[-1])
        data, splits = _without_ends(self.text[:end], ends)
        chunk = RecordChunk(data, splits, starts + self.position, self.position + end)
        self.position += end
        self.text = self.text[end:]
        return chunk


def _without_ends(text: Bytes, ends: npt.NDArray[np.int64]) -> tuple[Bytes, npt.NDArray[np.int64]]:
    kept = (text != _NEWLINE) & (text != _RETURN)
    splits = np.zeros(len(ends) + 1, np.int64)
    # Line by line: a count at every byte would take eight times the text.
    np.cumsum(np.add.reduceat(kept, np.concatenate([[0], ends[:-1]]), dtype=np.int64), out=splits[1:])
    return text[kept], splits
