"""Each built-in operator in process, ending in `batch(1024)`, beside tf.data: rates by turns and their ratio."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from operator_cases import CASES
from peers import tensorflow_python
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from run import UNSET

import headrace as hr

HERE = Path(__file__).resolve().parent
VERSION = 1

#: What every operator should reach.
BAR = 0.9

Rates = dict[str, list[float]]


def files(home: Path) -> Path:
    """The folder of what readers read; made when it is not there yet, then kept."""
    folder = home / f"operators-v{VERSION}"
    if not folder.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=home) as scratch:
            made = Path(scratch) / "files"
            made.mkdir()
            _write(made)
            made.rename(folder)
    return folder


def _write(folder: Path) -> None:
    rng = np.random.default_rng(VERSION)
    with hr.io.TFRecordWriter(folder / "examples.tfrecord") as writer:
        for label in range(262_144):
            writer.write(hr.io.make_example({"dense": rng.random(13, np.float32), "label": label}))
    with hr.io.TFRecordWriter(folder / "rows.tfrecord") as writer:
        for length in rng.integers(0, 16, 65_536):
            writer.write(hr.io.make_example({"ids": rng.integers(0, 1000, length)}))
    (folder / "lines.txt").write_bytes(b"".join(b"line %d of a text\n" % number for number in range(262_144)))
    (folder / "records.bin").write_bytes(rng.bytes(64 * 262_144))
    rows = (b"%d,%.4f,word%d\n" % (number, number / 7, number % 100) for number in range(131_072))
    (folder / "rows.csv").write_bytes(b"".join(rows))


def rates(python: Path, library: str, folder: Path, only: str) -> dict[str, float]:
    """One run of a library in a process of its own."""
    command = [str(python), str(HERE / "operators_one.py"), library, "--files", str(folder), "--only", only]
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{library} failed:\n{done.stderr[-4000:]}")
    lines = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return {line["case"]: line["per_s"] for line in lines}


def table(ours: Rates, theirs: Rates, title: str) -> Table:
    """One row a case; the reason stands where a ratio is below the bar."""
    view = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    view.add_column("operator")
    for heading in ("headrace /s", "tf.data /s", "ratio"):
        view.add_column(heading, justify="right", no_wrap=True)
    view.add_column("")
    for case in CASES:
        if case.name not in ours:
            continue
        mine, other = median(ours[case.name]), median(theirs.get(case.name, [0.0]))
        ratio = mine / other if other else None
        remark = "" if ratio is None or ratio >= BAR else (case.reason or "BELOW THE BAR")
        view.add_row(case.name, f"{mine:,.0f}", f"{other:,.0f}", "" if ratio is None else f"{ratio:.2f}x", remark)
    return view


def main() -> None:
    """Measure by turns, show the medians, keep every run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument(
        "--data", type=Path, default=Path.home() / ".cache" / "headrace-bench", help="kept between runs"
    )
    parser.add_argument("--peers", type=Path, default=HERE.parent / ".venv-peers-tf", help="the peer's environment")
    arguments = parser.parse_args()
    console = Console()
    peer, why = tensorflow_python(arguments.peers)
    if peer is None:
        console.print(f"tf.data is left out, it cannot be installed here: {why}", highlight=False)
    folder = files(arguments.data)
    found: dict[str, Rates] = {"headrace": {}, "tf.data": {}}
    for turn in range(arguments.runs):
        for library, python in (("headrace", Path(sys.executable)), ("tf.data", peer)):
            if python is not None:
                console.print(f"run {turn + 1} of {arguments.runs}: {library}", highlight=False)
                for case, rate in rates(python, library, folder, arguments.only).items():
                    found[library].setdefault(case, []).append(rate)
    results = HERE / "results" / f"operators-{time.strftime('%Y%m%d-%H%M%S')}.json"
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(found, indent=1) + "\n")
    console.print(table(found["headrace"], found["tf.data"], f"elements a second, median of {arguments.runs}"))
    console.print(f"Every run is in {results}", highlight=False)


if __name__ == "__main__":
    main()
