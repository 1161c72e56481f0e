"""Decoders of untrusted bytes: whatever comes, they take it or refuse it with an error of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .decoders import DECODERS
from .guard import COMPILED

ROOT = Path(__file__).parents[2]
#: `FUZZ_TIMES=20` tries so many times as much, and other inputs each time.
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
FUZZED = settings(
    max_examples=150 * TIMES,
    deadline=None,
    derandomize=TIMES == 1,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("name", DECODERS)
def test_real_inputs_are_taken(name: str) -> None:
    taken = [DECODERS[name].survives(each) for each in DECODERS[name].inputs()]
    assert any(taken), "otherwise there would be nothing to damage"


@pytest.mark.parametrize("name", DECODERS)
def test_damaged_inputs_are_taken_or_refused(name: str) -> None:
    @FUZZED
    @given(st.randoms(use_true_random=False))
    def holds(rng: Random) -> None:
        decoder = DECODERS[name]
        decoder.survives(decoder.changed(rng))

    holds()


@pytest.mark.parametrize("name", DECODERS)
def test_random_bytes_are_taken_or_refused(name: str) -> None:
    @settings(FUZZED, max_examples=50 * TIMES)
    @given(st.binary(max_size=200))
    def holds(data: bytes) -> None:
        DECODERS[name].survives(data)

    holds()


def guarded(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.guard", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def test_compiled_code_reads_nothing_outside_its_buffers() -> None:
    ran = guarded("1", str(150 * TIMES))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [line.split()[0] for line in ran.stdout.splitlines()] == list(COMPILED)


def test_who_reads_outside_of_guarded_memory_is_killed() -> None:
    ran = guarded("trap")
    assert ran.stdout == f"{sum(b'abc')}\n"
    assert ran.returncode in (-signal.SIGSEGV, -signal.SIGBUS)
