"""`headrace serve`."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from .ending import ending
from .options import ConfigFile, RunDir

if TYPE_CHECKING:
    from ..config import Config
    from ..daemon import DaemonConfig

__all__ = ["serve"]

#: Which key of the configuration an option stands for.
_KEYS = {
    "--workers": "server.workers",
    "--listen": "server.listen",
    "--run-dir": "server.run_dir",
    "--state-dir": "server.state_dir",
    "--grace": "server.grace",
    "--idle": "server.idle",
    "--slabs": "server.slabs",
    "--budget": "limits.budget",
    "--split": "limits.split",
    "--lease": "limits.lease",
    "--heartbeat": "limits.heartbeat",
    "--keys": "security.keys",
    "--insecure": "security.insecure",
    "--allow-code": "security.allow_code",
    "--root": "server.roots",
    "--module": "security.modules",
    "--metrics": "metrics.listen",
}


_Workers: TypeAlias = Annotated[int | None, typer.Option(help="Worker processes to keep running here; 0 is allowed.")]
_Listen: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="TCP address, as tcp://0.0.0.0:7311, for other machines. Repeatable.", metavar="ADDRESS"),
]
_Detach: TypeAlias = Annotated[bool, typer.Option("--detach", help="Run in the background; return when it is ready.")]
_KeysFolder: TypeAlias = Annotated[
    Path | None, typer.Option(help="Folder of the keys for TCP. Default: ~/.config/headrace.", metavar="DIR")
]
_Insecure: TypeAlias = Annotated[
    bool | None, typer.Option("--insecure", help="TCP without keys: whoever reaches the port can run code.")
]
_Page: TypeAlias = Annotated[
    str | None, typer.Option(help="HOST:PORT of the page with /metrics, or none.", metavar="ADDRESS")
]
_StateDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Folder of what survives a restart. Default: ~/.local/state/headrace.", metavar="DIR"),
]
_Lease: TypeAlias = Annotated[
    str | None, typer.Option(help="How long a call of a function may take, as '30 s'.", metavar="TIME")
]
_Heartbeat: TypeAlias = Annotated[str | None, typer.Option(help="Between a worker's signs of life.", metavar="TIME")]
_Budget: TypeAlias = Annotated[
    str | None, typer.Option(help="For what is computed and not consumed, as '256 MiB'.", metavar="SIZE")
]
_Split: TypeAlias = Annotated[str | None, typer.Option(help="Of a file that is one share of work.", metavar="SIZE")]
_Grace: TypeAlias = Annotated[
    str | None, typer.Option(help="How long epochs may go on after SIGTERM or Ctrl-C.", metavar="TIME")
]
_Idle: TypeAlias = Annotated[
    str | None, typer.Option(help="How long to hold memory for a client that is gone.", metavar="TIME")
]
_Slabs: TypeAlias = Annotated[bool | None, typer.Option(help="Share memory with workers and trainers on this machine.")]
_Roots: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--root", help="Folder that pipelines may read; any where none is said. Repeatable.", metavar="DIR"),
]
_AllowCode: TypeAlias = Annotated[
    bool | None, typer.Option(help="Take functions over TCP from keys with the role submit; default: it does.")
]
_Modules: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--module", help="Module whose functions keys without submit may name, as MODULE:FUNCTION.", metavar="MODULE"
    ),
]
_Ready: TypeAlias = Annotated[int | None, typer.Option("--ready", hidden=True)]


@ending("serve")
def serve(
    config: ConfigFile = None,
    workers: _Workers = None,
    listen: _Listen = None,
    detach: _Detach = False,
    keys: _KeysFolder = None,
    insecure: _Insecure = None,
    root: _Roots = None,
    allow_code: _AllowCode = None,
    module: _Modules = None,
    metrics: _Page = None,
    run_dir: RunDir = None,
    state_dir: _StateDir = None,
    lease: _Lease = None,
    heartbeat: _Heartbeat = None,
    budget: _Budget = None,
    split: _Split = None,
    grace: _Grace = None,
    idle: _Idle = None,
    slabs: _Slabs = None,
    ready: _Ready = None,
) -> None:
    """Serve trainers: the server and its workers. Ctrl-C or `headrace stop` end it.

    Prints the server's address when it is ready, and its log on stderr.
    With --detach, says where the log is.
    Trainers on this machine find it with `headrace.connect()`.
    """
    from ..workers.threads import set_one_each

    set_one_each()
    from ..config import Config, load

    given = {
        "--workers": workers, "--listen": listen, "--run-dir": run_dir, "--state-dir": state_dir, "--grace": grace,
        "--idle": idle, "--slabs": slabs, "--budget": budget, "--split": split, "--lease": lease,
        "--heartbeat": heartbeat, "--keys": keys, "--insecure": insecure, "--metrics": metrics,
        "--root": root, "--allow-code": allow_code, "--module": module,
    }  # fmt: skip
    settings = load(config) if config is not None else Config()
    settings = settings.changed({_KEYS[option]: (option, value) for option, value in given.items()})
    if detach:
        _detach(settings, config, given)
    else:
        _stay(settings, ready)


def _stay(settings: Config, ready: int | None) -> None:
    """Serve in this process until the end."""
    from ..pipeline.running import Hold, make_daemon_folder, state_folder

    folder, state = make_daemon_folder(settings.server.run_dir), state_folder(settings.server.state_dir)
    with (
        Hold(folder, "the run directory", "end that one with `headrace stop`, or give this one a --run-dir"),
        Hold(state, "the state directory", "give this server a --state-dir of its own"),
    ):
        now = datetime.now().astimezone().isoformat(" ", "seconds")
        print(f"headrace: {now} the server starts, pid {os.getpid()}, state in {state}", file=sys.stderr, flush=True)
        if settings.server.listen and settings.security.insecure:
            print(
                "headrace: insecure: whoever reaches a TCP port can run code as this user", file=sys.stderr, flush=True
            )
        from ..life import run  # it pulls in everything
        from ..pipeline.limits import enforce

        enforce(settings.limits.taken())
        # In the foreground, the terminal is told the address.
        try:
            log = folder / "log" if ready is not None else None  # it was started in the background
            run(_daemon(settings, folder, state, os.dup(1) if ready is None else ready, log))
        finally:  # who comes now is told at once that no server runs here
            (folder / "server.sock").unlink(missing_ok=True)
        print("headrace: the server has ended", file=sys.stderr)


def _daemon(settings: Config, folder: Path, state: Path, ready: int, log: Path | None) -> DaemonConfig:
    from ..daemon import DaemonConfig
    from ..pipeline.keys import keys_folder

    server, limits, security = settings.server, settings.limits, settings.security
    secured = bool(server.listen) and not security.insecure
    return DaemonConfig(
        folder=folder,
        state=state,
        workers=server.workers,
        listen=server.listen,
        keys=security.keys or (keys_folder() if secured else None),
        insecure=security.insecure,
        metrics=_page(settings),
        slabs=server.slabs,
        ready=ready,
        lease_s=limits.lease,
        heartbeat_s=limits.heartbeat,
        budget_bytes=limits.budget,
        split_bytes=limits.split,
        grace_s=server.grace,
        idle_s=server.idle,
        forget_s=limits.forget,
        log=log,
        roots=tuple(map(str, server.roots)),
        allow_code=security.allow_code,
        modules=security.modules,
    )


def _page(settings: Config) -> str:
    """Where the page is; one that nobody asked for stands back where its port is taken."""
    import socket

    address = settings.metrics.listen
    if not address or "metrics.listen" in settings.said:
        return address
    host, _, port = address.rpartition(":")
    try:
        socket.create_server((host, int(port))).close()
    except OSError:
        print(f"headrace: no page of metrics: {address} is taken; --metrics names another address", file=sys.stderr)
        return ""
    return address


def _detach(settings: Config, config: Path | None, given: dict[str, Any]) -> None:
    """Start the same command again, in the background."""
    from ..detached import start
    from ..pipeline.running import make_daemon_folder
    from .screen import screen

    folder = make_daemon_folder(settings.server.run_dir)
    arguments = [f"--config={config}"] if config is not None else []
    for option, value in given.items():
        arguments += _said(option, value)
    with screen(stderr=True).status("starting the server") as progress:
        started = start(arguments, folder, lambda line: progress.update(line))
    typer.echo(f"serving at {started.address}, pid {started.pid}")
    typer.echo(f"log: {started.log}")
    where = f" --run-dir {settings.server.run_dir}" if settings.server.run_dir else ""
    typer.echo(f"to end it: headrace stop{where}")


def _said(option: str, value: Any) -> list[str]:
    """An option as it is typed."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [option] if value else [f"--no-{option.removeprefix('--')}"]
    values = value if isinstance(value, list) else [value]
    return [f"{option}={each}" for each in values]
