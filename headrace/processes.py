"""The service's own processes, as they are started: arguments in, settings out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .workers.threads import set_one_each

__all__ = ["start"]


def start(role: str, arguments: Sequence[str]) -> None:
    """Run a worker or a server in this process until it ends."""
    set_one_each()
    if role == "worker-process":
        from .workers.starting import run_worker

        run_worker(arguments)
    else:
        _server(arguments)


def _server(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("headrace server-process", description="Serve the script that started it.")
    parser.add_argument("--folder", type=Path, required=True, help="run directory, removed at the end without a state")
    parser.add_argument("--state", type=Path, help="folder of what survives the server")
    parser.add_argument("--workers", type=int, default=2, help="worker processes to keep running")
    parser.add_argument("--listen", action="append", default=[], help="TCP address, beside the run directory's socket")
    parser.add_argument("--keys", type=Path, help="folder of server.key and authorized_keys")
    parser.add_argument("--root", action="append", default=[], dest="roots", help="folder that pipelines may read")
    parser.add_argument("--no-code", action="store_false", dest="allow_code", help="take no functions over TCP")
    parser.add_argument("--module", action="append", default=[], dest="modules", help="whose functions may be named")
    parser.add_argument("--no-slabs", dest="slabs", action="store_false", help="share no memory with peers")
    parser.add_argument("--no-prefill", dest="prefill", action="store_false", help="begin no epoch before it is opened")
    parser.add_argument("--lifeline", type=int, help="descriptor of a pipe that closes when its starter ends")
    parser.add_argument("--ready", type=int, help="descriptor that is told the address when clients can come")
    parser.add_argument("--lease-s", type=float, default=30.0, help="seconds a worker may be silent")
    parser.add_argument("--heartbeat-s", type=float, default=1.0, help="seconds between a worker's signs of life")
    parser.add_argument("--budget-bytes", type=int, default=256 << 20, help="for what has come and is not consumed")
    parser.add_argument("--split-bytes", type=int, default=8 << 20, help="of a file that make one split")
    parser.add_argument("--idle-s", type=float, default=300.0, help="to hold memory for a client that is gone")
    parser.add_argument("--grace-s", type=float, default=0.0, help="for running epochs, when asked to end")
    parser.add_argument("--limits", help="limits that differ from the defaults, as JSON")
    given = vars(parser.parse_args(arguments))
    from .pipeline.limits import enforce, from_text

    # In force before anything is taken from anyone.
    if (text := given.pop("limits")) is not None:
        enforce(from_text(text))
    from .daemon import DaemonConfig
    from .life import run

    lists = {name: tuple(given[name]) for name in ("listen", "roots", "modules")}
    run(DaemonConfig(**given | lists))
