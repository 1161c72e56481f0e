"""How a worker starts: arguments in, settings out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..pipeline.limits import enforce, from_text

__all__ = ["run_worker"]


def run_worker(arguments: Sequence[str]) -> None:
    """Run a worker in this process until it ends."""
    parser = argparse.ArgumentParser("headrace worker-process", description="Compute what a server leases out.")
    parser.add_argument("--server", required=True, help="address of the server")
    parser.add_argument("--name", required=True, help="name of this worker, unlike any other's")
    parser.add_argument("--blobs", type=Path, required=True, help="folder of the server's blobs")
    parser.add_argument("--box", type=Path, required=True, help="file that says on which element it is")
    parser.add_argument("--launcher", default="", help="name of its launcher, unless that is the server")
    parser.add_argument("--key", type=Path, help="key file of the connection")
    parser.add_argument("--lifeline", type=int, help="descriptor of a pipe that closes when its starter ends")
    parser.add_argument("--warmed", action="store_true", help="all kernels are loaded")
    parser.add_argument("--limits", help="limits that differ from the defaults, as JSON")
    given = vars(parser.parse_args(arguments))
    # In force before anything is taken from anyone.
    if (text := given.pop("limits")) is not None:
        enforce(from_text(text))
    from .service import WorkerConfig, run

    run(WorkerConfig(**given))
