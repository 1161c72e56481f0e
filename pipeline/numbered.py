"""Records by number: read from wherever they lie in their files."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from .ends import ends_of
from .errors import DataLossError, HeadraceError, NotFoundError
from .kernels import framing
from .limits import limits
from .nodes import Numbered, Rows
from .record_index import index_path, places_of
from .records import DAMAGE, LARGE, TOO_LONG, masked

__all__ = ["NumberedFiles", "Some"]

#: So many files stay open.
OPEN = 64
#: So many records are looked up together; and so many that follow one another.
TOGETHER = 256
IN_A_ROW = 1 << 14
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Some:
    """Some records one behind the other, or why the next one cannot be read."""

    data: npt.NDArray[np.uint8]
    splits: _Numbers  #: [n + 1]
    error: HeadraceError | None = None


class NumberedFiles:
    """The files of a leaf, opened as they are needed. A context manager."""

    def __init__(self, leaf: Numbered) -> None:
        assert isinstance(leaf.filenames, Rows), "names are rows"
        self.leaf, self._names = leaf, np.asarray(leaf.filenames.arrays[0][:])
        self._table = np.asarray(leaf.table, np.int64).reshape(-1, 3)
        if len(self._table) != len(self._names) or int(self._table[:, 0].sum()) != leaf.count:
            raise DataLossError("", "a table of records that is not that of these files")
        self._firsts = np.concatenate([[0], np.cumsum(self._table[:, 0])])
        self._open: OrderedDict[int, _File] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open.values():
            each.close()

    def path(self, number: int) -> str:
        """Of one of the files."""
        name: bytes = self._names[number]
        return os.path.join(self.leaf.folder, os.fsdecode(name))  # noqa: PTH118

    def files_of(self, rows: _Numbers) -> list[str]:
        """Where records of these numbers lie."""
        return [self.path(each) for each in np.unique(self._file_of(rows)).tolist()]

    def name(self, row: int) -> str:
        """What to call a record in an error."""
        file = int(self._file_of(np.array([row]))[0])
        return f"record {row - int(self._firsts[file]):,} of {self.path(file)}"

    def _file_of(self, rows: _Numbers) -> _Numbers:
        return np.searchsorted(self._firsts, rows, side="right") - 1

    def read(self, rows: _Numbers, nbytes: int) -> Iterator[Some]:
        """The records of these numbers, in this order, about so many bytes at a time."""
        low = 0
        while low < len(rows):
            count = self._together(rows[low : low + IN_A_ROW])
            wanted = self._wanted(rows[low : low + count])
            low += count
            ends = np.cumsum(wanted.sizes)
            at = 0
            while at < len(ends):
                before = int(ends[at - 1]) if at else 0
                to = max(at + 1, int(np.searchsorted(ends, before + nbytes, side="right")))
                yield from self._read(wanted, at, to)
                at = to
            while len(self._open) > OPEN:
                self._open.popitem(last=False)[1].close()

    def _together(self, rows: _Numbers) -> int:
        """How many of the first to look up together: few, if they may lie in many files."""
        in_a_row = int(rows[-1] - rows[0]) == len(rows) - 1 and bool((np.diff(rows) == 1).all())
        files = self._file_of(rows[[0, -1]])
        return len(rows) if in_a_row and files[1] - files[0] < OPEN else TOGETHER

    def _wanted(self, rows: _Numbers) -> _Wanted:
        """Where these records lie."""
        wanted = _Wanted(self._file_of(rows), np.zeros((len(rows), 2), np.int64))
        for number in np.unique(wanted.files).tolist():
            mine = np.flatnonzero(wanted.files == number)
            try:
                wanted.places[mine] = self._opened(number).places(rows[mine] - self._firsts[number])
            except HeadraceError as error:
                wanted.wrong |= dict.fromkeys(mine.tolist(), error)
        most = limits().element_bytes + framing.HEADER + framing.FOOTER
        for each in np.flatnonzero(wanted.sizes > most).tolist():
            told = f"the record here would have {int(wanted.sizes[each]):,} bytes: {TOO_LONG.split(';')[0]}"
            self._damaged(wanted, each, told)
        return wanted

    def _damaged(self, wanted: _Wanted, each: int, told: str) -> None:
        place = int(wanted.places[each, 0])
        wanted.wrong[each] = DataLossError(self.path(int(wanted.files[each])), told, place)
        wanted.places[each] = place

    def _opened(self, number: int) -> _File:
        if number not in self._open:
            count, size, crc = self._table[number].tolist()
            self._open[number] = _File.open(self.path(number), self.leaf, (count, size, crc))
        self._open.move_to_end(number)
        return self._open[number]

    def _read(self, wanted: _Wanted, low: int, high: int) -> Iterator[Some]:
        splits = np.concatenate([[0], np.cumsum(wanted.sizes[low:high])])
        data = np.empty(int(splits[-1]), np.uint8)
        for first, behind in wanted.runs(low, high):
            came = self._open[int(wanted.files[first])].fill(
                data[int(splits[first - low]) : int(splits[behind - low])], int(wanted.places[first, 0])
            )
            whole = int(np.searchsorted(splits[first - low :] - splits[first - low], came, side="right")) - 1
            for each in range(first + whole, behind):
                self._damaged(wanted, each, "the file has been cut: the record here is not there")
        at = low
        while at < high:
            if at in wanted.wrong:
                yield _failed(wanted.wrong[at])
                at += 1
                continue
            end = next((each for each in range(at, high) if each in wanted.wrong), high)
            some, told = self._payloads(data, splits[at - low : end - low + 1])
            if count := len(some.splits) - 1:
                yield some
                at += count
            if at < end:
                self._damaged(wanted, at, told)

    def _payloads(self, data: npt.NDArray[np.uint8], splits: _Numbers) -> tuple[Some, str]:
        """Of records that lie one behind the other, those before the first that is damaged, and how that is."""
        begin, end = int(splits[0]), int(splits[-1])
        if self.leaf.record_bytes:
            return Some(data[begin:end], splits - begin), ""
        starts, lengths = np.empty(len(splits) - 1, np.int64), np.empty(len(splits) - 1, np.int64)
        count, _, status, _ = framing.frame(data, begin, end, end, LARGE, starts, lengths)
        astray = np.flatnonzero(lengths[:count] != np.diff(splits)[:count] - framing.HEADER - framing.FOOTER)
        told = DAMAGE[framing.BAD_LENGTH if status == framing.BAD_LENGTH else framing.BAD_DATA].split(";")[0]
        if len(astray):
            count, told = int(astray[0]), "the record here has another size than its index says: write the index anew"
        count = _intact(data, starts[:count], lengths[:count])
        payloads = np.concatenate([[0], np.cumsum(lengths[:count])])
        out = np.empty(int(payloads[-1]), np.uint8)
        framing.concatenate(data, starts[:count], payloads, out)
        return Some(out, payloads), told


def _intact(data: npt.NDArray[np.uint8], starts: _Numbers, lengths: _Numbers) -> int:
    """How many of the first records are intact; the large ones have not been checked so far."""
    for i in np.flatnonzero(lengths >= LARGE).tolist():
        end = int(starts[i] + lengths[i])
        if masked(data[int(starts[i]) : end]) != int.from_bytes(data[end : end + framing.FOOTER].tobytes(), "little"):
            return int(i)
    return len(starts)


def _failed(error: HeadraceError) -> Some:
    return Some(np.empty(0, np.uint8), np.zeros(1, np.int64), error)


@dataclass(slots=True)
class _Wanted:
    """Records that are wanted together."""

    files: _Numbers
    places: _Numbers  #: Where each begins and ends in its file, [n, 2]; one that cannot be had has no length.
    wrong: dict[int, HeadraceError] = field(default_factory=dict)

    @property
    def sizes(self) -> _Numbers:
        """In bytes, as they lie there."""
        found: _Numbers = self.places[:, 1] - self.places[:, 0]
        return found

    def runs(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Those that follow one another in one file, from which to before which."""
        files, places = self.files[low:high], self.places[low:high]
        together = (files[1:] == files[:-1]) & (places[1:, 0] == places[:-1, 1])
        cuts = (np.flatnonzero(~together) + 1 + low).tolist()
        for first, behind in zip([low, *cuts], [*cuts, high], strict=True):
            if self.places[first, 1] > self.places[first, 0]:
                yield first, behind


@dataclass(slots=True)
class _File:
    path: str
    leaf: Numbered
    records: int
    size: int
    file: int
    index: int | None  #: Open, where there is one.

    @classmethod
    def open(cls, path: str, leaf: Numbered, known: tuple[int, int, int]) -> _File:
        """One that is the same as when the pipeline was made."""
        records, size, crc = known
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise NotFoundError(path, f"cannot be opened: {error.strerror}") from error
        found = cls(path, leaf, records, size, file, None)
        try:
            found._check(crc)
        except OSError as error:
            found.close()
            raise NotFoundError(error.filename or path, f"cannot be read: {error.strerror}") from error
        except HeadraceError:
            found.close()
            raise
        return found

    def _check(self, crc: int) -> None:
        status = os.fstat(self.file)
        if _known_ends(self.path, status.st_size, status.st_mtime_ns, status.st_ino) != (self.size, crc):
            told = (
                f"{status.st_size:,} bytes, and had {self.size:,}" if status.st_size != self.size else "other content"
            )
            raise DataLossError(self.path, f"the file has {told} when the pipeline was made: build the pipeline anew")
        if not self.leaf.record_bytes:
            self.index = os.open(index_path(self.path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)

    def close(self) -> None:
        """Give the file back."""
        os.close(self.file)
        if self.index is not None:
            os.close(self.index)

    def places(self, numbers: _Numbers) -> _Numbers:
        """Where records begin and end, [n, 2]."""
        if self.index is not None:
            return places_of(self.path, self.index, numbers, self.records, self.size)
        begins = self.leaf.header_bytes + numbers * self.leaf.record_bytes
        return np.stack([begins, begins + self.leaf.record_bytes], axis=1)

    def fill(self, data: npt.NDArray[np.uint8], place: int) -> int:
        """Read from a place on; how many bytes came."""
        at = 0
        while at < len(data) and (count := os.preadv(self.file, [data.data[at:]], place + at)):
            at += count
        return at


@lru_cache(maxsize=4096)
def _known_ends(path: str, size: int, changed: int, number: int) -> tuple[int, int]:
    """The ends of a file, looked at once for as long as nothing says that it was written to."""
    return ends_of(path)
