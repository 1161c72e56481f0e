"""Many chains, one from each seed: which of them did not give the same in every way of running.

    python -m tests.chains 0-999

It says how far it came after each hundred, so that it can be stopped and begun again from there. A seed that failed is
shown with its chain, and again by `python -m tests.chains SEED`.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import FrameType

import headrace as hr

from .chain import Files, files_in
from .checking import check
from .drawing import drawn

#: After so many seeds the command says how it goes.
CHUNK = 50
#: A chain that takes longer hangs.
HANGS_S = 120


def play(seed: int, files: Files, services: Mapping[str, hr.Service], tally: Counter[str]) -> None:
    """Draw the chain of a seed, and check it.

    Raises:
        Exception: whatever is wrong with it.
    """
    dice = random.Random(seed)
    found = check(drawn(dice, files), dice, services)
    tally["chains"] += 1
    tally["elements"] += found.elements
    tally["errors"] += found.errors
    tally["empty"] += not found.elements + found.errors


def _asked(words: Sequence[str]) -> Iterator[int]:
    """Seeds on a command line: `131`, or `0-500`."""
    for word in words:
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _hangs(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"not over within {HANGS_S} s")


def main(words: Sequence[str]) -> int:
    """Check the chains of the seeds that were asked for; the number of those that failed."""
    begun, seeds, failed = monotonic(), list(_asked(words)), 0
    tally: Counter[str] = Counter()
    signal.signal(signal.SIGALRM, _hangs)
    with ExitStack() as stack:
        files = files_in(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        services = {
            "one worker": stack.enter_context(hr.serve(workers=1, prefill=False)),
            "three workers": stack.enter_context(hr.serve(workers=3)),
        }
        for count, seed in enumerate(seeds, 1):
            signal.alarm(HANGS_S)
            try:
                play(seed, files, services, tally)
            except Exception as error:
                failed += 1
                lines = traceback.format_exception(error)
                shown = (
                    "\n".join([str(error), *error.__notes__]) if isinstance(error, AssertionError) else "".join(lines)
                )
                print(f"seed {seed}: {shown}", flush=True)
            signal.alarm(0)
            if count % CHUNK == 0 or count == len(seeds):
                print(f"up to {seed}: {dict(tally)}, failed {failed}, {monotonic() - begun:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
