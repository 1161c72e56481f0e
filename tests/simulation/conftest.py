"""What the simulated cluster's tests share: pipelines over files of their own."""

from __future__ import annotations

import pytest

from headrace.pipeline.dataset import Dataset

from .graphs import graphs


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """All pipelines by name."""
    return graphs(tmp_path_factory.mktemp("files"))
