"""Runs of the simulated cluster, drawn from one seed each: weather, limits, pipeline, size.

A seed that fails in the suite can be run alone:

    python -m tests.simulation.seeds 131
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset

from .cluster import Cluster
from .graphs import graphs
from .weather import Faults

__all__ = ["LEAST", "Tally", "cluster", "run"]

#: As little as can be: everything waits for everything.
LEAST = Limits(
    budget_bytes=1,
    window_bytes=1,
    look_ahead=1,
    rows_each=1,
    splits_least=1,
    parcel_bytes=1,
    checkpoint_elements=1,
    least_s=0,
)


@dataclass(slots=True)
class Tally:
    """What happened in some runs."""

    seeds: int = 0
    crashes: int = 0
    recoveries: int = 0  #: Checkpoints whose held elements were computed again.
    parked: int = 0  #: Runs that were stopped because their client was gone.
    compactions: int = 0


def cluster(seed: int, choice: Sequence[Dataset]) -> Cluster:
    """A cluster that runs one of these pipelines; all else is drawn from the seed too."""
    draw = random.Random(seed)
    other = random.Random(~seed)  # so that a seed still draws what it did before this was drawn
    echo = other.choice([0, 0, 0.1])
    faults = Faults(
        echo=echo,
        drop=draw.choice([0, 0.05, 0.15]),
        double=draw.choice([0, 0.1]),
        late=draw.choice([0, 0.03]),
        server_crashes=draw.choice([0, 0.2, 0.5]),
        worker_crashes=draw.choice([0, 0.3]),
        worker_stops=draw.choice([0, 0.1]),
        client_crashes=draw.choice([0, 0.2]),
        client_away_s=other.choice([0, 0, 6.0]),
        client_cuts=other.choice([0, 0, 0.1]),
        compactions=other.choice([0, 0.02, 0.2]),
    )
    limits = Limits(
        budget_bytes=draw.choice([1, 200, 1 << 20]),
        window_bytes=draw.choice([1, 100, 1 << 20]),
        look_ahead=draw.randint(1, 6),
        rows_each=draw.randint(2, 20),
        splits_least=draw.choice([1, 4, 16]),
        checkpoint_elements=draw.choice([1, 3, 1000]),
        least_s=0,
        checkpoint_s=draw.choice([0.2, 100]),
        parcel_bytes=draw.choice([1, 100]),
    )
    return Cluster(
        seed,
        draw.choice(choice),
        faults=faults,
        limits=limits,
        workers=draw.randint(1, 3),
        piece=draw.randint(1, 4),
        slots=draw.randint(1, 3),
        window=draw.randint(1, 5),
    )


def run(seeds: Sequence[int], choice: Sequence[Dataset]) -> Tally:
    """Run these seeds to their ends; the first that breaks a promise is named."""
    tally = Tally()
    for seed in seeds:
        try:
            done = cluster(seed, choice).run()
            done.settle()
        except Exception as error:
            error.add_note(f"seed {seed}; alone: python -m tests.simulation.seeds {seed}")
            raise
        tally.seeds += 1
        tally.crashes += done.crashes
        tally.recoveries += done.recoveries
        tally.parked += done.parked
        tally.compactions += done.disk.compactions
    return tally


def _asked(words: Sequence[str]) -> Iterator[int]:
    """Seeds on a command line: `131`, or `0-500`."""
    for word in words:
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    begun = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        print(run(list(_asked(sys.argv[1:])), list(graphs(Path(folder)).values())), f"in {monotonic() - begun:.1f} s")
