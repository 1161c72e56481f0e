"""Scenarios: all that a run of the simulated cluster depends on, drawn from a seed or written down."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset

from .cluster import Cluster
from .trainer import Saved
from .weather import Faults

__all__ = ["LEAST", "Scenario", "draw", "elsewhere"]

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


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run: its dice, pipeline, weather, limits and sizes."""

    seed: int
    pipeline: str
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=Limits)
    workers: int = 2
    piece: int = 3
    slots: int = 2
    window: int = 3
    consumers: int = 1
    even: str = "drop"
    late_s: float = 0.0  #: So much later the last consumer comes.
    slow: float = 1.0  #: So many times as long the first one thinks.
    start: Saved | None = None  #: Where it goes on.
    leaves_at: tuple[int, int] | None = None  #: Before this epoch and element the last one leaves.

    def cluster(self, pipelines: Mapping[str, Dataset]) -> Cluster:
        """The cluster that plays it."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "pipeline"}
        return Cluster(dataset=pipelines[self.pipeline], **given)

    def saving(self) -> Scenario:
        """The same, with a token now and then."""
        return replace(self, faults=replace(self.faults, saves=2.0))

    def in_(self, faults: Faults, consumers: int) -> Scenario:
        """The same with other faults, for so many consumers that stay."""
        return replace(self, faults=faults, consumers=consumers, leaves_at=None)

    def to_data(self) -> dict[str, Any]:
        """As plain data, without what is as always."""
        least = Scenario(seed=self.seed, pipeline=self.pipeline)
        told = {"seed": self.seed, "pipeline": self.pipeline} | _difference(self, least)
        for name in ("faults", "limits"):
            if name in told:
                told[name] = _difference(told[name], getattr(least, name))
        return told

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Scenario:
        """The reverse of `to_data`."""
        given = dict(data)
        if "faults" in given:
            given["faults"] = Faults(**given["faults"])
        if "limits" in given:
            given["limits"] = Limits(**given["limits"])
        if "start" in given:
            given["start"] = Saved(*given["start"])
        if "leaves_at" in given:
            given["leaves_at"] = tuple(given["leaves_at"])
        return cls(**given)


def _difference(one: Any, other: Any) -> dict[str, Any]:
    names = [each.name for each in fields(one)]
    return {name: getattr(one, name) for name in names if getattr(one, name) != getattr(other, name)}


def draw(seed: int, names: Sequence[str]) -> Scenario:
    """What a seed stands for: a run of one of these pipelines."""
    dice = random.Random(seed)
    drawn = Scenario(
        seed=seed,
        pipeline=dice.choice(names),
        faults=_faults(dice),
        limits=_limits(dice),
        workers=dice.randint(1, 3),
        piece=dice.randint(1, 4),
        slots=dice.randint(1, 3),
        window=dice.randint(1, 5),
        **_consumers(dice),
    )
    # Who has left does not follow the others back.
    return drawn if drawn.leaves_at is None else replace(drawn, faults=replace(drawn.faults, rewinds=0))


def _consumers(dice: random.Random) -> dict[str, Any]:
    """One alone as often as several."""
    leaves = (dice.randint(0, 1), dice.randint(1, 6))
    found: dict[str, Any] = {
        "consumers": dice.choice([1, 1, 1, 2, 3, 4]),
        "even": dice.choice(["drop", "pad"]),
        "late_s": dice.choice([0.0, 0.0, 3.0]),
        "slow": dice.choice([1.0, 1.0, 5.0]),
        "leaves_at": dice.choice([None, None, None, leaves]),
    }
    return found if found["consumers"] > 1 else {}


def elsewhere(scenario: Scenario, saved: Saved, seed: int) -> Scenario:
    """The same pipeline, gone on with where it was saved, in another weather, with other workers and consumers."""
    return replace(draw(seed, [scenario.pipeline]), start=saved, leaves_at=None)


def _faults(dice: random.Random) -> Faults:
    return Faults(
        drop=dice.choice([0, 0.05, 0.1]),
        double=dice.choice([0, 0.1]),
        late=dice.choice([0, 0.03]),
        echo=dice.choice([0, 0, 0.1]),
        server_crashes=dice.choice([0, 0.3, 0.8]),
        power_cuts=dice.choice([0, 0.5]),
        worker_crashes=dice.choice([0, 0.4]),
        worker_stops=dice.choice([0, 0.1]),
        scaling=dice.choice([0, 0, 0.3]),
        client_crashes=dice.choice([0, 0.3]),
        client_away_s=dice.choice([0, 0, 6.0]),
        client_cuts=dice.choice([0, 0, 0.1]),
        compactions=dice.choice([0, 0.02, 0.2]),
        saves=dice.choice([0, 0.5]),
        rewinds=dice.choice([0, 0, 0.1]),
    )


def _limits(dice: random.Random) -> Limits:
    return Limits(
        budget_bytes=dice.choice([1, 200, 1 << 20]),
        window_bytes=dice.choice([1, 100, 1 << 20]),
        look_ahead=dice.randint(1, 6),
        rows_each=dice.randint(2, 12),
        splits_least=dice.choice([1, 4, 16]),
        checkpoint_elements=dice.choice([1, 3, 1000]),
        least_s=0,
        checkpoint_s=dice.choice([0.2, 100]),
        parcel_bytes=dice.choice([1, 100]),
    )
