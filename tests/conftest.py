"""What tests share: ways to run a pipeline, and files to run it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.limits import Limits, enforce, limits

from .daemons import Daemon

#: From a dataset and a number of epochs to all elements of each of the first epochs.
Run: TypeAlias = Callable[..., list[list[Any]]]


def in_process(dataset: Dataset, epochs: int = 1) -> list[list[Any]]:
    """In this process; the other ways must give the same."""
    return [list(dataset.iterate(epoch)) for epoch in range(epochs)]


@pytest.fixture(scope="session")
def service() -> Iterator[hr.Service]:
    """A service with two workers, one for all tests: what it is told must not break it."""
    with hr.serve(workers=2) as service:
        yield service


@pytest.fixture(scope="session")
def daemon() -> Iterator[hr.Service]:
    """A service of a server that runs by itself, over TCP, with two workers that joined it; one for all tests."""
    with Daemon(("--workers=0",), tcp=True) as daemon:
        daemon.join(workers=2)
        with daemon.connect() as service:
            yield service


@pytest.fixture(params=["in process", "service", "daemon"])
def run(request: pytest.FixtureRequest) -> Run:
    """`run(dataset, epochs=1)`: all elements of the first epochs, one list an epoch."""
    if request.param == "in process":
        return in_process
    service: hr.Service = request.getfixturevalue(request.param)

    def served(dataset: Dataset, epochs: int = 1) -> list[list[Any]]:
        with service.iterate(dataset) as iterator:
            return [list(iterator) for _ in range(epochs)]

    return served


@pytest.fixture(params=["in process", "service", "daemon"])
def where(request: pytest.FixtureRequest) -> hr.Service | None:
    """Where an iterator runs: None is in this process."""
    service: hr.Service | None = None if request.param == "in process" else request.getfixturevalue(request.param)
    return service


@pytest.fixture
def outcomes() -> Callable[[Iterator[Any]], list[Any]]:
    """`outcomes(iterator)`: its elements in order, and, where one fails, the kind and text of its error."""
    return all_outcomes


def all_outcomes(iterator: Iterator[Any]) -> list[Any]:
    """Elements and errors, up to the end."""
    found: list[Any] = []
    while True:
        try:
            found.append(next(iterator))
        except StopIteration:
            return found
        except hr.HeadraceError as error:
            found.append((type(error), str(error)))
            if len(found) > 100_000:
                raise AssertionError("this never ends") from error


@pytest.fixture
def enforced() -> Iterator[Callable[..., None]]:
    """`enforced(element_bytes=1000)`: these limits are in force in this process until the test ends."""
    before = limits()
    yield lambda **wanted: (enforce(Limits(**wanted)), None)[1]
    enforce(before)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder of its own as `tmp_path`, with a path so short that sockets fit below it."""
    with TemporaryDirectory(prefix="hr-") as folder:
        yield Path(folder)


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
