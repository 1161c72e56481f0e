"""What it costs to type `headrace`, and what every command has in common."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TypeAlias

import pytest

import headrace as hr
from headrace import names
from headrace.commands import app
from headrace.commands.ending import ending
from headrace.pipeline.errors import ServiceError

Headrace: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"

COMMANDS = ["serve", "worker", "run", "explain", "status", "stop", "doctor", "keys", "demo", "version"]
#: What takes a while to load, and is of use only to some commands.
HEAVY = ["numpy", "numba", "zmq", "msgpack", "PIL", "uvicorn", "starlette", "prometheus_client", "cloudpickle"]


@pytest.mark.parametrize("arguments", [["version"], ["--help"], *[[each, "--help"] for each in COMMANDS]])
def test_help_waits_for_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys, atexit
atexit.register(lambda: print(set({HEAVY!r}) & set(sys.modules)))
sys.argv = ["headrace", *{arguments!r}]
from headrace.__main__ import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "set()"


def test_every_command_and_option_says_what_it_does(headrace: Headrace) -> None:
    assert [command.callback.__name__ for command in app.registered_commands if command.callback] == COMMANDS
    for name in COMMANDS:
        ended = headrace(name, "--help")
        assert f"Usage: headrace {name}" in ended.stdout.replace("python -m headrace", "headrace")
        rows = [line for line in ended.stdout.splitlines() if line.startswith("│") and "--" in line]
        assert rows
        assert [row for row in rows if row.count("  ") < 2 or row.rstrip(" │").endswith(">")] == []


def test_an_unknown_command_is_exit_code_two(headrace: Headrace) -> None:
    ended = headrace("serv")
    assert ended.returncode == 2
    assert "No such command 'serv'" in ended.stderr


def test_an_error_of_ours_is_one_line_and_interrupts_are_130() -> None:
    import typer

    @ending("thing", 3)
    def fail() -> None:
        raise ServiceError("gone: start it again")

    @ending("thing")
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as failed:
        fail()
    with pytest.raises(typer.Exit) as interrupted:
        interrupt()
    assert (failed.value.exit_code, interrupted.value.exit_code) == (3, 130)


def test_the_front_door_offers_its_names_and_no_others() -> None:
    assert hr.__all__ == names.__all__
    assert all(getattr(hr, name) is getattr(names, name) for name in names.__all__)
    assert set(names.__all__) <= set(dir(hr))
    with pytest.raises(AttributeError, match="module 'headrace' has no attribute 'Datset'"):
        hr.Datset  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'headrace'"):
        from headrace import nothing  # type: ignore[attr-defined]  # noqa: F401
