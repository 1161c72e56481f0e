"""Each safeguard of the protocol is taken away in turn, and the cluster notices; with it the same runs are clean."""

from __future__ import annotations

import pytest

from headrace.pipeline.dataset import Dataset

from .ablations import ABLATIONS

#: How many seeds are tried at most, and how many must go wrong.
TRIED, WRONG = 40, 3


@pytest.mark.parametrize("safeguard", ABLATIONS)
def test_without_a_safeguard_runs_go_wrong_and_with_it_none_does(pipelines: dict[str, Dataset], safeguard: str) -> None:
    ablation = ABLATIONS[safeguard]
    noticed = ablation.wrong(range(TRIED), pipelines, WRONG)
    assert sum(noticed) == WRONG, f"{safeguard}: of {len(noticed)} seeds without it {sum(noticed)} went wrong"
    for seed in range(len(noticed)):
        ablation.play(seed, pipelines)
