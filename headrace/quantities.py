"""Quantities as people write them: `256 MiB`, `30 s`."""

from __future__ import annotations

import math
import re
from itertools import pairwise

__all__ = ["read_bytes", "read_seconds", "show_bytes", "show_seconds"]

_BYTES = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_FORM = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)", re.ASCII)


def read_bytes(value: object) -> int:
    """A size in bytes, from a whole number of bytes or a text with a unit (`kB` is 1000, `KiB` 1024).

    Raises:
        ValueError: no size; the message says what one looks like.

    >>> read_bytes("256 MiB"), read_bytes("1.5kB"), read_bytes(4096)
    (268435456, 1500, 4096)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    what = 'a size such as "256 MiB", or a whole number of bytes'
    found = _read(value, _BYTES, what)
    if math.isinf(found):
        raise ValueError(what)
    return round(found)


def read_seconds(value: object) -> float:
    """A duration in seconds, from a number of seconds or a text with a unit.

    Raises:
        ValueError: no duration; the message says what one looks like.

    >>> read_seconds("30 s"), read_seconds("2 min"), read_seconds(0.5)
    (30.0, 120.0, 0.5)
    """
    what = 'a duration such as "30 s", or a number of seconds'
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(what) from None
    return _read(value, _SECONDS, what)


def _read(value: object, units: dict[str, float] | dict[str, int], what: str) -> float:
    form = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    known = {unit.lower(): factor for unit, factor in units.items()}
    if form is None or form[2].lower() not in known:
        raise ValueError(f"{what} (units: {', '.join(unit for unit in units if unit)})")
    return float(form[1]) * known[form[2].lower()]


def show_bytes(count: float) -> str:
    """A size as people read it.

    >>> show_bytes(0), show_bytes(1536), show_bytes(268435456)
    ('0 B', '1.5 KiB', '256 MiB')
    """
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while abs(count) >= 1024 and len(units) > 1:
        count /= 1024
        units.pop(0)
    return f"{count:.3g} {units[0]}" if abs(count) < 1000 else f"{count:.0f} {units[0]}"


def show_seconds(count: float) -> str:
    """A duration as people read it.

    >>> show_seconds(0.25), show_seconds(75), show_seconds(3 * 86400 + 7200)
    ('0.25 s', '1 min 15 s', '3 d 2 h')
    """
    if count < 60:
        return f"{count:.3g} s"
    for (large, big), (small, less) in pairwise(_SCALE):
        if count >= big:
            return f"{count // big:.0f} {large} {count % big // less:.0f} {small}"
    raise AssertionError("a minute or more has a scale")


_SCALE = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
