"""The board: a server's status as tables in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..quantities import show_bytes, show_seconds

__all__ = ["board"]


def board(status: dict[str, Any]) -> RenderableType:
    """The server, its workers and jobs."""
    parts: list[RenderableType] = [_head(status)]
    if status.get("trouble"):
        parts.append(Text(f"trouble: {status['trouble']}", "bold red"))
    if status.get("insecure"):
        parts.append(Text("insecure: whoever reaches a TCP port may use this server", "bold red"))
    if status.get("stopping"):
        parts.append(Text("it ends: epochs that run may finish, none begins", "yellow"))
    jobs = status.get("jobs") or []
    ledgers = [_ledgers(jobs)] if any(each.get("ledger") or each.get("ended_epochs") for each in jobs) else []
    return Group(*parts, _workers(status.get("workers") or []), _jobs(jobs), *ledgers)


def _head(status: dict[str, Any]) -> Text:
    up = show_seconds(float(status.get("uptime_s") or 0))
    memory = f", {show_bytes(status['rss_bytes'])} of memory" if status.get("rss_bytes") else ""
    lines = [f"headrace {status.get('version')} on {status.get('host')}, pid {status.get('pid')}, up {up}{memory}"]
    lines += [f"  {address}" for address in status.get("listen") or ()]
    return Text("\n".join(lines))


def _workers(workers: list[dict[str, Any]]) -> RenderableType:
    if not workers:
        return Text("no workers: start some with `headrace worker`")
    table = Table("worker", "host", title="workers", title_justify="left", box=None, header_style="bold")
    for name in ("leases", "busy", "parked", "heard"):
        table.add_column(name, justify="right")
    for each in workers:
        times = [show_seconds(float(each.get(key) or 0)) for key in ("busy_s", "parked_s", "heard_s")]
        name, host = escape(str(each.get("name"))), escape(str(each.get("host")))
        table.add_row(name, host, str(each.get("leases")), *times[:2], f"{times[2]} ago")
    return table


def _jobs(jobs: list[dict[str, Any]]) -> RenderableType:
    if not jobs:
        return Text("no jobs: no trainer has come yet")
    table = Table("job", "trainer", "state", title="jobs", title_justify="left", box=None, header_style="bold")
    for name in ("epoch", "made", "taken", "buffered"):
        table.add_column(name, justify="right")
    for each in jobs:
        counts = [f"{each.get(key) or 0:,}" for key in ("epoch", "produced", "acknowledged")]
        client = escape(str(each.get("client") or "gone"))
        buffered = show_bytes(each.get("buffered_bytes") or 0)
        table.add_row(str(each.get("job")), client, escape(_state(each)), *counts, buffered)
    return table


def _ledgers(jobs: list[dict[str, Any]]) -> RenderableType:
    """What became of all elements: in the epoch that runs, and in the last one that ended."""
    kinds = ("computed", "filtered", "skipped", "failed", "delivered", "dropped", "padded", "repeated")
    table = Table("job", "epoch", title="ledgers", title_justify="left", box=None, header_style="bold")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for each in jobs:
        ended = each.get("ended_epochs") or {}
        rows = {epoch: (f"{epoch}, ended", ended[epoch]) for epoch in sorted(ended, key=int)[-1:]}
        if each.get("ledger"):
            rows.setdefault(str(each.get("epoch")), (str(each.get("epoch")), each["ledger"]))
        for name, ledger in rows.values():
            counts = [f"{ledger.get(kind) or 0:,}" for kind in kinds]
            table.add_row(str(each.get("job")), name, *counts)
    return table


def _state(job: dict[str, Any]) -> str:
    if not job.get("running"):
        return "between epochs"
    return str(job.get("waiting") or "running")
