"""The sheet: a server's status as a page for people."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from .quantities import show_bytes, show_seconds

__all__ = ["STYLE", "sheet"]

STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1c2b33; }
h1 { font-size: 1.3rem; } h2 { font-size: 1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d5dde1; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.well { color: #1a6b3c; } .trouble { color: #a32020; font-weight: 600; }
@media (prefers-color-scheme: dark) {
  body { background: #14191c; color: #dbe4e8; } th, td { border-color: #37444b; }
  .well { color: #6cc48d; } .trouble { color: #ff8a80; }
}
"""


def sheet(status: dict[str, Any]) -> str:
    """The page, as HTML that reloads every five seconds."""
    title = f"headrace on {status.get('host') or 'this host'}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">',
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="style.css">',
        f"<title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>",
        _state(status),
        "<h2>Workers</h2>",
        _table(
            ["worker", "host", "leases", "busy", "parked", "heard"],
            [_worker(each) for each in _all(status, "workers")],
            2,
        ),
        "<h2>Jobs</h2>",
        _table(
            ["job", "client", "state", "epoch", "produced", "acknowledged", "buffered"],
            [_job(each) for each in _all(status, "jobs")],
            3,
        ),
        '<p><a href="metrics">metrics</a> · <a href="healthz">health</a></p></body></html>',
    ]
    return "\n".join(parts)


def _all(status: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return list(status.get(key) or ())


def _state(status: dict[str, Any]) -> str:
    trouble = status.get("trouble")
    state = str(trouble) if trouble else ("it ends" if status.get("stopping") else "all is well")
    up = show_seconds(float(status.get("uptime_s") or 0))
    text = f"version {status.get('version', '')}, up {up}, pid {status.get('pid', '')}"
    text = ", ".join([text, *(status.get("listen") or ())])
    insecure = (
        '<p class="trouble">insecure: whoever reaches a TCP port may use it</p>' if status.get("insecure") else ""
    )
    kind = "trouble" if trouble or status.get("stopping") else "well"
    return f'<p class="{kind}">{escape(state)}</p>{insecure}<p>{escape(text)}</p>'


def _worker(worker: dict[str, Any]) -> list[str]:
    times = [show_seconds(float(worker.get(key) or 0)) for key in ("busy_s", "parked_s", "heard_s")]
    return [
        str(worker.get("name", "")),
        str(worker.get("host", "")),
        str(worker.get("leases", "")),
        *times[:2],
        f"{times[2]} ago",
    ]


def _job(job: dict[str, Any]) -> list[str]:
    counts = [f"{job.get(key) or 0:,}" for key in ("epoch", "produced", "acknowledged")]
    state = str(job.get("waiting") or ("running" if job.get("running") else "between epochs"))
    client = str(job.get("client") or "gone")
    return [str(job.get("job", "")), client, state, *counts, show_bytes(job.get("buffered_bytes") or 0)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """A table whose columns from `numbers` on hold numbers."""
    if not rows:
        return "<p>none</p>"

    def row(tag: str, cells: Sequence[str]) -> str:
        kinds = [' class="number"' if i >= numbers else "" for i in range(len(cells))]
        made = [f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)]
        return f"<tr>{''.join(made)}</tr>"

    return f"<table>{row('th', heads)}{''.join(row('td', each) for each in rows)}</table>"
