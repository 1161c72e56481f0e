"""A trainer to be harmed: a program that takes an element when it is told to, and prints what it was.

`python -m tests.chaos.trainer ADDRESS KEY` reads lines: a pipeline's name and a folder, separated by a tab, begin its
epoch 0; `next` takes an element. It prints JSON objects, one a line: `{"outcome": digest or kind of error}`, and at the
end of the epoch `{"outcome": null, "ledger": {...}}`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from threading import Event

import headrace as hr

from .pipelines import PIPELINES, outcome_of

__all__ = ["main"]

#: What a step of training takes: the workers wait for the trainer.
STEP_S = 0.003


def main(address: str, key: str) -> None:
    """Train until the standard input ends."""
    with hr.connect(address, key=key, timeout_s=60.0) as service:
        iterator = None
        for line in sys.stdin:
            if line != "next\n":
                if iterator is not None:
                    iterator.close()
                pipeline, _, folder = line.rstrip("\n").partition("\t")
                iterator = service.iterate(PIPELINES[pipeline](Path(folder)))
                continue
            assert iterator is not None
            Event().wait(STEP_S)
            outcome = outcome_of(iterator)
            ledger = iterator.summary().ledger if outcome is None else None
            print(json.dumps({"outcome": outcome, "ledger": ledger}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
