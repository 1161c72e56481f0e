"""`headrace version`."""

from __future__ import annotations

import typer

__all__ = ["version"]


def version() -> None:
    """Say which version of headrace this is."""
    from importlib.metadata import version as installed

    typer.echo(installed("headrace"))
