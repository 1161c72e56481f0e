"""Seconds, CPU seconds and memory of this process and all below it. Standard library only: peers use it, too."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Report", "Stopwatch", "cpu_seconds", "machine_seconds", "proportional_bytes"]


def _tree(root: int) -> list[int]:
    """This process and its descendants, as far as they are alive."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as children:
                    todo += [int(child) for child in children.read().split()]
        except OSError:
            continue  # it has just ended
    return found


def cpu_seconds() -> float:
    """CPU time of the tree so far, with that of children which have ended; 0.0 where there is no /proc."""
    ticks = 0
    for pid in _tree(os.getpid()):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                ticks += sum(int(field) for field in stat.read().rsplit(")", 1)[1].split()[11:15])
        except OSError:
            continue
    return float(ticks) / os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """CPU time that the whole machine has spent so far on anything; 0.0 where there is no /proc."""
    try:
        with open("/proc/stat") as stat:
            user, nice, system, _, _, *rest = (int(field) for field in stat.readline().split()[1:9])
    except OSError:
        return 0.0
    return float(user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def proportional_bytes() -> int:
    """Memory of the tree with shared pages counted once (the sum of PSS); 0 where there is no /proc."""
    total = 0
    for pid in _tree(os.getpid()):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) * 1024
        except (OSError, StopIteration):
            continue
    return total


@dataclass(slots=True)
class Report:
    """What one run of one subject found; epoch 0 pays for starting, epoch 1 is warm."""

    subject: str
    variant: str
    images: int  #: Of each epoch.
    batch_shape: list[int]
    dtype: str
    label_sum: int  #: Of each epoch.
    first_batch_s: float
    first_epoch_per_s: float
    warm_epoch_per_s: float
    cpu_s: float  #: Of both epochs, starting included.
    peak_mb: float
    others_cores: float  #: Used meanwhile by processes that are none of ours; the less the better.
    running_batch_s: float | None = None  #: To the first batch of another iterator, where a server is running already.


class Stopwatch:
    """Times the epochs of a subject; memory is looked at by a thread, every half second."""

    def __init__(self) -> None:
        self.start, self.cpu, self.machine = time.perf_counter(), cpu_seconds(), machine_seconds()
        self.first_batch_s: float | None = None
        self.rates: list[float] = []
        self.facts: dict[str, Any] = {}
        self._peak, self._over = 0, threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._peak = max(self._peak, proportional_bytes())

    def epoch(self, batches: Iterable[Any]) -> None:
        """Take every batch of an epoch, touching each page; the first epoch counts from the stopwatch's making."""
        begin = time.perf_counter() if self.rates else self.start
        images = label_sum = 0
        shape, dtype = None, None
        for pictures, labels in batches:
            if self.first_batch_s is None:
                self.first_batch_s = time.perf_counter() - self.start
            pictures.reshape(-1)[::4096].sum()
            shape = shape or list(pictures.shape)
            dtype = dtype or str(pictures.dtype).removeprefix("torch.")
            images += len(labels)
            label_sum += int(labels.sum())
        self.rates.append(images / (time.perf_counter() - begin))
        facts = {"images": images, "batch_shape": shape, "dtype": dtype, "label_sum": label_sum}
        if self.facts and self.facts != facts:
            raise SystemExit(f"the epochs disagree: {self.facts} and {facts}")
        self.facts = facts

    def report(self, subject: str, variant: str, running: Callable[[], Iterable[Any]] | None = None) -> None:
        """Print one JSON line, while the subject's processes still run: how soon `running` gives a batch is in it."""
        cpu, machine = cpu_seconds() - self.cpu, machine_seconds() - self.machine
        others = (machine - cpu) / (time.perf_counter() - self.start)
        self._over.set()
        self._watcher.join()
        report = Report(
            subject=subject,
            variant=variant,
            **self.facts,
            first_batch_s=round(self.first_batch_s or 0.0, 3),
            first_epoch_per_s=round(self.rates[0], 1),
            warm_epoch_per_s=round(self.rates[-1], 1),
            cpu_s=round(cpu, 2),
            peak_mb=round(max(self._peak, proportional_bytes()) / 1e6, 1),
            others_cores=round(max(0.0, others), 2),
            running_batch_s=_first_of(running) if running is not None else None,
        )
        print(json.dumps(asdict(report)), flush=True)


def _first_of(running: Callable[[], Iterable[Any]]) -> float:
    """Seconds to the first batch, from asking for an iterator on."""
    begin = time.perf_counter()
    next(iter(running()))
    return round(time.perf_counter() - begin, 3)
