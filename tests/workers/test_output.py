"""A worker's output is read in whole lines, and its last words are not lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.workers.output import LONGEST, Output, print_named


@pytest.fixture
def pipes() -> Iterator[tuple[Output, int, int]]:
    output, (out, errors) = Output.open()
    yield output, out, errors
    list(output.close())
    for descriptor in (out, errors):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test has closed it


def test_lines_come_whole_and_of_each_stream_by_itself(pipes: tuple[Output, int, int]) -> None:
    output, out, errors = pipes
    assert list(output.read()) == []
    os.write(out, b"one\ntwo\nthr")
    os.write(errors, b"oh\n")
    assert list(output.read()) == [("one\ntwo", 1), ("oh", 2)]
    os.write(out, b"ee\n")
    assert list(output.read()) == [("three", 1)]


def test_the_last_words_of_the_dead_are_read_also_without_a_line_end(pipes: tuple[Output, int, int]) -> None:
    output, out, errors = pipes
    os.write(out, b"first\nlast")
    os.write(errors, b"Segmentation fault")
    os.close(out)
    os.close(errors)
    assert list(output.close()) == [("first\nlast", 1), ("Segmentation fault", 2)]
    assert output.descriptors == []


def test_a_child_that_holds_the_pipe_does_not_keep_us(pipes: tuple[Output, int, int]) -> None:
    output, out, _ = pipes
    os.write(out, b"said")
    assert list(output.close()) == [("said", 1)]


def test_a_closed_stream_is_not_polled_any_more(pipes: tuple[Output, int, int]) -> None:
    output, out, _ = pipes
    os.close(out)
    list(output.read())
    assert len(output.descriptors) == 1


def test_a_line_without_an_end_is_handed_on_when_it_is_long(pipes: tuple[Output, int, int]) -> None:
    output, out, _ = pipes
    os.write(out, b"x" * (LONGEST + 1))
    assert list(output.read()) == [("x" * (LONGEST + 1), 1)]


def test_bytes_that_are_no_text_are_shown_as_such(pipes: tuple[Output, int, int]) -> None:
    output, out, _ = pipes
    os.write(out, b"\xff\n")
    assert list(output.read()) == [("\N{REPLACEMENT CHARACTER}", 1)]


def test_each_line_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_named("worker-3", "one\ntwo", 1)
    print_named("worker-3", "oh", 2)
    assert capsys.readouterr() == ("[worker-3] one\n[worker-3] two\n", "[worker-3] oh\n")


SHOWN = "from headrace.workers.output import print_named; print_named('w', 'caf\u00e9', 1); print_named('w', 'more', 2)"


def test_what_a_terminal_has_no_letters_for_is_shown_all_the_same() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    shown = subprocess.run([sys.executable, "-c", SHOWN], env=environment, capture_output=True, check=True)
    assert (shown.stdout, shown.stderr) == (b"[w] caf\\xe9\n", b"[w] more\n")


def test_where_nothing_can_be_written_what_workers_print_is_left_out() -> None:
    with Path("/dev/full").open("wb") as full:
        shown = subprocess.run(
            [sys.executable, "-c", f"{SHOWN}; import os; os._exit(7)"], stdout=full, stderr=full, check=False
        )
    assert shown.returncode == 7
