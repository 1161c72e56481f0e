"""The report: where the time of a trial went."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from ..quantities import show_bytes, show_seconds
from ..trial import Trial

__all__ = ["report"]


def report(trial: Trial, before: dict[str, Any] | None, after: dict[str, Any] | None, console: Console) -> None:
    """Print it: the loop's time, and, from two statuses of the server, what its workers did meanwhile."""
    if not trial.delivered:
        return
    console.print(f"all: {trial.show()}, {show_bytes(trial.size)}")
    table = Table("where the time went", box=None, header_style="bold", pad_edge=False)
    table.add_column("time", justify="right")
    table.add_column("share", justify="right")
    seconds = max(trial.seconds, 1e-9)
    waited = "the loop waited for data" if after is not None else "the pipeline computed, in this process"
    _row(table, waited, trial.waited_s, seconds)
    _row(table, "the loop counted and compared", trial.seconds - trial.waited_s, seconds)
    if before is not None and after is not None:
        _workers(table, before, after, seconds)
    console.print(table)


def _row(table: Table, name: str, spent_s: float, of_s: float) -> None:
    table.add_row(name, show_seconds(max(0.0, spent_s)), f"{100 * spent_s / of_s:.0f} %")


def _workers(table: Table, before: dict[str, Any], after: dict[str, Any], seconds: float) -> None:
    """All workers together; they tell with each heartbeat, so that the last second may be missing."""
    earlier = {each["name"]: each for each in before.get("workers", ())}
    workers = after.get("workers", ())
    if not workers:
        return
    busy, parked = (
        sum(each.get(key, 0.0) - earlier.get(each["name"], {}).get(key, 0.0) for each in workers)
        for key in ("busy_s", "parked_s")
    )
    many, total = "1 worker" if len(workers) == 1 else f"{len(workers)} workers", len(workers) * seconds
    _row(table, f"{many} computed", busy, total)
    _row(table, f"{many} parked: no room for results yet", parked, total)
    _row(table, f"{many} had nothing to do", max(0.0, total - busy - parked), total)
