"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = ["ConfigFile", "KeyFile", "RunDir", "ServerAddress"]

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="HEADRACE_CONFIG", help="TOML file with settings, as configs/local.toml.", metavar="FILE"
    ),
]
RunDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        help="Where run directories lie, as HEADRACE_RUN_DIR says it. Default: XDG_RUNTIME_DIR or /tmp.",
        metavar="DIR",
    ),
]
ServerAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--server",
        help="Address of the server, as tcp://host:7311. Default: HEADRACE_SERVER, or the one on this machine.",
        metavar="ADDRESS",
    ),
]
KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--key", help="Key file that `headrace keys` made, for TCP. Default: HEADRACE_KEY.", metavar="FILE"),
]
