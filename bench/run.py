"""The benchmark table: headrace and its peers by turns on the same data, medians of several runs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median

from measure import Report
from peers import torch_python
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from w1_data import w1_shards

HERE = Path(__file__).resolve().parent

VARIANTS = ("antialias", "plain")

#: More cores than this in use by others, and rates say little.
QUIET_CORES = 0.15

#: What must be the same whoever does the work.
OUTPUT = ("images", "batch_shape", "dtype", "label_sum")

#: Some machines set these for other software; they slow NumPy down or change what is measured.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def measured(python: Path, script: str, variant: str, pattern: str, workers: int) -> Report:
    """One run in a process of its own."""
    command = [str(python), str(HERE / script), "--pattern", pattern, "--variant", variant, "--workers", str(workers)]
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} --variant {variant} failed:\n{done.stderr[-4000:]}")
    return Report(**json.loads(done.stdout.splitlines()[-1]))


def check(reports: list[Report]) -> None:
    """Everybody delivered the same work."""
    for name in OUTPUT:
        found = {f"{report.subject} {report.variant}": getattr(report, name) for report in reports}
        if len({str(value) for value in found.values()}) > 1:
            raise SystemExit(f"the subjects disagree about {name}: {found}")


def medians(reports: list[Report], subject: str, variant: str) -> dict[str, float]:
    """The median of each figure over the runs of one subject; how far its warm rate ranged."""
    mine = [report for report in reports if (report.subject, report.variant) == (subject, variant)]
    names = ("first_epoch_per_s", "warm_epoch_per_s", "first_batch_s", "cpu_s", "peak_mb")
    figures = {name: median(getattr(report, name) for report in mine) for name in names}
    warm = [report.warm_epoch_per_s for report in mine]
    running = [report.running_batch_s for report in mine if report.running_batch_s is not None]
    figures |= {"running_batch_s": median(running)} if running else {}
    return figures | {"warm_least": min(warm), "warm_most": max(warm)}


def table(reports: list[Report], title: str) -> Table:
    """One row for each subject and variant; ratios are headrace's rate over the peer's."""
    view = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in ("\nresize", "\nby"):
        view.add_column(heading, no_wrap=True)
    headings = (
        "first\nimg/s",
        "warm\nimg/s",
        "\nrange",
        "first\nbatch s",
        "on a running\nserver s",
        "CPU\ns",
        "peak\nMB",
        "headrace is\nfirst, warm",
    )
    for heading in headings:
        view.add_column(heading, justify="right", no_wrap=True)
    for variant in VARIANTS:
        ours = medians(reports, "headrace", variant)
        for subject in dict.fromkeys(report.subject for report in reports):
            row = medians(reports, subject, variant)
            ratios = (ours[name] / row[name] for name in ("first_epoch_per_s", "warm_epoch_per_s"))
            view.add_row(
                variant,
                subject,
                f"{row['first_epoch_per_s']:,.0f}",
                f"{row['warm_epoch_per_s']:,.0f}",
                f"{row['warm_least']:.0f}-{row['warm_most']:.0f}",
                f"{row['first_batch_s']:.2f}",
                f"{row['running_batch_s']:.2f}" if "running_batch_s" in row else "",
                f"{row['cpu_s']:.1f}",
                f"{row['peak_mb']:,.0f}",
                "" if subject == "headrace" else ", ".join(f"{ratio:.2f}x" for ratio in ratios),
            )
    return view


def save(path: Path, reports: list[Report], arguments: argparse.Namespace) -> None:
    """Every run so far, with what it ran on, as JSON."""
    path.parent.mkdir(exist_ok=True)
    facts = {
        "workload": "w1",
        "headrace": version("headrace"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "cpus": os.cpu_count(),
        "workers": arguments.workers,
        "runs": [asdict(report) for report in reports],
    }
    path.write_text(json.dumps(facts, indent=1) + "\n")


def subjects(peers: Path, console: Console) -> list[tuple[Path, str]]:
    """Interpreter and script of each subject that can run here, headrace first."""
    found = [(Path(sys.executable), "w1_headrace.py")]
    torch, why = torch_python(peers)
    if torch is None:
        console.print(f"PyTorch is left out, it cannot be installed here: {why}", highlight=False)
    else:
        found.append((torch, "w1_torch.py"))
    return found


def measure_all(arguments: argparse.Namespace, results: Path, console: Console) -> list[Report]:
    """Every subject and variant by turns, so that what else the machine does meets all of them."""
    pattern = str(w1_shards(arguments.data, arguments.images) / "train-*.tfrecord")
    turns = product(range(arguments.runs), VARIANTS, subjects(arguments.peers, console))
    reports: list[Report] = []
    for turn, variant, (python, script) in turns:
        console.print(f"run {turn + 1} of {arguments.runs}: {script}, {variant}", highlight=False)
        reports.append(measured(python, script, variant, pattern, arguments.workers))
        save(results, reports, arguments)
    return reports


def main() -> None:
    """Make what is missing, measure by turns, show the medians."""
    home = Path.home() / ".cache" / "headrace-bench"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, default=home, help="kept between runs")
    parser.add_argument("--peers", type=Path, default=HERE.parent / ".venv-peers", help="the peers' environment")
    arguments = parser.parse_args()
    console = Console()
    results = HERE / "results" / f"w1-{time.strftime('%Y%m%d-%H%M%S')}.json"
    reports = measure_all(arguments, results, console)
    check(reports)
    title = f"W1: {arguments.images:,} JPEGs to 224x224; {arguments.workers} workers, median of {arguments.runs}"
    console.print(table(reports, title))
    if (others := median(report.others_cores for report in reports)) > QUIET_CORES:
        console.print(f"The machine was busy: others used {others:.1f} cores. Trust the CPU seconds, not the rates.")
    console.print(f"Every run is in {results}", highlight=False)


if __name__ == "__main__":
    main()
