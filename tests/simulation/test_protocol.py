"""The whole protocol, in any weather: every element exactly once, in the order of the in-process run, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.pipeline.dataset import Dataset

from .cluster import Cluster
from .graphs import FIRST, graphs
from .seeds import run

#: The suite's seeds, this many at a time.
SEEDS, CHUNK = 500, 25

#: Seeds that found something while the protocol was made.
CORPUS = (3, 53, 60, 64, 82, 131)

NAMES = tuple(graphs.__annotations__) and tuple


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    return graphs(tmp_path_factory.mktemp("files"))
