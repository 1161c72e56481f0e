"""`headrace status`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from .ending import ending
from .options import ConfigFile, KeyFile, RunDir, ServerAddress

if TYPE_CHECKING:
    from .target import Target

__all__ = ["status"]

#: Between two looks at a server that is watched, in seconds.
EVERY_S = 1.0


@ending("status")
def status(
    server: ServerAddress = None,
    key: KeyFile = None,
    run_dir: RunDir = None,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object, for programs.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")] = False,
) -> None:
    """Show what a server, its workers and its trainers are doing."""
    from .target import find

    target = find(server, key, run_dir, config)
    if as_json:
        while True:
            typer.echo(json.dumps(target.ask(), indent=None if watch else 2))
            if not watch:
                return
            time.sleep(EVERY_S)
    _show(target, watch)


def _show(target: Target, watch: bool) -> None:
    from rich.live import Live

    from .board import board
    from .screen import screen

    console = screen()
    if not watch:
        console.print(board(target.ask()))
        return
    with Live(board(target.ask()), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(EVERY_S)
            live.update(board(target.ask()), refresh=True)
