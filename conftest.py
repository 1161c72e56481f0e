"""What is not collected: modules for frameworks that are not installed; and what docstrings take for granted.

`make test-adapters` installs the frameworks.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import headrace as hr

collect_ignore = [
    path
    for framework in ("torch", "jax")
    if find_spec(framework) is None
    for path in (
        f"headrace/{framework}.py",
        f"tests/adapters/test_{framework}.py",
        f"tests/adapters/test_train_{framework}.py",
    )
]


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, Any]) -> None:
    """Examples are read as those of `hr.Dataset`, in whatever file of ours its methods stand."""
    doctest_namespace.update(hr=hr, np=np, Dataset=hr.Dataset)
