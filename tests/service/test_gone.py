"""Trainers that are gone: what they held is given back, and those that return go on. Busy ones are left in peace."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import headrace as hr
from headrace.client.visit import visit
from headrace.pipeline.messages import AskStatus, Status

from .serving import Daemon

Eventually = Callable[..., Any]

TRAINER = """
import signal, sys
import numpy as np
import headrace as hr
service = hr.connect(sys.argv[1])
iterator = service.iterate(hr.Dataset.range(3000).map(lambda x: np.full(500, x)).shuffle(200, seed=1))
print(int(next(iterator)[0]), flush=True)
sys.stdin.readline()
print(*(int(each[0]) for each in iterator), flush=True)
"""


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """It waits for one second."""
    made = Daemon(tmp_path_factory.mktemp("d"))
    made.start("--idle-s=1", "--lease-s=10", "--grace-s=60")
    yield made
    made.stop()


@pytest.fixture
def trainer(daemon: Daemon) -> Iterator[subprocess.Popen[str]]:
    """In the middle of an epoch, busy with its first element until it is told to go on."""
    command = [sys.executable, "-c", TRAINER, daemon.address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
        process.kill()


def status(daemon: Daemon) -> dict[str, Any]:
    answer = visit(daemon.address, AskStatus(), None, 20.0)
    assert isinstance(answer, Status)
    return answer.data


def stopped(daemon: Daemon) -> bool:
    """Whether nothing is computed or held for the only job, which is still known."""
    data = status(daemon)
    (job,) = data["jobs"]
    return "buffered_bytes" not in job and not job["connected"] and not any(each["leases"] for each in data["workers"])


def test_what_a_killed_trainer_held_is_given_back(
    daemon: Daemon, trainer: subprocess.Popen[str], eventually: Eventually
) -> None:
    assert status(daemon)["jobs"][0]["connected"]
    trainer.kill()
    eventually(lambda: stopped(daemon), within_s=60)


def test_a_trainer_that_was_stopped_for_long_goes_on_with_the_same_elements(
    daemon: Daemon, trainer: subprocess.Popen[str], eventually: Eventually
) -> None:
    trainer.send_signal(signal.SIGSTOP)
    eventually(lambda: stopped(daemon), within_s=60)
    trainer.send_signal(signal.SIGCONT)
    rest, _ = trainer.communicate("go on\n", timeout=60)
    assert trainer.returncode == 0
    expected = [int(each) for each in hr.Dataset.range(3000).shuffle(200, seed=1).iterate(0)]
    assert [int(each) for each in rest.split()] == expected[1:]


def test_a_trainer_that_is_busy_for_long_keeps_its_run(
    daemon: Daemon, trainer: subprocess.Popen[str], eventually: Eventually
) -> None:
    begun = status(daemon)["uptime_s"]
    eventually(lambda: status(daemon)["uptime_s"] > begun + 6, within_s=60)
    (job,) = status(daemon)["jobs"]
    assert job["connected"]
    assert "buffered_bytes" in job
    assert trainer.poll() is None


def test_a_server_that_is_asked_to_end_does_not_wait_for_trainers_that_are_gone(
    daemon: Daemon, trainer: subprocess.Popen[str]
) -> None:
    trainer.kill()
    trainer.wait()
    daemon.stop()
    assert daemon.process is not None
    assert daemon.process.returncode == 0, "within 30 s, although 60 are allowed"
