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
            "ledger": server.broker.totals.sums(
                (run.job, run.epoch, run.numbers) for run in server.broker.runs.values() if run.opened
            ),
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
    entry, talks = server.broker.book.jobs[job], server.broker.talks(job)
    run = server.broker.runs.get((job, entry.epoch))
    there = [talk for talk in talks.values() if talk.gone is None]
    acknowledged = entry.settled(entry.epoch)
    found: dict[str, Any] = {
        "job": job,
        "name": entry.name,
        "epoch": entry.epoch,
        "acknowledged": acknowledged,
        "client": ", ".join(talk.peer for talk in talks.values()),
        "connected": bool(there),
        "consumers": [_consumer(server, job, consumer) for consumer in range(entry.consumers)],
        "ended_epochs": {str(each.epoch): each.ledger for each in server.broker.book.ended.get(job, {}).values()},
    }
    return found | (_run(server, run) if run is not None else {"produced": acknowledged, "running": False})


def _consumer(server: Server, job: int, consumer: int) -> dict[str, Any]:
    """Where one consumer of a job is; its acknowledged elements are its own rounds."""
    place, talk = server.broker.book.jobs[job].places[consumer], server.broker.conversations.get((job, consumer))
    return {
        "consumer": consumer,
        "epoch": place.epoch,
        "acknowledged": place.acknowledged,
        "left": place.left,
        "client": talk.peer if talk is not None else "",
        "connected": talk is not None and talk.gone is None,
    }


def _run(server: Server, run: Run) -> dict[str, Any]:
    return {
        "running": run.busy,
        "produced": run.rounds.produced,
        "acknowledged": min(run.rounds.settled, run.rounds.produced),
        "ended": run.ended,
        "buffered_bytes": run.waiting_bytes,
        "waiting": None if run.ended else (server.coordinator.why_waiting() or server.broker.why(run)),
        "ledger": run.numbers,
    }
