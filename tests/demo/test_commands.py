"""The command line: what people type, and what it costs those who do not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from typer.testing import CliRunner

from headrace.commands import app


def test_version_says_which_headrace_is_installed() -> None:
    outcome = CliRunner().invoke(app, ["version"])
    assert (outcome.exit_code, outcome.stdout.strip()) == (0, version("headrace"))


def test_too_few_crops_are_refused_before_anything_is_made() -> None:
    outcome = CliRunner().invoke(app, ["demo", "--crops", "1"])
    assert outcome.exit_code == 2
    assert "than or equal to 640" in outcome.output


def test_what_goes_wrong_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    (tmp_path / "crops-640-v1").mkdir()
    outcome = CliRunner().invoke(app, ["demo", "--crops", "640", "--workers", "1", "--data", str(tmp_path)])
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("headrace demo: InvalidArgumentError: ")
    assert str(tmp_path / "crops-640-v1") in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_a_process_of_the_service_does_not_load_what_only_the_terminal_needs() -> None:
    question = "import sys, headrace.__main__; print({'typer', 'rich', 'PIL.ImageEnhance'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
