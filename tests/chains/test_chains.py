"""Random chains: in process, with one worker, with three, and from any place on, the same bytes and errors."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import headrace as hr

from .chain import Files, files_in
from .checking import check
from .drawing import drawn

#: `python -m tests.chains 0-19999` checks more of them. Parts, since tests are shared out among processes.
CHAINS, PARTS = 500, 10
#: Seeds that found something.
FOUND = (
    449,  # of files that datasets in a dataset read, a failure named the one that was opened last
)


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, hr.Service]]:
    """Two of another shape each. Nobody asks for a second epoch: `python -m tests.chains` has it begun ahead."""
    with hr.serve(workers=1, prefill=False) as one, hr.serve(workers=3, prefill=False) as three:
        yield {"one worker": one, "three workers": three}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """What chains read."""
    return files_in(tmp_path_factory.mktemp("chains"))


@pytest.mark.parametrize("part", range(PARTS))
def test_any_chain_gives_the_same_everywhere(part: int, files: Files, services: dict[str, hr.Service]) -> None:
    @seed(part)
    @settings(
        max_examples=CHAINS // PARTS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    # Not dice that hypothesis throws one by one: drawing a chain would take longer than running it.
    @given(dice=st.randoms(use_true_random=True))
    def gives_the_same(dice: Any) -> None:
        check(drawn(dice, files), dice, services)

    gives_the_same()


@pytest.mark.parametrize("number", FOUND)
def test_what_was_found_once(number: int, files: Files, services: dict[str, hr.Service]) -> None:
    dice = random.Random(number)
    check(drawn(dice, files), dice, services)
