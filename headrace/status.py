"""The status: what a server's machine, its workers and jobs are doing, as plain data."""

from __future__ import annotations

from typing import Any

from .broker.run import Run
from .pipeline.messages import VERSION
from .server import Server

__all__ = ["status_of"]


def status_of(server: Server) -> dict[str, Any]:
    """What the machine knows of itself: protocol, incarnation, workers, jobs, totals, budget, trouble."""
    return {
        "protocol": VERSION,
        "incarnation": server.coordinator.incarnation,
        "trouble": server.trouble,
        "budget_bytes": server.broker.limits.budget_bytes,
        "workers": [_worker(server, name) for name in sorted(server.coordinator.workers)],
        "jobs": [_job(server, job) for job in sorted(server.broker.book.jobs)],
        "clients": len(server.broker.conversations),
        "totals": {
            "elements": server.broker.sent,
            "leases_repeated": server.coordinator.repeated,
        },
    }


def _worker(server: Server, name: str) -> dict[str, Any]:
    worker, met = server.coordinator.workers[name], server.met[name]
    return {
        "name": name,
        "host": met.versions.get("host", ""),
        "launcher": met.launcher,
        "leases": len(worker.leases),
        "busy_s": round(met.busy_s, 3),
        "parked_s": round(met.parked_s, 3),
        "heard_s": round(max(0.0, server.coordinator.now - worker.heard), 3),
        "versions": met.versions,
    }


def _job(server: Server, job: int) -> dict[str, Any]:
    entry = server.broker.book.jobs[job]
    run, talk = server.broker.runs.get(job), server.broker.conversations.get(job)
    found: dict[str, Any] = {
        "job": job,
        "epoch": entry.epoch,
        "acknowledged": entry.acknowledged,
        "client": talk.peer if talk is not None else "",
        "connected": talk is not None and talk.gone is None,
    }
    return found | (_run(server, run) if run is not None else {"produced": entry.acknowledged, "running": False})


def _run(server: Server, run: Run) -> dict[str, Any]:
    return {
        "running": not run.ended or run.outbox.acknowledged < run.outbox.produced,
        "produced": run.outbox.produced,
        "acknowledged": run.outbox.acknowledged,
        "ended": run.ended,
        "buffered_bytes": run.waiting_bytes,
        "waiting": None if run.ended else (server.coordinator.why_waiting() or run.why_waiting()),
        "ledger": run.ledger.to_data(run.outbox.produced),
    }
