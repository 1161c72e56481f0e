"""The screen: a terminal, or the file or pipe that stands in for one."""

from __future__ import annotations

from rich.console import Console

__all__ = ["screen"]

#: Columns where there is no terminal to ask; lines in a log are not broken.
WIDE = 160


def screen(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr, as wide as its terminal."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=WIDE)
