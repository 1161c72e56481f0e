"""Limits that were set hold in the server and the workers, too, however those were started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr

from ..daemons import Daemon

Outcomes = Callable[[Iterator[Any]], list[Any]]


def sized() -> hr.Dataset:
    """Elements of 1,000 and 1,001 bytes."""
    return hr.Dataset.range(1000, 1002).map(lambda n: np.zeros(int(n), np.uint8))


def kinds(found: list[Any]) -> list[Any]:
    return [each[0].__name__ if isinstance(each, tuple) else len(each) for each in found]


def test_a_service_of_this_script_takes_its_limits_over(enforced: Callable[..., None], outcomes: Outcomes) -> None:
    enforced(element_bytes=1000)
    with hr.serve(workers=1) as service, service.iterate(sized()) as iterator:
        assert kinds(outcomes(iterator)) == [1000, "ResourceExhaustedError"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_server_takes_them_from_its_configuration_and_so_do_workers_elsewhere(
    elsewhere: bool, tmp_path: Path, outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[limits]\nelement = 1000\n")
    monkeypatch.setenv("HEADRACE_CONFIG", str(file))
    with Daemon((f"--workers={int(not elsewhere)}",)) as daemon:
        if elsewhere:
            daemon.join(workers=1)
        with daemon.connect() as service, service.iterate(sized()) as iterator:
            assert kinds(outcomes(iterator)) == [1000, "ResourceExhaustedError"]


def test_a_job_whose_name_is_too_long_is_refused_at_once(service: hr.Service) -> None:
    with service.iterate(hr.Dataset.range(3), name="n" * 255) as iterator:
        assert [int(each) for each in iterator] == [0, 1, 2]
    with pytest.raises(hr.InvalidArgumentError, match="1 to 255 bytes"):
        service.iterate(hr.Dataset.range(3), name="n" * 256)
