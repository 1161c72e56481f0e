"""A trainer to be harmed: a program that takes an element when it is told to, and prints what it was.

`python -m tests.chaos.trainer ADDRESS KEY` reads JSON objects, one a line. A `Start` begins its epoch 0, or goes on
with it; an empty one takes an element. It prints JSON objects, one a line: `{"outcome": digest or kind of error}`, and
at the end of the epoch `{"outcome": null, "ledger": {...}}`.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import headrace as hr

from .pipelines import PIPELINES, outcome_of

__all__ = ["EACH", "Start", "main"]

#: What a step of training takes: the workers wait for the trainer.
STEP_S = 0.003
#: A token is saved after so many elements.
EACH = 5


@dataclass(frozen=True, slots=True)
class Start:
    """What to train on, and how."""

    pipeline: str
    folder: str
    name: str = ""  #: Of the job, if it has one.
    save: bool = False  #: Whether to save tokens, as `folder/token-N` after N elements.
    token: int = 0  #: The one to go on from; 0 for none.


@dataclass(slots=True)
class Epoch:
    """One epoch, as far as it has come."""

    start: Start
    iterator: Any
    taken: int

    @classmethod
    def of(cls, start: Start, service: hr.Service) -> Epoch:
        """Begin it, or go on with it."""
        iterator = service.iterate(PIPELINES[start.pipeline](Path(start.folder)), name=start.name or None)
        if start.token:
            iterator.load_state_dict(pickle.loads(Path(start.folder, f"token-{start.token}").read_bytes()))
        return cls(start, iterator, start.token)

    def take(self) -> dict[str, Any]:
        """The next element, as it is printed."""
        Event().wait(STEP_S)
        outcome = outcome_of(self.iterator)
        if outcome is None:
            return {"outcome": None, "ledger": dict(self.iterator.summary().ledger)}
        self.taken += 1
        if self.start.save and self.taken % EACH == 0:
            place = Path(self.start.folder, f"token-{self.taken}")
            place.with_suffix(".new").write_bytes(pickle.dumps(self.iterator.state_dict()))
            place.with_suffix(".new").rename(place)
        return {"outcome": outcome}


def answers(service: hr.Service) -> Iterator[dict[str, Any]]:
    """To what comes in, until that ends."""
    epoch: Epoch | None = None
    for line in sys.stdin:
        if said := json.loads(line):
            if epoch is not None:
                epoch.iterator.close()
            epoch = Epoch.of(Start(**said), service)
        elif epoch is not None:
            yield epoch.take()


def main(address: str, key: str) -> None:
    """Train until the standard input ends."""
    with hr.connect(address, key=key, timeout_s=60.0) as service:
        for answer in answers(service):
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
