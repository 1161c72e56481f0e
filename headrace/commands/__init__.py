"""The command line: one file a command. What a command needs to load, it loads when it runs."""

from __future__ import annotations

import typer

from .demo import demo
from .doctor import doctor
from .explain import explain
from .keys import keys
from .run import run
from .serve import serve
from .status import status
from .stop import stop
from .version import version
from .worker import worker

__all__ = ["app"]

app = typer.Typer(
    help="Input pipelines that run beside your training loop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (serve, worker, run, explain, status, stop, doctor, keys, demo, version):
    app.command()(command)
