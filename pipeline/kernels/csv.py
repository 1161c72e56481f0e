"""CSV: where the fields of a buffer's records lie, and the numbers and texts that they hold.

RFC 4180: fields that begin with a quote go on to the next single one and may hold delimiters and line ends; two quotes
stand for one. A record ends at LF, CRLF or CR. https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .compile import leaf, leaf_kernel

__all__ = [
    "BEHIND_QUOTE",
    "DOUBLED",
    "FINE",
    "INSIDE",
    "INVALID",
    "MISSING",
    "SLOW",
    "TOO_FEW",
    "TOO_MANY",
    "UNCLOSED",
    "copy_texts",
    "floats",
    "integers",
    "split_records",
    "text_sizes",
]

_Bytes = npt.NDArray[np.uint8]
_Numbers = npt.NDArray[np.int64]

#: What may be wrong with a record.
FINE, TOO_FEW, TOO_MANY, INSIDE, BEHIND_QUOTE, UNCLOSED = 0, 1, 2, 3, 4, 5
#: And with a field: it has to be there; it is nothing of its dtype; only Python's own parser can tell exactly.
MISSING, INVALID, SLOW = 6, 7, 8
#: Of a field: two quotes in it stand for one.
DOUBLED = 1

_QUOTE, _LF, _CR = 34, 10, 13


@leaf
def _closing(data: _Bytes, at: int, end: int) -> tuple[int, int]:
    """Where the quote is that closes a field whose content begins at `at`, `end` if nowhere; and its marks."""
    marks = 0
    while at < end:
        if data[at] == _QUOTE:
            if at + 1 >= end or data[at + 1] != _QUOTE:
                return at, marks
            marks = DOUBLED
            at += 1
        at += 1
    return end, marks


@leaf
def _plain_end(data: _Bytes, at: int, end: int, delimiter: int) -> tuple[int, bool]:
    """Where a field without quotes around it ends, and whether there is one inside."""
    inside = False
    while at < end:
        byte = data[at]
        if byte == delimiter or byte == _LF or byte == _CR:  # noqa: SIM109  (numba is slower with a tuple)
            break
        inside |= byte == _QUOTE
        at += 1
    return at, inside


@leaf
def _quoted(data: _Bytes, first: int, end: int, delimiter: int, fault: int) -> tuple[int, int, int, int]:
    """Where a field ends whose content begins at `first`, behind a quote; what is behind it; its marks; the fault."""
    last, marks = _closing(data, first, end)
    if last == end and fault == FINE:
        fault = UNCLOSED
    place = min(last + 1, end)
    if place < end and data[place] != delimiter and data[place] != _LF and data[place] != _CR:
        fault = BEHIND_QUOTE if fault == FINE else fault
        while place < end and data[place] != _LF:
            place += 1
    return last, place, marks, fault


@leaf
def _behind_line(data: _Bytes, place: int, end: int) -> int:
    """What is behind the line end that begins here, or `end`."""
    if place + 1 < end and data[place] == _CR and data[place + 1] == _LF:
        return place + 2
    return min(place + 1, end)


@leaf_kernel
def split_records(
    data: _Bytes,
    begin: int,
    end: int,
    final: bool,
    delimiter: int,
    quotes: bool,
    slots: _Numbers,
    lenient: bool,
    starts: _Numbers,
    begins: _Numbers,
    ends: _Numbers,
    marks: _Bytes,
    faults: _Bytes,
) -> tuple[int, int]:
    """Split data[begin:end] into records and fields; `final` says that nothing comes behind.

    `slots` tells the place among those wanted of each of a record's columns: -1 where it is not wanted, -2 where there
    must be none; behind all of them there must be none either, unless `lenient`. `begins`, `ends` and `marks` are
    [records, places wanted]. Gives (records, where the one behind them begins): one that is not all there is left.
    """
    wanted, count, at = begins.shape[1], 0, begin
    while at < end and count < len(starts):
        place, column, filled, fault = at, 0, 0, FINE
        while True:
            mark = 0
            if quotes and place < end and data[place] == _QUOTE:
                first = place + 1
                last, place, mark, fault = _quoted(data, first, end, delimiter, fault)
            else:
                first = place
                last, inside = _plain_end(data, place, end, delimiter)
                if inside and quotes and fault == FINE:
                    fault = INSIDE
                place = last
            if place >= end and not final:
                return count, at
            slot = slots[column] if column < len(slots) else (-1 if lenient else -2)
            if slot >= 0:
                begins[count, slot], ends[count, slot], marks[count, slot] = first, last, mark
                filled += 1
            elif slot == -2 and fault == FINE:
                fault = TOO_MANY
            if place >= end or data[place] != delimiter:
                break
            place += 1
            column += 1
        if not final and place + 1 >= end and data[place] == _CR:
            return count, at
        place = _behind_line(data, place, end)
        starts[count], faults[count] = at, fault if fault != FINE or filled == wanted else TOO_FEW
        count += 1
        at = place
    return count, at


@leaf
def _same(data: _Bytes, begin: int, end: int, other: _Bytes) -> bool:
    if end - begin != len(other):
        return False
    same = True
    for i in range(len(other)):
        same &= data[begin + i] == other[i]
    return same


@leaf
def _is_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13


@leaf
def _stripped(data: _Bytes, begin: int, end: int) -> tuple[int, int]:
    while begin < end and _is_space(data[begin]):
        begin += 1
    while end > begin and _is_space(data[end - 1]):
        end -= 1
    return begin, end


@leaf
def _is_given(data: _Bytes, begin: int, end: int, empty: _Bytes, fault: int, found: _Bytes, row: int) -> bool:
    """Whether there is a field to read; of one that is MISSING, `found` says so."""
    missing = begin >= end or _same(data, begin, end, empty)
    found[row] = MISSING if missing and fault == FINE else FINE
    return fault == FINE and not missing


@leaf
def _unsigned(data: _Bytes, begin: int, end: int) -> tuple[int, int, bool]:
    """Where a number lies without space around it and its sign, and whether that is a minus."""
    begin, end = _stripped(data, begin, end)
    negative = begin < end and data[begin] == 45
    if begin < end and (data[begin] == 45 or data[begin] == 43):
        begin += 1
    return begin, end, negative


@leaf_kernel
def integers(
    data: _Bytes,
    begins: _Numbers,
    ends: _Numbers,
    slot: int,
    empty: _Bytes,
    low: int,
    high: int,
    faults: _Bytes,
    out: _Numbers,
    found: _Bytes,
) -> None:
    """The decimal integers of one column, from `low` to `high`; `found` says of each whether it is FINE."""
    for row in range(len(out)):
        begin, end = begins[row, slot], ends[row, slot]
        out[row] = 0
        if not _is_given(data, begin, end, empty, faults[row], found, row):
            continue
        begin, end, negative = _unsigned(data, begin, end)
        if begin >= end:
            found[row] = INVALID
            continue
        # Downwards, because there is one more of the negative numbers.
        value, least = np.int64(0), low if negative else -high
        for at in range(begin, end):
            digit = np.int64(data[at]) - 48
            if digit < 0 or digit > 9 or value < -922337203685477580:
                found[row] = INVALID
                break
            value *= 10
            if value < least + digit:
                found[row] = INVALID
                break
            value -= digit
        out[row] = value if negative else -value


@leaf
def _mantissa(data: _Bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Of the digits from here on, with at most one point: their end, their number, a power of ten, and how many."""
    mantissa, exponent, digits, seen, fraction = 0, 0, 0, 0, False
    while at < end:
        byte = data[at]
        if byte == 46 and not fraction:
            fraction = True
        elif 48 <= byte <= 57 and digits < 18:
            mantissa = mantissa * 10 + int(np.int64(byte)) - 48
            seen += 1
            if mantissa != 0:
                digits += 1
            if fraction:
                exponent -= 1
        else:
            break
        at += 1
    return at, mantissa, exponent, seen


@leaf
def _exponent(data: _Bytes, at: int, end: int) -> tuple[int, int]:
    """The end of the power of ten whose letter stands here, and the power; -1 where it has no digits."""
    at += 1
    down = at < end and data[at] == 45
    if at < end and (data[at] == 45 or data[at] == 43):
        at += 1
    power = 0
    while at < end and 48 <= data[at] <= 57:
        power = power * 10 + int(np.int64(data[at])) - 48
        at += 1
    return at if 48 <= data[at - 1] <= 57 else -1, -power if down else power


@leaf_kernel
def floats(
    data: _Bytes,
    begins: _Numbers,
    ends: _Numbers,
    slot: int,
    empty: _Bytes,
    faults: _Bytes,
    powers: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
    found: _Bytes,
) -> None:
    """The decimal numbers of one column, rounded as IEEE 754 wants it, or SLOW.

    `powers` are those of ten that are exact, 10**0 to 10**22: a number of at most 53 bits times or over one of them is
    rounded once. W. Clinger, How to Read Floating Point Numbers Accurately, 1990.
    """
    for row in range(len(out)):
        begin, end = begins[row, slot], ends[row, slot]
        out[row] = 0.0
        if not _is_given(data, begin, end, empty, faults[row], found, row):
            continue
        begin, end, negative = _unsigned(data, begin, end)
        at, mantissa, exponent, seen = _mantissa(data, begin, end)
        if at < end and (data[at] == 101 or data[at] == 69) and end - at <= 5 and at > begin:
            at, power = _exponent(data, at, end)
            exponent += power
        if at < end or at == begin or seen == 0:
            found[row] = SLOW
            continue
        if mantissa > 1 << 53 or exponent < -22 or exponent > 22:
            found[row] = SLOW
            continue
        value = np.float64(mantissa)
        value = value / powers[-exponent] if exponent < 0 else value * powers[exponent]
        out[row] = -value if negative else value


@leaf_kernel
def text_sizes(
    data: _Bytes,
    begins: _Numbers,
    ends: _Numbers,
    marks: _Bytes,
    slot: int,
    empty: _Bytes,
    default: _Bytes,
    faults: _Bytes,
    sizes: _Numbers,
    found: _Bytes,
) -> None:
    """How many bytes the texts of one column have; where one is missing, those of `default`."""
    for row in range(len(sizes)):
        begin, end = begins[row, slot], ends[row, slot]
        if not _is_given(data, begin, end, empty, faults[row], found, row):
            sizes[row] = len(default) if found[row] == MISSING else 0
            continue
        sizes[row] = end - begin
        if marks[row, slot] & DOUBLED:
            at = begin
            while at < end:
                if data[at] == _QUOTE:
                    sizes[row] -= 1
                    at += 1
                at += 1


@leaf_kernel
def copy_texts(
    data: _Bytes,
    begins: _Numbers,
    marks: _Bytes,
    slot: int,
    found: _Bytes,
    default: _Bytes,
    splits: _Numbers,
    out: _Bytes,
) -> None:
    """Copy the texts of one column, as long as `splits` says, one behind the other into `out`."""
    for row in range(len(found)):
        to, stop = splits[row], splits[row + 1]
        if found[row] == MISSING:
            for i in range(stop - to):
                out[to + i] = default[i]
        elif marks[row, slot] & DOUBLED:
            at = begins[row, slot]
            while to < stop:
                out[to] = data[at]
                at += 2 if data[at] == _QUOTE else 1
                to += 1
        else:
            begin = begins[row, slot]
            for i in range(stop - to):
                out[to + i] = data[begin + i]
