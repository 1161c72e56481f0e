"""Many runs of the simulated cluster, one from each seed: what happened in them, and which broke a promise.

    python -m tests.simulation.seeds 0-999

A seed that failed is printed with the command that runs it alone, and as it would stand in the corpus.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from time import monotonic

from headrace.pipeline.dataset import Dataset

from .cluster import Cluster
from .graphs import NAMES, graphs
from .scenario import Scenario, draw

__all__ = ["Tally", "play", "run"]

#: After so many seeds the command says how it goes.
CHUNK = 250


@dataclass(slots=True)
class Tally:
    """What happened in some runs."""

    seeds: int = 0
    crashes: int = 0
    torn: int = 0  #: Transactions that power cuts took from the disk.
    recoveries: int = 0  #: Checkpoints whose held elements were computed again.
    parked: int = 0  #: Runs that were stopped because their client was gone.
    killings: int = 0  #: Workers that elements cost.
    scalings: int = 0
    compactions: int = 0
    saved: int = 0  #: Tokens that were given,
    loaded: int = 0  #: and loaded again.
    failed: dict[int, str] = field(default_factory=dict)  #: Seeds that broke a promise, and which.

    def add(self, cluster: Cluster) -> None:
        """One more run has come to its end."""
        self.seeds += 1
        self.crashes += cluster.crashes
        self.torn += cluster.host.disk.torn
        self.recoveries += len(cluster.host.recovered)
        self.parked += cluster.host.parked
        self.killings += cluster.crew.killings
        self.scalings += cluster.crew.scalings
        self.compactions += cluster.host.disk.compactions
        self.saved += len(cluster.saved)
        self.loaded += sum(trainer.loads for trainer in cluster.trainers)

    def lines(self) -> Iterator[str]:
        """For people: what happened, what failed, and how to see it again."""
        for seed, reason in self.failed.items():
            yield f"seed {seed}: {reason}"
            yield f"  again: python -m tests.simulation.seeds {seed}"
            yield f"  for the corpus: {json.dumps(draw(seed, NAMES).to_data())}"
        counts = [each for each in fields(self) if each.name != "failed"]
        yield ", ".join(f"{each.name} {getattr(self, each.name):,}" for each in counts) + f", failed {len(self.failed)}"


def play(scenario: Scenario, pipelines: Mapping[str, Dataset]) -> Cluster:
    """Run it to its end, and see that nothing is left.

    Raises:
        Lost: a promise was broken.
    """
    cluster = scenario.cluster(pipelines).run()
    cluster.settle()
    return cluster


def run(seeds: Iterable[int], pipelines: Mapping[str, Dataset], tally: Tally | None = None) -> Tally:
    """Run these seeds to their ends, whatever becomes of them; what happened is added to a tally."""
    tally = Tally() if tally is None else tally
    for seed in seeds:
        try:
            tally.add(play(draw(seed, NAMES), pipelines))
        except Exception as error:
            tally.failed[seed] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return tally


def _asked(words: Sequence[str]) -> Iterator[int]:
    """Seeds on a command line: `131`, or `0-500`."""
    for word in words:
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def main(words: Sequence[str]) -> int:
    """Run the seeds that were asked for; the number of those that failed."""
    begun, seeds = monotonic(), list(_asked(words))
    with tempfile.TemporaryDirectory() as folder:
        pipelines = graphs(Path(folder))
        tally = Tally()
        for first in range(0, len(seeds), CHUNK):
            run(seeds[first : first + CHUNK], pipelines, tally)
            if len(seeds) > CHUNK:
                print(f"up to {seeds[: first + CHUNK][-1]}:", list(tally.lines())[-1], flush=True)
        if len(seeds) == len(tally.failed) == 1:  # with all that there is to say of it
            play(draw(seeds[0], NAMES), pipelines)
    print(*tally.lines(), sep="\n")
    print(f"in {monotonic() - begun:.1f} s")
    return len(tally.failed)


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
