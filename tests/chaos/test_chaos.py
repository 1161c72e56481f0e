"""Real processes and sockets, a slow trainer, and what goes wrong: the same batches, or the error in docs/faults.md.

A dozen rows of the matrix are played with every run; all of them with `make test-chaos`. HEADRACE_CHAOS_SEED is another
seed: it decides when faults come, to whom, and how much of a message is cut off.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from .matrix import CELLS, PLACES, Cell
from .pipelines import undisturbed
from .stage import Stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit and /proc, which Linux has")

SEED = os.environ.get("HEADRACE_CHAOS_SEED", "1")
#: Cells of one stage, one after the other.
ORDERED = sorted(CELLS, key=lambda cell: PLACES[cell.place][1:])


class Stages:
    """One stage at a time; it serves as long as nothing fails, and the same is asked for."""

    def __init__(self) -> None:
        self.stage: Stage | None = None

    def of(self, home: int, away: int) -> Stage:
        """The one at hand, or a new one."""
        if self.stage is not None and (self.stage.home, self.stage.away) != (home, away):
            self.clear()
        if self.stage is None:
            self.stage = Stage(home, away)
            self.stage.__enter__()
        return self.stage

    def clear(self) -> None:
        """There is none."""
        stage, self.stage = self.stage, None
        if stage is not None:
            stage.__exit__(None, None, None)


@pytest.fixture(scope="module")
def stages() -> Iterator[Stages]:
    """To play on."""
    made = Stages()
    yield made
    made.clear()


def play(cell: Cell, stages: Stages) -> None:
    """The epoch with this fault in it."""
    expected = list(undisturbed(cell.pipeline))
    _, home, away = PLACES[cell.place]
    stage = stages.of(home, away)
    try:
        found = stage.play(
            cell.pipeline,
            cell.harm,
            cell.strikes,
            f"{SEED} {cell.name}",
            named=cell.place == "trainer named",
            save=cell.place == "trainer token",
        )
        assert len(found) == len(expected)
        wrong = [number for number, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]]
        assert not wrong, f"element {wrong[0]} and others: {len(wrong)} of {len(expected)}"
    except BaseException:
        stages.clear()  # the next one is to begin with a new cluster
        raise


@pytest.mark.parametrize("cell", [each for each in ORDERED if each.quick], ids=lambda cell: cell.name)
def test_what_must_come_of_it_comes(cell: Cell, stages: Stages) -> None:
    play(cell, stages)


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.parametrize("cell", [each for each in ORDERED if not each.quick], ids=lambda cell: cell.name)
def test_what_must_come_of_it_comes_in_the_rest_of_the_matrix(cell: Cell, stages: Stages) -> None:
    play(cell, stages)
