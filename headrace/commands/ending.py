"""How a command ends: an exit code, and one line that says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..pipeline.errors import HeadraceError

__all__ = ["INTERRUPTED", "ending"]

#: As shells have it for a process that SIGINT ended.
INTERRUPTED = 130


@contextmanager
def ending(command: str, code: int = 2) -> Iterator[None]:
    """Around a command: an error of ours is one line and `code`, Ctrl-C is 130."""
    try:
        yield
    except HeadraceError as error:
        typer.echo(f"headrace {command}: {type(error).__name__}: {error}", err=True)
        raise typer.Exit(code) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
