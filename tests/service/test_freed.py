"""What a process held for somebody who is gone, or for what failed, is freed at once, and not now and then."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np

import headrace as hr
from headrace.client.visit import visit
from headrace.pipeline.messages import AskStatus, Status

from ..daemons import Daemon

Eventually = Callable[..., Any]

#: Trainers that are killed in the middle of an epoch.
KILLED = """
import os, signal, sys
import numpy as np
import headrace as hr

dataset = hr.Dataset.range(4000).map(lambda x: np.full(3000, x, np.int32)).shuffle(128, seed=1).batch(32)
children = []
for _ in range(4):
    if (pid := os.fork()) == 0:
        batches = hr.connect(sys.argv[1], timeout_s=60.0).iterate(dataset)
        next(batches), next(batches)
        os.kill(os.getpid(), signal.SIGKILL)
    children.append(pid)
assert {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children} == {-signal.SIGKILL}
"""


def memory_files(pid: int) -> int:
    """How many descriptors of a process are of memory that it shares with others."""
    return sum("memfd:headrace" in str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir())


def test_a_server_keeps_no_memory_of_trainers_that_were_killed(eventually: Eventually) -> None:
    with Daemon(options=("--workers=1", "--idle=1 s", "--budget=32 MiB")) as daemon:
        assert daemon.server is not None
        command = [sys.executable, "-c", KILLED, daemon.address]
        subprocess.run(command, check=True, timeout=120, env=daemon.environment)
        eventually(lambda: status(daemon)["clients"] == 0)
        assert len(status(daemon)["jobs"]) == 4, "they may come back"
        assert memory_files(daemon.server.pid) == 1, "that by which peers on this host are told"


def status(daemon: Daemon) -> dict[str, Any]:
    answer = visit(daemon.address, AskStatus())
    assert isinstance(answer, Status)
    return answer.data


def test_what_a_function_had_at_hand_when_it_failed_is_not_kept_by_its_worker(service: hr.Service) -> None:
    def count(x: Any) -> Any:
        (gc.disable if x < 11 else gc.enable)()  # who is in a circle stays
        seen = sys.__dict__.setdefault("seen in this process", [])
        mine = np.zeros(1000)
        seen.append(ref(mine))
        if x % 2:
            return sum(each() is not None for each in seen)
        raise ValueError("no")

    outcomes: list[Any] = []
    with service.iterate(hr.Dataset.range(12).map(count)) as counts:
        while len(outcomes) < 12:
            try:
                outcomes.append(int(next(counts)))
            except hr.FunctionError:
                outcomes.append(None)
    assert outcomes == [None, 1] * 6


def test_an_iterator_that_is_dropped_when_it_raised_gives_its_job_back_at_once(service: hr.Service) -> None:
    def fail(x: Any) -> Any:
        raise ValueError("no")

    gc.disable()
    try:
        iterator = service.iterate(hr.Dataset.range(3).map(fail))
        with suppress(hr.FunctionError):
            next(iterator)
        gone = ref(iterator)
        del iterator
        assert gone() is None
    finally:
        gc.enable()
