"""`headrace demo`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .ending import ending

__all__ = ["demo"]


@ending("demo")
def demo(
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training crops.")] = 3,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    crops: Annotated[int, typer.Option(min=640, help="Crops to train on.")] = 3200,
    data: Annotated[
        Path | None, typer.Option(help="Folder for the shards; they are kept. Default: user cache.")
    ] = None,
) -> None:
    """Train a small classifier on real photographs over the service; exit code 1 when it does not learn."""
    from ..demo.main import run

    learned = run(data or _cache() / "demo", epochs=epochs, workers=workers, crops=crops)
    raise typer.Exit(0 if learned else 1)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "headrace"
