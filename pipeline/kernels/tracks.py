"""Tracks: integers that grow along with a number, told as what a straight line does not foresee.

Every integer belongs to a track, and is foreseen from the one before it on the same track: as many numbers further, as
much more, by a slope that STRETCH integers share. The rest is Golomb-Rice coded (Rice, "Some practical universal
noiseless coding techniques", JPL 1979), the parameter shared likewise, and larger where more numbers were passed
over: what varies adds up as in a random walk.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .compile import inline, kernel

__all__ = ["DAMAGED", "EXACT", "STRETCH", "pack_tracks", "unpack_tracks"]

#: So many integers share a slope and a parameter.
STRETCH = 512
#: The parameter where everything is as foreseen.
EXACT = 255
#: No parameter is larger: with what gaps add it stays below the 64 bits of an integer.
LARGEST = 43
#: No quotient is longer, in bits; what has none is told as it is.
LONGEST = 24
#: Slopes are in this part of one.
ONE = 1 << 16
DAMAGED = -1

_Ints = npt.NDArray[np.int64]
_Int: TypeAlias = "int | np.int64"


@inline
def ahead(slope: _Int, gap: _Int) -> np.int64:
    """By how much a track grows; the same on every machine, since sums wrap."""
    return (np.int64(slope) * np.int64(gap) + np.int64(ONE // 2)) >> np.int64(16)


@inline
def wider(gap: _Int) -> int:
    """How many bits more a gap adds to what cannot be foreseen: half its own."""
    bits = 0
    while gap > 3 and bits < 20:
        gap >>= 2
        bits += 1
    return bits


@inline
def zigzag(rest: np.int64) -> np.uint64:
    """0, -1, 1, -2, 2 as 0, 1, 2, 3, 4."""
    return np.uint64((rest << np.int64(1)) ^ (rest >> np.int64(63)))


@inline
def cost(folded: npt.NDArray[np.uint64], more: npt.NDArray[np.uint8], count: int, parameter: int) -> int:
    """Bits that these take with a parameter."""
    total = 0
    for i in range(count):
        bits = parameter + more[i]
        quotient = folded[i] >> np.uint64(bits)
        total += np.int64(quotient) + 1 + bits if quotient < np.uint64(LONGEST) else LONGEST + 64
    return total


@inline
def put(out: npt.NDArray[np.uint8], at: int, value: np.uint64, bits: _Int) -> int:
    """Write so many low bits of a value at a bit; the bit behind them."""
    for k in range(bits):
        if value >> np.uint64(k) & np.uint64(1):
            out[at >> 3] |= np.uint8(1 << (at & 7))
        at += 1
    return at


@inline
def slope_of(rise: float, run: float) -> np.int64:
    """All growth by all gaps."""
    slope = rise / run * ONE if run > 0.0 else 0.0
    return np.int64(np.rint(slope)) if abs(slope) < 2.0**62 else np.int64(0)


@inline
def parameter_of(folded: npt.NDArray[np.uint64], more: npt.NDArray[np.uint8], size: int) -> int:
    """The parameter with which these take least: the first behind which they take more."""
    best, least = 0, cost(folded, more, size, 0)
    for parameter in range(1, LARGEST + 1):
        bits = cost(folded, more, size, parameter)
        if bits > least:
            break
        best, least = parameter, bits
    return best


@inline
def write(
    folded: npt.NDArray[np.uint64],
    more: npt.NDArray[np.uint8],
    size: int,
    parameter: _Int,
    out: npt.NDArray[np.uint8],
    at: int,
) -> int:
    """Code them from a bit on; the bit behind them."""
    for i in range(size):
        bits = parameter + more[i]
        quotient = folded[i] >> np.uint64(bits)
        if quotient < np.uint64(LONGEST):
            at = put(out, at, (np.uint64(1) << quotient) - np.uint64(1), np.int64(quotient) + 1)
            at = put(out, at, folded[i], bits)
        else:
            at = put(out, at, np.uint64((1 << LONGEST) - 1), LONGEST)
            at = put(out, at, folded[i], 64)
    return at


@kernel
def pack_tracks(
    values: _Ints,
    numbers: _Ints,
    tracks: _Ints,
    count: int,
    slopes: _Ints,
    parameters: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint8],
) -> int:
    """Fill slopes and parameters, one a stretch, and `out`, zeros with room for 12 bytes a value; the bits written.

    Numbers grow along each track; tracks are below `count`.
    """
    last, last_number, seen = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.bool_)
    grown, gaps = np.empty(STRETCH, np.int64), np.empty(STRETCH, np.int64)
    folded, more = np.empty(STRETCH, np.uint64), np.empty(STRETCH, np.uint8)
    at = 0
    for stretch in range(len(slopes)):
        low = stretch * STRETCH
        size = min(len(values), low + STRETCH) - low
        rise, run = 0.0, 0.0
        for i in range(size):
            track = tracks[low + i]
            grown[i] = values[low + i] - last[track]
            gaps[i] = numbers[low + i] - last_number[track] if seen[track] else np.int64(0)
            if seen[track]:
                rise += np.float64(grown[i])
                run += np.float64(gaps[i])
            last[track], last_number[track], seen[track] = values[low + i], numbers[low + i], True
        slope = slope_of(rise, run)
        slopes[stretch] = slope
        exact = True
        for i in range(size):
            rest = grown[i] - ahead(slope, gaps[i])
            folded[i], more[i] = zigzag(rest), wider(gaps[i])
            exact = exact and rest == 0
        parameters[stretch] = EXACT if exact else parameter_of(folded, more, size)
        if not exact:
            at = write(folded, more, size, np.int64(parameters[stretch]), out, at)
    return at


@inline
def take(data: npt.NDArray[np.uint8], at: _Int, bits: _Int) -> np.uint64:
    """So many bits from a bit on, which must lie inside."""
    value = np.uint64(0)
    for k in range(bits):
        place = at + k
        if data[place >> 3] >> np.uint8(place & 7) & np.uint8(1):
            value |= np.uint64(1) << np.uint64(k)
    return value


@inline
def read(data: npt.NDArray[np.uint8], at: _Int, bits: _Int) -> tuple[np.int64, _Int]:
    """One integer, and the bit behind it; DAMAGED for that where the data end before."""
    end, quotient = 8 * len(data), 0
    while quotient < LONGEST and at < end and data[at >> 3] >> np.uint8(at & 7) & np.uint8(1):
        quotient += 1
        at += 1
    if quotient == LONGEST:
        bits = 64
    else:
        at += 1
    if at + bits > end:
        return np.int64(0), DAMAGED
    folded = take(data, at, bits)
    if quotient < LONGEST:
        folded |= np.uint64(quotient) << np.uint64(bits)
    return np.int64(folded >> np.uint64(1)) ^ -np.int64(folded & np.uint64(1)), at + bits


@kernel
def unpack_tracks(
    numbers: _Ints,
    tracks: _Ints,
    count: int,
    slopes: _Ints,
    parameters: npt.NDArray[np.uint8],
    data: npt.NDArray[np.uint8],
    out: _Ints,
) -> _Int:
    """The reverse of `pack_tracks`; the bits read, or DAMAGED. Tracks must be below `count`, stretches be enough."""
    last, last_number, seen = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.bool_)
    at: _Int = 0
    for i in range(len(out)):
        track, parameter = tracks[i], np.int64(parameters[i // STRETCH])
        gap = numbers[i] - last_number[track] if seen[track] else np.int64(0)
        rest = np.int64(0)
        if parameter != EXACT:
            if parameter > LARGEST:
                return DAMAGED
            rest, at = read(data, at, parameter + wider(gap))
            if at == DAMAGED:
                return DAMAGED
        out[i] = last[track] + ahead(slopes[i // STRETCH], gap) + rest
        last[track], last_number[track], seen[track] = out[i], numbers[i], True
    return at
