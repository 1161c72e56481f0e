"""CSV files: records of fields between delimiters, many at once, as columns of their dtypes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Column
from .compression import ByteSource, open_source
from .errors import DataLossError, HeadraceError, InvalidArgumentError
from .kernels import csv
from .limits import limits
from .nodes import Csv
from .spec import DType, dtype_name

__all__ = ["CsvChunk", "read_csv", "slots_of"]

#: The most records in a chunk; it bounds the scratch arrays.
CHUNK_RECORDS = 1 << 16

_POWERS = np.array([float(10**power) for power in range(23)])
#: A double of these last bits lies in the middle between two floats of half its size.
_LAST_BITS, _MIDDLE = (1 << 29) - 1, 1 << 28
_SMALLEST_FLOAT = float(np.finfo(np.float32).tiny)
_Bytes = npt.NDArray[np.uint8]
_Numbers = npt.NDArray[np.int64]

_WRONG = {
    csv.TOO_FEW: "the record has too few fields: {count} are wanted",
    csv.TOO_MANY: "the record has more fields than the {count} that are wanted: say which with select_cols",
    csv.INSIDE: "a quote inside a field that does not begin with one: put quotes around it and write it twice",
    csv.BEHIND_QUOTE: "text behind the quote that closes a field: a quote inside is written twice",
    csv.UNCLOSED: "a field in quotes that is not closed before the file ends",
}


@dataclass(frozen=True, slots=True)
class CsvChunk:
    """Some consecutive records, or what is wrong with one."""

    columns: list[Column]
    offsets: _Numbers  #: Where each begins in the uncompressed content.
    next_offset: int
    error: HeadraceError | None = None


def slots_of(leaf: Csv) -> _Numbers:
    """Of each of a record's columns the component that it becomes; -1 for none, -2 where there must be none.

    >>> from headrace.pipeline.nodes import Range
    >>> names = Range(0, 1, 1, np.dtype(np.int64))
    >>> slots_of(Csv(names, (bytes, bytes), (None, None), columns=(0, 2), excluded=True)).tolist()
    [-1, 0, -1, 1]
    """
    count, columns = len(leaf.dtypes), leaf.columns
    if columns is None:
        return np.arange(count)
    if not leaf.excluded:
        slots = np.full(columns[-1] + 1, -1, np.int64)
        slots[list(columns)] = np.arange(count)
        return slots
    slots = np.full(max(columns[-1] + 1, count + len(columns)), -2, np.int64)
    kept = np.setdiff1d(np.arange(len(slots)), columns)
    slots[list(columns)] = -1
    slots[kept[:count]] = np.arange(count)
    return slots


def read_csv(
    path: str, leaf: Csv, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20
) -> Iterator[CsvChunk]:
    """The records that begin in [start, stop), offsets counted in the uncompressed content.

    With quotes `start` must be where a record begins, because nothing tells that a line end lies between quotes;
    without them, a record that begins before `start` is left to whoever reads the bytes before. A record that is
    wrong is an error in its place, and the next line goes on.

    Raises:
        NotFoundError: the file cannot be opened.
        DataLossError: compressed content that is cut or damaged, after the records before it; or a record larger than
            an element may be.
    """
    with open_source(path, leaf.compression) as source:
        reader = _Reader(path, leaf, source, chunk_bytes, start)
        reader.begin(start)
        while stop is None or reader.position < stop:
            read = reader.next(stop)
            if read is None:
                break
            yield from read
        if reader.ended and source.failure is not None:
            raise DataLossError(path, source.failure, reader.position)


@dataclass(slots=True)
class _Reader:
    path: str
    leaf: Csv
    source: ByteSource
    chunk_bytes: int
    position: int  #: Of the first byte of `text` in the content.
    text: _Bytes = field(default_factory=lambda: np.empty(0, np.uint8))
    ended: bool = False
    slots: _Numbers = field(init=False)

    def __post_init__(self) -> None:
        self.slots = slots_of(self.leaf)

    def begin(self, start: int) -> None:
        """Go to the first record that begins at `start` or behind it."""
        if self.leaf.quotes or not start:
            self.source.skip(start)
            if not start and self.leaf.header:
                self.split(None, 1)
            return
        # From one byte before: where that is a line's end, the record at `start` is ours.
        self.source.skip(start - 1)
        self.position = start - 1
        self.split(None, 1)

    def _more(self) -> None:
        """Append what the file gives next."""
        # A record that is longer than all that was read asks for as much again: it is not split many times.
        fresh, count = np.empty(max(self.chunk_bytes, len(self.text)), np.uint8), 0
        while count < len(fresh) and (more := self.source.readinto(fresh.data[count:])):
            count += more
        self.ended = count < len(fresh)
        self.text = np.concatenate([self.text, fresh[:count]])

    def split(self, stop: int | None, most: int) -> _Split | None:
        """Take the records that are complete in the next piece of the file; None at its end."""
        while True:
            if len(self.text) or self.ended:
                found = self._found(stop, most)
                if found is not None or self.ended:
                    return found
            if len(self.text) > limits().element_bytes:
                told = f"a record of more than {len(self.text):,} bytes: no element may be so large (limits.element)"
                raise DataLossError(self.path, told, self.position)
            self._more()

    def _found(self, stop: int | None, most: int) -> _Split | None:
        count = len(self.leaf.dtypes)
        rows = max(1, min(most, CHUNK_RECORDS, len(self.text) // max(1, count) + 16))
        found = _Split(self.text, count, rows, self.position)
        final = self.ended and self.source.failure is None
        lenient = self.leaf.columns is not None and not self.leaf.excluded
        found.rows, end = csv.split_records(
            self.text,
            0,
            len(self.text),
            final,
            ord(self.leaf.delimiter),
            self.leaf.quotes,
            self.slots,
            lenient,
            found.starts,
            found.begins,
            found.ends,
            found.marks,
            found.faults,
        )
        if stop is not None and found.rows:
            within = max(1, int(np.searchsorted(found.starts[: found.rows], stop - self.position)))
            end = end if within == found.rows else int(found.starts[within])
            found.rows = within
        if not found.rows:
            return None
        self.position += end
        self.text = self.text[end:]
        return found

    def next(self, stop: int | None) -> Iterator[CsvChunk] | None:
        """The records of the next piece of the file; None at its end."""
        found = self.split(stop, CHUNK_RECORDS)
        return None if found is None else self._read(found, self.position)

    def _read(self, found: _Split, behind: int) -> Iterator[CsvChunk]:
        leaf, rows = self.leaf, found.rows
        offsets = found.starts[:rows] + found.position
        columns: list[Column] = []
        states = np.zeros((len(leaf.dtypes), rows), np.uint8)
        empty = np.frombuffer(leaf.missing, np.uint8)
        for slot, (dtype, default) in enumerate(zip(leaf.dtypes, leaf.defaults, strict=True)):
            columns.append(found.column(slot, dtype, default, empty, states[slot]))
        wrong = np.flatnonzero((found.faults[:rows] != csv.FINE) | (states != csv.FINE).any(axis=0))
        ends = np.append(offsets[1:], behind)
        at = 0
        for row in wrong.tolist():
            if row > at:
                yield CsvChunk(_rows(columns, at, row), offsets[at:row], int(offsets[row]))
            error = self._wrong(found, row, states[:, row], int(offsets[row]))
            yield CsvChunk([], offsets[:0], int(ends[row]), error)
            at = row + 1
        if at < rows:
            yield CsvChunk(_rows(columns, at, rows), offsets[at:], behind)

    def _wrong(self, found: _Split, row: int, states: _Bytes, offset: int) -> HeadraceError:
        """What is wrong with a record."""
        place, fault = f"{self.path}, byte {offset:,}", int(found.faults[row])
        if fault != csv.FINE:
            return InvalidArgumentError(f"{place}: {_WRONG[fault].format(count=len(states))}")
        slot = int(np.flatnonzero(states)[0])
        column = int(np.flatnonzero(self.slots == slot)[0])
        if states[slot] == csv.MISSING:
            return InvalidArgumentError(
                f"{place}, column {column}: there is no value, and record_defaults has no default for it"
            )
        shown, name = found.field(row, slot)[:80], dtype_name(self.leaf.dtypes[slot])
        return InvalidArgumentError(f"{place}, column {column}: {shown!r} is no {name}")


def _rows(columns: Sequence[Column], low: int, high: int) -> list[Column]:
    """Consecutive rows of columns of scalars."""
    found: list[Column] = []
    for each in columns:
        if each.splits is None:
            found.append(Column(each.dtype, 0, each.values[low:high]))
        else:
            splits = each.splits[low : high + 1]
            found.append(Column(each.dtype, 0, each.values[int(splits[0]) : int(splits[-1])], splits - splits[0]))
    return found


class _Split:
    """Records of a piece of text, and where their fields lie in it."""

    def __init__(self, text: _Bytes, count: int, rows: int, position: int) -> None:
        self.text, self.position, self.rows = text, position, 0
        self.starts = np.empty(rows, np.int64)
        self.begins, self.ends = np.empty((rows, count), np.int64), np.empty((rows, count), np.int64)
        self.marks, self.faults = np.empty((rows, count), np.uint8), np.empty(rows, np.uint8)

    def field(self, row: int, slot: int) -> bytes:
        """As it stands in the file."""
        return self.text[self.begins[row, slot] : self.ends[row, slot]].tobytes()

    def column(self, slot: int, dtype: DType, default: Any, empty: _Bytes, states: _Bytes) -> Column:
        """One column; `states` says of each row whether it is FINE, MISSING or INVALID."""
        if dtype is bytes:
            return self._texts(slot, default, empty, states)
        kind = np.dtype(dtype)
        values = (
            self._floats(slot, kind, empty, states) if kind.kind == "f" else self._integers(slot, kind, empty, states)
        )
        if default is not None:
            gaps = states == csv.MISSING
            values[gaps], states[gaps] = default, csv.FINE
        return Column(kind, 0, values)

    def _integers(self, slot: int, dtype: np.dtype[Any], empty: _Bytes, states: _Bytes) -> npt.NDArray[Any]:
        values, info = np.empty(self.rows, np.int64), np.iinfo(dtype)
        low, high = int(info.min), int(info.max)
        csv.integers(self.text, self.begins, self.ends, slot, empty, low, high, self.faults, values, states)
        return values.astype(dtype)

    def _floats(self, slot: int, dtype: np.dtype[Any], empty: _Bytes, states: _Bytes) -> npt.NDArray[Any]:
        values = np.empty(self.rows, np.float64)
        csv.floats(self.text, self.begins, self.ends, slot, empty, self.faults, _POWERS, values, states)
        slow = states == csv.SLOW
        if dtype == np.float32:  # to round twice is to round wrongly in the middle between two
            middle = (values.view(np.int64) & _LAST_BITS) == _MIDDLE
            slow |= (states == csv.FINE) & (middle | ((np.abs(values) < _SMALLEST_FLOAT) & (values != 0)))
        with np.errstate(over="ignore"):
            found = values.astype(dtype)
        for row in np.flatnonzero(slow).tolist():
            try:
                found[row], states[row] = _parsed(self.field(row, slot), dtype), csv.FINE
            except ValueError:
                states[row] = csv.INVALID
        return found

    def _texts(self, slot: int, default: Any, empty: _Bytes, states: _Bytes) -> Column:
        stand_in = np.frombuffer(default or b"", np.uint8)
        splits = np.zeros(self.rows + 1, np.int64)
        csv.text_sizes(
            self.text, self.begins, self.ends, self.marks, slot, empty, stand_in, self.faults, splits[1:], states
        )
        np.cumsum(splits, out=splits)
        values = np.empty(int(splits[-1]), np.uint8)
        csv.copy_texts(self.text, self.begins, self.marks, slot, states, stand_in, splits, values)
        if default is not None:
            states[states == csv.MISSING] = csv.FINE
        return Column(bytes, 0, values, splits)


def _parsed(text: bytes, dtype: np.dtype[Any]) -> float:
    """A number as Python reads it, rounded once to the dtype.

    Raises:
        ValueError: it is none.

    >>> float(_parsed(b"1.00000005960464477539062500001", np.dtype(np.float32)))
    1.0000001192092896
    """
    if b"_" in text:  # which Python takes
        raise ValueError("an underscore")
    value = float(text)
    if dtype == np.float64 or not np.isfinite(value) or value == 0:
        return value
    with np.errstate(over="ignore"):
        near = np.float32(value)
    if not np.isfinite(near):
        return float(near)
    exact = Fraction(text.strip().decode())
    other = np.nextafter(near, np.float32(np.inf if exact > Fraction(float(near)) else -np.inf))
    if not np.isfinite(other):
        return float(near)
    off, others = abs(exact - Fraction(float(near))), abs(exact - Fraction(float(other)))
    even = int(near.view(np.int32)) % 2 == 0
    return float(near if off < others or (off == others and even) else other)
