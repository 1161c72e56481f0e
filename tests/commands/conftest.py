"""The command line as people use it: processes of its own, in folders of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from headrace.pipeline.running import daemon_folder, living

#: From arguments to the ended command.
Headrace: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for run directory, state and keys; with a path short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="hr-", dir="/tmp"))
    yield folder
    if (pid := living(daemon_folder(folder))) is not None:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)  # a worker of a killed server may still be in it


@pytest.fixture
def environment(place: Path) -> dict[str, str]:
    """What a command is started with, so that it touches nothing of the user's."""
    ours = ("HEADRACE_SERVER", "HEADRACE_KEY", "HEADRACE_CONFIG")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {
        "HEADRACE_RUN_DIR": str(place),
        "XDG_STATE_HOME": str(place / "state"),
        "XDG_CONFIG_HOME": str(place / "config"),
        "COLUMNS": "100",
    }


@pytest.fixture
def headrace(environment: dict[str, str]) -> Headrace:
    """`headrace("status", "--json")`: the command, run to its end."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "headrace", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return run
