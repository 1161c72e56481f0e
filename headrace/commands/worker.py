"""`headrace worker`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .ending import ending
from .options import ConfigFile, KeyFile, ServerAddress

__all__ = ["worker"]


@ending("worker")
def worker(
    server: ServerAddress = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes to keep running here.")] = None,
    key: KeyFile = None,
    config: ConfigFile = None,
) -> None:
    """Join a server with workers, at any time, also in the middle of an epoch. Ctrl-C or SIGTERM let them leave.

    They read the files of pipelines at the paths that trainers name: mount them in the same place.
    """
    from ..workers.threads import set_one_each

    set_one_each()
    from ..config import Config, load
    from ..pipeline.running import daemon_folder
    from ..pipeline.sockets import address_in

    settings = (load(config) if config is not None else Config()).changed(
        {
            "worker.server": ("--server", server or os.environ.get("HEADRACE_SERVER")),
            "worker.key": ("--key", key or _named("HEADRACE_KEY")),
            "worker.workers": ("--workers", workers),
        }
    )
    from ..pipeline.limits import enforce
    from ..workers.agent import AgentConfig, run

    enforce(settings.limits.taken())
    run(
        AgentConfig(
            server=settings.worker.server or address_in(daemon_folder(settings.server.run_dir)),
            workers=settings.worker.workers,
            key=settings.worker.key,
        )
    )


def _named(variable: str) -> Path | None:
    return Path(named) if (named := os.environ.get(variable)) else None
