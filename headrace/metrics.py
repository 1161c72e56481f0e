"""The metrics: a server's status in Prometheus's text format. docs/running.md lists names, units and meanings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

__all__ = ["metrics", "metrics_text"]

#: Of the server itself: status key, name, what it is.
_SERVER = (
    ("uptime_s", "uptime_seconds", "Time since the server's start."),
    ("incarnation", "incarnation", "Starts of the server on its state; grows with each."),
    ("stopping", "stopping", "1 while the server ends: it begins no epoch."),
    ("insecure", "insecure", "1 where anybody who reaches a TCP port may use the server."),
    ("rss_bytes", "resident_memory_bytes", "Memory of the server's process."),
    ("budget_bytes", "budget_bytes", "What computed and unconsumed elements may take."),
    ("clients", "clients", "Connected clients."),
)
#: Of a worker that has said hello.
_WORKER_GAUGES = (
    ("leases", "worker_leases", "Splits that the worker holds."),
    ("heard_s", "worker_silence_seconds", "Time since the worker was last heard."),
)
_WORKER_COUNTERS = (
    ("busy_s", "worker_busy_seconds", "Time that the worker computed."),
    ("parked_s", "worker_parked_seconds", "Time in which the worker had work and no room for its results."),
)
#: Of a job.
_JOB = (
    ("epoch", "job_epoch", "The epoch that the job is in, from 0."),
    ("produced", "job_epoch_produced_elements", "What the job's present epoch has made, batches where it makes those."),
    ("acknowledged", "job_epoch_acknowledged_elements", "Of those, what the training loop is done with."),
    ("buffered_bytes", "job_buffered_bytes", "Memory that the job's unconsumed elements take."),
    ("connected", "job_connected", "1 while the job's client is connected."),
    ("running", "job_running", "1 while an epoch of the job is under way."),
)
#: Since the server's start.
_TOTALS = (
    ("elements", "elements", "Elements made for trainers, batches where a pipeline makes those."),
    ("leases_repeated", "leases_repeated", "Leases that ended before their split was complete."),
)


def metrics(status: dict[str, Any]) -> Iterator[Metric]:
    """Every metric of a status; what the status does not say is left out.

    >>> [each.name for each in metrics({"uptime_s": 2.5, "totals": {"elements": 7}})]
    ['headrace', 'headrace_healthy', 'headrace_uptime_seconds', 'headrace_workers', 'headrace_elements']
    """
    about = {key: str(status.get(key, "")) for key in ("version", "protocol", "host")}
    yield InfoMetricFamily("headrace", "Version, protocol and host of the server.", value=about)
    healthy = not (status.get("trouble") or status.get("stopping"))
    yield GaugeMetricFamily("headrace_healthy", "1 while the server can do its work.", value=healthy)
    for key, name, text in _SERVER:
        if status.get(key) is not None:
            yield GaugeMetricFamily(f"headrace_{name}", text, value=float(status[key]))
    workers, jobs, totals = status.get("workers", ()), status.get("jobs", ()), status.get("totals", {})
    yield GaugeMetricFamily("headrace_workers", "Workers that are there.", value=len(workers))
    yield from _each(GaugeMetricFamily, _WORKER_GAUGES, workers, {"worker": "name", "host": "host"})
    yield from _each(CounterMetricFamily, _WORKER_COUNTERS, workers, {"worker": "name", "host": "host"})
    yield from _each(GaugeMetricFamily, _JOB, jobs, {"job": "job"})
    for key, name, text in _TOTALS:
        if key in totals:
            yield CounterMetricFamily(f"headrace_{name}", text, value=float(totals[key]))
    if "ledger" in totals:
        found = CounterMetricFamily("headrace_ledger", "What became of all elements, by kind.", labels=["kind"])
        for kind, value in totals["ledger"].items():
            found.add_metric([str(kind)], float(value))
        yield found


def _each(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily],
    table: tuple[tuple[str, str, str], ...],
    things: list[dict[str, Any]],
    labels: dict[str, str],
) -> Iterator[Metric]:
    """One metric for each row of a table, with a sample for each worker or job."""
    for key, name, text in table:
        found = family(f"headrace_{name}", text, labels=list(labels))
        for thing in things:
            if thing.get(key) is not None:
                found.add_metric([str(thing.get(each, "")) for each in labels.values()], float(thing[key]))
        if found.samples:
            yield found


class _Once:
    """A collector of one status."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.status = status

    def collect(self) -> Iterator[Metric]:
        """What a registry asks of a collector."""
        return metrics(self.status)


def metrics_text(status: dict[str, Any], accept: str = "") -> tuple[bytes, str]:
    """The metrics as Prometheus wants them, and their content type; `accept` is what it says that it takes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(status))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind
