"""`headrace run`: a pipeline by its file and name, in process and on a service."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Headrace: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"

SCRIPT = """
import headrace as hr
import numpy as np
from beside import FACTOR

def wide(x, rng):
    return np.full((3, 2), x * FACTOR, np.float32) + rng.random((3, 2), np.float32), str(x)

dataset = hr.Dataset.range(200).map(wide).shuffle(50, seed=5).batch(16).with_options(hr.Options(seed=9))
plain = hr.Dataset.range(7)
forever = hr.Dataset.range(7).repeat()
damaged = hr.Dataset.range(7).map(lambda x: 1 // int(x - 3))
number = 7

def made():
    return dataset

def broken():
    raise KeyError("nowhere")

if __name__ == "__main__":
    raise SystemExit("not as a script")
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script with datasets, beside a module that it imports."""
    (tmp_path / "beside.py").write_text("FACTOR = 3\n")
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path / "train.py"


def test_the_checksum_is_the_same_in_process_and_on_a_service(headrace: Headrace, script: Path) -> None:
    here = headrace("run", f"{script}:dataset", "--epochs", "2", "--checksum")
    there = headrace("run", f"{script}:made", "--epochs", "2", "--checksum", "--serve", "2")
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert re.fullmatch(r"checksum [0-9a-f]{32} of 26 batches\n", here.stdout)
    assert there.stdout == here.stdout


def test_it_says_how_much_there_was_and_where_the_time_went(headrace: Headrace, script: Path) -> None:
    ended = headrace("run", f"{script}:dataset", "--serve", "1")
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("epoch 0: 200 elements in 13 batches, ")
    assert re.search(r" elements/s, [0-9.,]+ MB/s, waited [0-9]+ %$", lines[0])
    assert lines[1].startswith("all: 200 elements in 13 batches, ")
    first = [line.split("  ")[0] for line in lines[2:]]
    assert first == [
        "where the time went",
        "the loop waited for data",
        "the loop counted and compared",
        "1 worker computed",
        "1 worker parked: no room for results yet",
        "1 worker had nothing to do",
    ]


def test_a_pipeline_without_batches_is_counted_in_elements(headrace: Headrace, script: Path) -> None:
    ended = headrace("run", f"{script}:plain", "--checksum")
    assert ended.stderr.startswith("epoch 0: 7 elements, ")
    assert ended.stdout.endswith(" of 7 elements\n")


def test_some_of_each_epoch_is_enough(headrace: Headrace, script: Path) -> None:
    ended = headrace("run", f"{script}:forever", "--take", "30", "--epochs", "2", "--checksum")
    assert ended.returncode == 0
    assert ended.stdout.endswith(" of 60 elements\n")


def test_a_pipeline_that_fails_is_exit_code_one_and_says_which_element(headrace: Headrace, script: Path) -> None:
    ended = headrace("run", f"{script}:damaged", "--checksum")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "headrace run: FunctionError: map(<lambda>) raised ZeroDivisionError" in ended.stderr
    assert "element 3]" in ended.stderr


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("train.py", "'train.py' names no dataset: write FILE.py:NAME, as train.py:dataset"),
        ("train:dataset", "'train:dataset' names no dataset"),
        ("train.py:a b", "names no dataset"),
        ("nowhere.py:dataset", "NotFoundError: nowhere.py: there is no such file"),
        ("train.py:nothing", "train.py has no 'nothing'; its datasets are: dataset, plain, forever, damaged"),
        ("train.py:number", "train.py:number is of type int, no Dataset and no function that returns one"),
        ("train.py:broken", "train.py:broken() failed: KeyError: 'nowhere' ("),
        ("faulty.py:dataset", "faulty.py cannot be imported: ZeroDivisionError: division by zero ("),
        ("random.py:dataset", "random.py is called like a module of Python's own: give it another name"),
        (
            "train.py:wide",
            "train.py:wide() failed: TypeError: wide() missing 2 required positional arguments: 'x' and 'rng'\n",
        ),
        ("wrong.py:dataset", "wrong.py cannot be imported: SyntaxError: invalid syntax (wrong.py, line 1)\n"),
        ("exits.py:dataset", "exits.py ends itself when it is imported (SystemExit: 0 ("),
    ],
)
def test_a_target_that_is_none_is_exit_code_two_and_one_line(
    headrace: Headrace, script: Path, monkeypatch: pytest.MonkeyPatch, target: str, expected: str
) -> None:
    (script.parent / "faulty.py").write_text("1 / 0")
    (script.parent / "wrong.py").write_text("1 /")
    (script.parent / "exits.py").write_text("raise SystemExit(0)")
    script.with_name("random.py").touch()
    monkeypatch.chdir(script.parent)
    ended = headrace("run", target)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("headrace run: ")
    assert expected in ended.stderr


def test_a_script_may_be_called_like_a_module_that_is_loaded(headrace: Headrace, script: Path) -> None:
    script.rename(script.with_name("typer.py"))
    ended = headrace("run", f"{script.with_name('typer.py')}:dataset", "--take", "1")
    assert ended.returncode == 0, ended.stderr


def test_two_ways_at_once_are_refused(headrace: Headrace, script: Path) -> None:
    ended = headrace("run", f"{script}:dataset", "--serve", "1", "--service")
    assert ended.returncode == 2
    assert "leave out --service and --server" in ended.stderr


def test_without_a_server_there_is_one_line_that_says_how_to_start_one(headrace: Headrace, script: Path) -> None:
    ended = headrace("run", f"{script}:dataset", "--service")
    assert ended.returncode == 2
    assert re.fullmatch(
        r"headrace run: ServiceError: no server is running in .*`headrace serve --detach`.*\n", ended.stderr
    )


def test_ctrl_c_ends_it_with_what_there_is_so_far(environment: dict[str, str], tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    text = f"import headrace as hr\ndef f(x):\n    if x == 9: open({str(begun)!r}, 'w').write('x')\n    return x\n"
    (tmp_path / "train.py").write_text(text + "dataset = hr.Dataset.range(10).repeat().map(f)\n")
    command = [sys.executable, "-P", "-m", "headrace", "run", f"{tmp_path / 'train.py'}:dataset", "--checksum"]
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert begun.read_text().startswith("x")
        process.send_signal(signal.SIGINT)
        # It may wait for somebody who reads of its tenth elements.
        reading = os.open(begun, os.O_RDONLY | os.O_NONBLOCK)
        stdout, stderr = process.communicate(timeout=60)
        os.close(reading)
    assert (process.returncode, stdout) == (130, "")
    assert "Traceback" not in stderr
