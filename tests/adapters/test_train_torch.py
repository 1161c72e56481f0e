"""The training example: it learns, and says so where it does not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import headrace as hr

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_torch.py"


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


def test_it_learns_with_a_service_of_its_own() -> None:
    run = train()
    assert run.returncode == 0, run.stderr
    losses = [float(each) for each in re.findall(r"loss ([0-9.]+)", run.stdout)]
    assert len(losses) == 6
    assert losses[-1] < losses[0] / 4
    assert run.stdout.endswith("learned\n")


def test_on_a_running_server_it_learns_too(service: hr.Service, tmp_path: Path) -> None:
    run = train("--connect", service.address, "--data", str(tmp_path), "--epochs", "3")
    assert run.returncode == 0, run.stderr
    assert len(list(tmp_path.glob("train-*.tfrecord"))) == 4


def test_where_it_has_not_learned_it_fails(service: hr.Service, tmp_path: Path) -> None:
    run = train("--connect", service.address, "--data", str(tmp_path), "--epochs", "0")
    assert run.returncode == 1
    assert "has not learned" in run.stdout
