"""However a script ends, nothing of its service is left: no process, no socket, no run directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr

Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]
Folder = Callable[[hr.Service], Path]
Start = Callable[..., "subprocess.Popen[str]"]

#: No script has a main guard: none is needed.
ENDLESS = """
import headrace as hr

def slow(x):
    return x + 1

service = hr.serve(workers=2)
batches = service.iterate(hr.Dataset.range(10).map(slow).repeat().batch(5))
print(service.address, flush=True)
for batch in batches:
    print("batch", flush=True)
"""

STUCK = """
import headrace as hr

def stuck(x):
    open(marker, "w").close()
    while True:
        pass

marker = __file__ + ".stuck"
service = hr.serve(workers=2)
batches = service.iterate(hr.Dataset.range(10).map(stuck))
print(service.address, flush=True)
next(batches)
"""

STARTING = """
import headrace as hr

print("ipc://" + __file__ + "/s", flush=True)
while True:
    hr.serve(workers=1)
"""

WHOLE = """
import functools
import sibling
import headrace as hr

bias = 5
table = {0: "even", 1: "odd"}

def word(x, y):
    return table[int(x) % 2], y

class Add:
    def __init__(self, value):
        self.value = value

    def __call__(self, x):
        return x + self.value

def pairs(scale):
    return lambda x: (x, scale * x + bias)

dataset = (hr.Dataset.range(6).map(Add(1)).map(functools.partial(sibling.twice, plus=1))
           .filter(lambda x: bool(x > 3)).map(pairs(10)).map(word))
with hr.serve(workers=2) as service:
    print(service.address)
    for left, right in service.iterate(dataset):
        print(left.decode(), right)
"""

SIBLING = """
import threading
import sibling_of_sibling

lock = threading.Lock()  # which no pickle can hold, and no worker needs

def twice(x, plus):
    return sibling_of_sibling.FACTOR * x + plus
"""


@pytest.fixture
def start(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """`start(script)`: a Python process that runs this script, killed at the end if need be."""
    monkeypatch.setenv("HEADRACE_RUN_DIR", str(short_path))
    running: list[subprocess.Popen[str]] = []

    def run(script: str) -> subprocess.Popen[str]:
        path = short_path / "script.py"
        path.write_text(script)
        command = [sys.executable, str(path)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def leftovers(folder: Path, processes: Processes) -> list[Any]:
    """What is left of services under a folder: processes, sockets, run directories."""
    return [*processes(folder), *folder.glob("headrace-*/*")]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("script", [ENDLESS, STUCK], ids=["at work", "stuck"])
def test_nothing_is_left_of_a_script_that_is_ended(
    start: Start, processes: Processes, eventually: Eventually, short_path: Path, how: signal.Signals, script: str
) -> None:
    process = start(script)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ipc://")
    if script is STUCK:
        eventually((short_path / "script.py.stuck").exists)
    else:
        assert process.stdout.readline() == "batch\n"
    assert len(processes(short_path / f"headrace-{os.getuid()}")) == 3
    shared = set(Path("/dev/shm").iterdir())
    process.send_signal(how)
    eventually(lambda: not leftovers(short_path, processes), within_s=30)
    process.communicate(timeout=5)
    assert process.returncode == -how
    assert set(Path("/dev/shm").iterdir()) <= shared


def test_nothing_is_left_of_a_script_that_is_interrupted_while_services_start(
    start: Start, processes: Processes, eventually: Eventually, short_path: Path
) -> None:
    process = start(STARTING)
    eventually(lambda: len(processes(short_path, "server")) >= 2)
    process.send_signal(signal.SIGINT)
    eventually(lambda: not leftovers(short_path, processes), within_s=30)


def test_nothing_is_left_when_the_server_is_killed_and_the_script_ends(
    start: Start, processes: Processes, eventually: Eventually, short_path: Path
) -> None:
    process = start(ENDLESS)
    assert process.stdout is not None
    process.stdout.readline()
    (server,) = processes(short_path, "server")
    os.kill(server, signal.SIGKILL)
    eventually(lambda: not processes(short_path), within_s=30)
    _, said = process.communicate(timeout=20)
    assert "ServiceError" in said
    assert f"server process {server} has ended" in said
    eventually(lambda: not leftovers(short_path, processes), within_s=30)


def test_a_script_needs_no_main_guard_and_brings_its_own_modules_along(
    start: Start, processes: Processes, short_path: Path
) -> None:
    (short_path / "sibling.py").write_text(SIBLING)
    (short_path / "sibling_of_sibling.py").write_text("FACTOR = 2")
    process = start(WHOLE)
    said, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    numbers = [2 * (x + 1) + 1 for x in range(6)]
    assert said.splitlines()[1:] == [f"odd {10 * x + 5}" for x in numbers if x > 3]
    assert not leftovers(short_path, processes), "all is gone when the script ends"


def test_all_is_gone_when_close_returns(processes: Processes, run_folder: Folder) -> None:
    with hr.serve(workers=2) as service:
        folder = run_folder(service)
        assert folder.stat().st_mode & 0o777 == 0o700
        iterator = service.iterate(hr.Dataset.range(100).batch(2))
        next(iterator)
        assert processes(folder)
        assert "running" in repr(service)
    assert not processes(folder)
    assert not folder.exists()
    assert "closed" in repr(service)
    assert "closed" in repr(iterator)
    service.close()
    iterator.close()
    for use in (lambda: next(iterator), lambda: iterator.get_next(), lambda: service.iterate(hr.Dataset.range(2))):
        with pytest.raises(hr.FailedPreconditionError, match="closed"):
            use()


def test_an_error_in_the_loop_closes_the_service(processes: Processes, run_folder: Folder) -> None:
    def loop() -> None:
        with hr.serve(workers=1) as service:
            folders.append(run_folder(service))
            raise KeyError

    folders: list[Path] = []
    with pytest.raises(KeyError):
        loop()
    assert not processes(folders[0])


def test_two_services_at_once(service: hr.Service, processes: Processes, run_folder: Folder) -> None:
    dataset = hr.Dataset.range(20).map(lambda x: x * x).batch(3)
    with hr.serve(workers=1) as other:
        assert run_folder(other) != run_folder(service)
        for one, two in zip(service.iterate(dataset), other.iterate(dataset), strict=True):
            assert one.tolist() == two.tolist()
    assert processes(run_folder(service))
    assert len(list(service.iterate(dataset))) == 7


def test_a_service_without_workers_is_refused() -> None:
    with pytest.raises(hr.InvalidArgumentError, match="workers is 0"):
        hr.serve(workers=0)
