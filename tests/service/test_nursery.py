"""Workers are forked from a nursery, and are as if each had been started from nothing."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np

import headrace as hr

Processes = Callable[..., list[int]]
Folder = Callable[[hr.Service], Path]
Eventually = Callable[..., Any]


def about_itself(_: Any) -> tuple[int, int, float, float, int]:
    """Pid, parent, a number of each of the random generators that everybody shares, files that are not its own."""
    sleep(0.02)  # so that one worker does not take all
    names = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
    files = [name for name in names if Path(name).is_file() and not name.endswith(".box")]
    return os.getpid(), os.getppid(), random.random(), float(np.random.random()), len(files)


def test_workers_share_their_parent_and_nothing_of_their_chances_and_files(
    processes: Processes, run_folder: Folder, eventually: Eventually
) -> None:
    with hr.serve(workers=3) as service:
        folder = run_folder(service)
        eventually(lambda: len(processes(folder, "worker-process")) == 3)
        told = list(service.iterate(hr.Dataset.range(120).map(about_itself)))
    told = [tuple(map(float, each)) for each in told]
    first = {each[0]: each[2:] for each in reversed(told)}
    assert len(first) >= 2
    assert len({each[1] for each in told}) == 1, "the nursery"
    for generator in (0, 1):
        assert len({each[generator] for each in first.values()}) == len(first)
    assert {each[2] for each in first.values()} == {0}, "nothing of the server's is open"


def test_a_nursery_that_is_killed_takes_its_workers_with_it_and_others_start_without(
    processes: Processes, run_folder: Folder, eventually: Eventually, same: Any
) -> None:
    dataset = hr.Dataset.range(4000).map(lambda x: x * 2).shuffle(100, seed=1).batch(10)
    expected = list(dataset.iterate(0))
    with hr.serve(workers=2, budget_bytes=100_000) as service:
        folder = run_folder(service)
        batches = iter(service.iterate(dataset))
        got = [next(batches) for _ in range(5)]
        workers = eventually(lambda: len(found := processes(folder, "worker-process")) == 2 and found)
        (nursery,) = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in workers}
        os.kill(nursery, signal.SIGKILL)
        eventually(lambda: not set(workers) & set(processes(folder, "worker-process")))
        got += list(batches)
        (server,) = processes(folder, "server-process")
        others = eventually(lambda: len(found := processes(folder, "worker-process")) == 2 and found)
        assert {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in others} == {server}
    same(got, expected)
