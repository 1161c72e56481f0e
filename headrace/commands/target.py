"""The server that a command speaks to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Config, load
from ..pipeline.errors import ServiceError
from ..pipeline.keys import ClientLock, read_client_key
from ..pipeline.running import daemon_folder, living
from ..pipeline.sockets import address_in

__all__ = ["Target", "ask_at", "find"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is, and how to come in."""

    address: str
    key: Path | None
    lock: ClientLock | None
    folder: Path | None  #: Its run directory, where it is the server of one on this machine.
    config: Config

    def ask(self, timeout_s: float = 10.0) -> dict[str, Any]:
        """What the server says of itself."""
        return ask_at(self.address, self.lock, timeout_s)


def find(server: str | None, key: Path | None, run_dir: Path | None, file: Path | None) -> Target:
    """The server that options, environment and configuration name; else that of the run directory.

    Raises:
        ServiceError: none is named, and none runs in the run directory.
        InvalidArgumentError: an option or the file says what cannot be.
        FileError: a key file that is none, or that others can read.
    """
    config = load(file) if file is not None else Config()
    server = server or (os.environ.get("HEADRACE_SERVER") if run_dir is None else None)
    key = key or (Path(named) if (named := os.environ.get("HEADRACE_KEY")) else None)
    config = config.changed(
        {"worker.server": ("--server", server), "worker.key": ("--key", key), "server.run_dir": ("--run-dir", run_dir)}
    )
    if server is not None:
        lock = read_client_key(config.worker.key) if config.worker.key is not None else None
        return Target(config.worker.server, config.worker.key, lock, None, config)
    folder = daemon_folder(config.server.run_dir)
    if living(folder) is None:
        raise ServiceError(
            f"no server is running in {folder}: start one with `headrace serve --detach`, or name one with --server"
        )
    return Target(address_in(folder), None, None, folder, config)


def ask_at(address: str, lock: ClientLock | None = None, timeout_s: float = 10.0) -> dict[str, Any]:
    """What a server says of itself.

    Raises:
        ServiceError: there was no answer in time; says whether it refused us or cannot be reached.
    """
    from ..client.visit import visit
    from ..pipeline.messages import AskStatus, Status

    answer = visit(address, AskStatus(), lock, timeout_s)
    assert isinstance(answer, Status), "the answer to AskStatus"
    return answer.data
