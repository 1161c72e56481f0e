"""What tests of the real service share: looking at its processes, and waiting for what must come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TypeAlias

import pytest

import headrace as hr

__all__ = ["Eventually", "Folder", "Processes"]

#: `eventually(condition, within_s=...)`: returns what the condition gives once that is true; fails after the deadline.
Eventually: TypeAlias = Callable[..., object]
#: `processes(folder, kind="")`: pids of the living server and workers of a run directory.
Processes: TypeAlias = Callable[..., list[int]]
Folder: TypeAlias = Callable[[hr.Service], Path]


@pytest.fixture
def eventually() -> Eventually:
    """`eventually(condition, within_s=60)`: waits for what must become true, and fails if it does not."""

    def wait(condition: Callable[[], object], within_s: float = 60.0) -> object:
        until = monotonic() + within_s
        while not (found := condition()):
            assert monotonic() < until, f"not within {within_s} s"
            threading.Event().wait(0.02)
        return found

    return wait


@pytest.fixture
def run_folder() -> Folder:
    """`run_folder(service)`: its run directory."""
    return lambda service: Path(service.address.removeprefix("ipc://")).parent


@pytest.fixture
def processes() -> Processes:
    """`processes(folder, kind="")`: pids of what runs from a run directory: its server, its workers, or both."""

    def find(folder: Path | str, kind: str = "") -> list[int]:
        found = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
        return [pid for pid in found if str(folder) in (words := command_of(pid)) and f"headrace {kind}" in words]

    return find


def command_of(pid: int) -> str:
    """The command line of a living process; nothing where it is gone."""
    try:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return ""
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
