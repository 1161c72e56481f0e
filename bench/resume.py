"""What resuming costs: sizes of tokens, and seconds from loading one to the first batch, as a table.

`python -m bench.resume` takes a few minutes and about 400 MB of disk; `--elements 1000000` is quicker. For each kind of
data and size of shuffle buffer an epoch is run once, tokens are taken on the way, and each is loaded by a new iterator.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import headrace as hr

BUFFERS = (1 << 16, 1 << 14, 1 << 10)
POSITIONS = (0.1, 0.5, 0.99)
BATCH = 256


def equal(folder: Path, count: int) -> hr.Dataset:
    """Records of 64 bytes, a million in a file that is listed as often as it takes."""
    return listed(folder / "equal.tfrecord", (b"%064d" % i for i in range(min(count, 10**6))), count)


def criteo(folder: Path, count: int) -> hr.Dataset:
    """Examples as those of Criteo's click logs: a label, 13 integers and 26 hashes, 300 to 500 bytes."""
    draw = np.random.default_rng(1)
    return listed(folder / "criteo.tfrecord", (click(draw) for _ in range(min(count, 2 * 10**5))), count)


def click(draw: np.random.Generator) -> bytes:
    """One of them; some features are missing, as there."""
    integers = draw.integers(0, 1 << 17, 13)
    hashes = {f"c{i}": b"%08x" % int(draw.integers(1 << 32)) for i in range(26) if draw.random() < 0.8}
    return hr.io.make_example({"label": 1, **{f"i{i}": int(n) for i, n in enumerate(integers)}, **hashes})


def listed(path: Path, records: Iterator[bytes], count: int) -> hr.Dataset:
    """A file, written once, whose records come as often as it takes to have so many."""
    written = 0
    with hr.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
            written += 1
    return hr.TFRecordDataset([str(path)] * (count // written))


DATA: dict[str, Callable[[Path, int], hr.Dataset]] = {
    "range": lambda folder, count: hr.Dataset.range(count),
    "TFRecord, equal sizes": equal,
    "TFRecord, Criteo-like": criteo,
}


def begin(dataset: hr.Dataset, service: hr.Service | None, stack: ExitStack) -> Any:
    """An iterator; ended with the stack."""
    return iter(dataset) if service is None else stack.enter_context(service.iterate(dataset))


def tokens(dataset: hr.Dataset, service: hr.Service | None, batches: int) -> list[tuple[float, dict[str, Any], float]]:
    """Position, token and seconds that it took, on the way through an epoch."""
    found = []
    with ExitStack() as stack:
        iterator = begin(dataset, service, stack)
        at = 0
        for position in POSITIONS:
            while at < int(position * batches):
                next(iterator)
                at += 1
            since = time.perf_counter()
            token = iterator.state_dict()
            found.append((position, token, time.perf_counter() - since))
    return found


def resumed(dataset: hr.Dataset, service: hr.Service | None, token: dict[str, Any]) -> float:
    """Seconds from loading a token to the first batch."""
    with ExitStack() as stack:
        iterator = begin(dataset, service, stack)
        since = time.perf_counter()
        iterator.load_state_dict(token)
        next(iterator)
        return time.perf_counter() - since


def rows(elements: int, where: dict[str, hr.Service | None]) -> Iterator[str]:
    """The table, line by line."""
    titles = ["data", "shuffle buffer", "position", "token, bytes", *(f"{way}: taken in, resumed in" for way in where)]
    yield f"| {' | '.join(titles)} |"
    yield f"| {' | '.join('---' for _ in titles)} |"
    with tempfile.TemporaryDirectory() as folder:
        made = {name: make(Path(folder), elements) for name, make in DATA.items()}
        for size in BUFFERS:
            for name, data in made.items():
                dataset = data.shuffle(size).batch(BATCH, drop_remainder=True).with_options(hr.Options(seed=1))
                taken = {way: tokens(dataset, service, elements // BATCH) for way, service in where.items()}
                for each in zip(*taken.values(), strict=True):
                    yield row(name, size, list(zip(where.values(), each, strict=True)), dataset)


def row(name: str, size: int, taken: list[Any], dataset: hr.Dataset) -> str:
    """One position."""
    told = [f"{took * 1000:,.0f} ms, {resumed(dataset, service, token):.2f} s" for service, (_, token, took) in taken]
    sizes = " / ".join(f"{len(json.dumps(token)):,}" for _, (_, token, _) in taken)
    return f"| {name} | {size:,} | {taken[0][1][0]:.0%} | {sizes} | {' | '.join(told)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", type=int, default=10**7)
    parser.add_argument("--in-process", action="store_true", help="without a service")
    arguments = parser.parse_args()
    busy = os.getloadavg()[0]
    print(f"{arguments.elements:,} elements an epoch, batches of {BATCH}, {os.cpu_count()} cores, load {busy:.1f}\n")
    with ExitStack() as stack:
        where: dict[str, hr.Service | None] = {"in process": None}
        if not arguments.in_process:
            where["service"] = stack.enter_context(hr.serve(workers=2))
        for line in rows(arguments.elements, where):
            print(line, flush=True)


if __name__ == "__main__":
    main()
