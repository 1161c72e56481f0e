"""What the adapters' tests share: a service, and the marker of tests that need PyTorch and JAX."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder is an adapters' test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.adapters)
