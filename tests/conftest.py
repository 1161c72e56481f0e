"""What tests share: ways to run a pipeline, and files to run it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from headrace import Dataset

#: From a dataset and a number of epochs to all elements of each of the first epochs.
Run: TypeAlias = Callable[..., list[list[Any]]]


def in_process(dataset: Dataset, epochs: int = 1) -> list[list[Any]]:
    """In this process; the other ways must give the same."""
    return [list(dataset.iterate(epoch)) for epoch in range(epochs)]


@pytest.fixture(params=[pytest.param(in_process, id="in process")])
def run(request: pytest.FixtureRequest) -> Run:
    """`run(dataset, epochs=1)`: all elements of the first epochs, one list an epoch."""
    way: Run = request.param
    return way


@pytest.fixture
def text_file(tmp_path: Path) -> Callable[..., str]:
    """`text_file(content, name="a.txt")`: the path of a file with this content."""

    def write(content: bytes, name: str = "a.txt") -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


@pytest.fixture
def same() -> Callable[[Any, Any], None]:
    """`same(one, other)`: fails unless two nestings are equal in structure, dtype, shape and content."""
    return assert_same


def assert_same(one: Any, other: Any) -> None:
    """Equal in structure, dtype, shape and content."""
    assert type(one) is type(other), f"{type(one)} and {type(other)}"
    if isinstance(one, dict):
        assert sorted(one) == sorted(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, np.ndarray | np.generic):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other
