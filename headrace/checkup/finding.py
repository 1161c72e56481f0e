"""A finding: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Finding", "fine", "problem", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a checkup. `level` is "ok", "warning" or "problem"."""

    level: str
    topic: str
    text: str
    fix: str = ""  #: What to do; nothing where all is well.

    def to_data(self) -> dict[str, str]:
        """As plain data."""
        return asdict(self)


def fine(topic: str, text: str) -> Finding:
    """All is well."""
    return Finding("ok", topic, text)


def warning(topic: str, text: str, fix: str) -> Finding:
    """It works, but might not for long, or not well."""
    return Finding("warning", topic, text, fix)


def problem(topic: str, text: str, fix: str) -> Finding:
    """It does not work."""
    return Finding("problem", topic, text, fix)
