"""A server and its workers, by what it says of itself."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

from .finding import Finding, fine, problem, warning
from .machine import check_descriptors

__all__ = ["check_service"]

#: What must agree, or else results may not: what to call it.
_AGREE = {"python": "Python", "numpy": "NumPy", "machine": "the architecture"}
SILENT_S = 10.0


def check_service(status: dict[str, Any]) -> Iterator[Finding]:
    """Its state, its versions, its workers, its jobs."""
    if status.get("trouble"):
        yield problem("server", str(status["trouble"]), "see its log")
    if status.get("stopping"):
        yield warning("server", "it ends, and begins no epoch", "start it again when it has ended")
    if status.get("kernels") is False:
        yield warning("kernels", "the server's are not compiled", "it compiles them at its next start")
    most = (status.get("descriptors") or {}).get("most")
    if isinstance(most, int):
        yield from check_descriptors(most, "the server")
    yield from _versions(status)
    yield from _workers(status)
    for job in status.get("jobs") or ():
        if job.get("running") and (job.get("waiting") or "").startswith(("there is no worker", "no worker has said")):
            yield problem("jobs", f"job {job.get('job')} waits: {job['waiting']}", "see what stands here of workers")


def _versions(status: dict[str, Any]) -> Iterator[Finding]:
    here = {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine()}
    theirs = status.get("versions") or {}
    mine = version("headrace")
    if status.get("version") != mine:
        text = f"the server is headrace {status.get('version')}, and this is {mine}"
        yield warning("versions", text, "install the same on both machines")
    yield from _compared("the server", theirs, here)
    for worker in status.get("workers") or ():
        yield from _compared(f"worker {worker.get('name')}", worker.get("versions") or {}, here)
    if all((each.get("versions") or {}).items() >= here.items() for each in status.get("workers") or ()):
        yield fine("versions", ", ".join(f"{name} {here[key]}" for key, name in _AGREE.items()) + " everywhere")


def _compared(who: str, theirs: dict[str, Any], here: dict[str, str]) -> Iterator[Finding]:
    differ = [f"{name} {theirs[key]}" for key, name in _AGREE.items() if theirs.get(key, here[key]) != here[key]]
    if differ:
        ours = ", ".join(f"{name} {here[key]}" for key, name in _AGREE.items())
        text = f"{who} has {', '.join(differ)}; here it is {ours}"
        yield warning("versions", text, "install the same everywhere: functions may give other results, or not load")


def _workers(status: dict[str, Any]) -> Iterator[Finding]:
    workers = status.get("workers") or []
    if not workers:
        fix = "start some: headrace worker --server ADDRESS, or the server with --workers"
        yield problem("workers", "there are none: every trainer waits", fix)
        return
    hosts = {str(each.get("host")) for each in workers}
    yield fine("workers", f"{len(workers)} on {', '.join(sorted(hosts))}")
    for each in workers:
        if (silent := float(each.get("heard_s") or 0)) > SILENT_S:
            text = f"{each.get('name')} on {each.get('host')} has said nothing for {silent:.0f} s"
            yield warning("workers", text, "a call of a function takes that long, or the machine hangs: see its output")
