"""A server that people run: started in one terminal, used from others, ended in good order."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, TypeAlias
from urllib.request import urlopen

import pytest

import headrace as hr
from headrace.pipeline.running import daemon_folder, living

Headrace: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"
#: Long enough for a loaded machine; nothing here takes so long otherwise.
DEADLINE_S = 60.0

#: A trainer of another terminal: prints its batches, and waits after the first until it is told to go on.
TRAINER = """
import headrace as hr

def double(x):
    if x == 30:
        print("thirty", flush=True)
    return x * 2

with hr.connect() as service:
    batches = service.iterate(hr.Dataset.range(600).map(double).shuffle(50, seed=3).batch(20))
    for number, batch in enumerate(batches):
        print(*batch, flush=True)
        if number == 0:
            input()
print("done", flush=True)
"""


def trained() -> list[str]:
    """What it prints in the end."""
    batches = hr.Dataset.range(600).map(lambda x: x * 2).shuffle(50, seed=3).batch(20)
    return [*(" ".join(map(str, batch)) for batch in batches), "done"]


def until(condition: Callable[[], object]) -> Any:
    """Waits for what must become true, and fails if it does not."""
    end = monotonic() + DEADLINE_S
    while not (found := condition()):
        assert monotonic() < end, f"not within {DEADLINE_S} s"
        Event().wait(0.05)
    return found


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start("worker", ...)`: a command that goes on while the test does."""
    begun: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path, module: bool = True) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", *(["-m", "headrace"] if module else []), *map(str, arguments)]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe))
        return begun[-1]

    yield run
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def status(headrace: Headrace) -> Callable[[], dict[str, Any]]:
    """`status()`: what the server says of itself."""

    def ask() -> dict[str, Any]:
        ended = headrace("status", "--json")
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    return ask


def test_the_session_of_three_terminals(
    headrace: Headrace, start: Callable[..., subprocess.Popen[str]], status: Callable[[], dict[str, Any]],
    place: Path, tmp_path: Path,
) -> None:  # fmt: skip
    started = headrace("serve", "--detach", "--workers", "1", "--metrics", "none")
    assert started.returncode == 0, started.stderr
    folder = daemon_folder(place)
    pid = living(folder)
    assert started.stdout.splitlines() == [
        f"serving at ipc://{folder}/server.sock, pid {pid}",
        f"log: {folder}/log",
        "to end it: headrace stop",
    ]

    (tmp_path / "train.py").write_text(TRAINER)
    trainer = start(tmp_path / "train.py", module=False)
    assert trainer.stdout is not None
    first = trainer.stdout.readline()
    [job] = until(lambda: status()["jobs"])
    assert (job["epoch"], job["connected"], job["running"]) == (0, True, True)
    table = headrace("status").stdout
    assert f"pid {pid}" in table
    assert str(job["client"]) in table

    helper = start("worker", "--workers", "1")
    assert helper.stderr is not None
    assert helper.stderr.readline() == f"headrace: connected to ipc://{folder}/server.sock with 1 worker\n"
    until(lambda: len(status()["workers"]) == 2)
    assert len({each["launcher"] for each in status()["workers"]}) == 2

    stop = start("stop", "--grace", "1 min")
    until(lambda: status()["stopping"])
    assert stop.poll() is None  # an epoch runs
    rest, said = trainer.communicate("\n", timeout=DEADLINE_S)
    assert trainer.returncode == 0, said
    assert [first.strip(), *rest.splitlines()] == trained()
    assert re.search(r"^\[worker-\S+\] thirty$", said, re.MULTILINE)
    goodbye, _ = stop.communicate(timeout=DEADLINE_S)
    assert (stop.returncode, goodbye) == (0, f"the server has ended (pid {pid})\n")
    assert living(folder) is None
    late = start(tmp_path / "train.py", module=False)
    assert f"no server runs here ({folder} has none): start one" in late.communicate(timeout=DEADLINE_S)[1]
    helper.send_signal(signal.SIGINT)
    helper.communicate(timeout=DEADLINE_S)
    assert helper.returncode == 0


def test_a_second_server_is_told_who_is_there_and_how_to_end_it(headrace: Headrace, place: Path) -> None:
    assert headrace("serve", "--detach", "--workers", "0", "--metrics", "none").returncode == 0
    pid, folder = living(daemon_folder(place)), daemon_folder(place)
    here, there = headrace("serve"), headrace("serve", "--detach")
    elsewhere = headrace("serve", "--run-dir", place / "other")
    assert [each.returncode for each in (here, there, elsewhere)] == [2, 2, 2]
    assert (
        f"the run directory {folder} is in use by the server with pid {pid}: end that one with `headrace stop`"
        in here.stderr
    )
    assert f"a server is running in {folder} already, pid {pid}: `headrace stop` ends it" in there.stderr
    assert f"the state directory {place}/state/headrace is in use by the server with pid {pid}" in elsewhere.stderr
    assert headrace("stop").returncode == 0


def test_what_keeps_a_server_from_starting_is_shown_from_its_log(headrace: Headrace, place: Path) -> None:
    ended = headrace("serve", "--detach", "--listen", "tcp://127.0.0.1:0", "--metrics", "none")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "the server did not start: it ended with status 2" in ended.stderr
    assert "NotFoundError" in ended.stderr
    assert "headrace keys" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert living(daemon_folder(place)) is None


def test_a_page_that_cannot_be_where_it_was_asked_for_is_an_error_and_by_default_stands_back(
    headrace: Headrace, place: Path
) -> None:
    ended = headrace("serve", "--metrics", "192.0.2.1:80")
    assert ended.returncode == 2
    assert "ServiceError: metrics.listen is '192.0.2.1:80': cannot listen there" in ended.stderr


def test_where_no_server_runs_stop_says_so_with_exit_code_one_and_status_with_two(headrace: Headrace) -> None:
    stopped, asked = headrace("stop"), headrace("status")
    assert (stopped.returncode, asked.returncode) == (1, 2)
    for ended in (stopped, asked):
        assert "no server is running in" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


def test_stop_says_what_it_cut_off_and_the_next_server_goes_on_with_it(
    headrace: Headrace, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    serve = ("serve", "--detach", "--workers", "1", "--metrics", "none")
    assert headrace(*serve).returncode == 0
    (tmp_path / "train.py").write_text(TRAINER)
    trainer = start(tmp_path / "train.py", module=False)
    assert trainer.stdout is not None
    first = trainer.stdout.readline()
    stopped = headrace("stop", "--now")
    assert stopped.returncode == 0
    assert re.search(r"^cut off: job \d+ in epoch 0, \d+ taken by its trainer;", stopped.stdout, re.MULTILINE)
    assert headrace(*serve).returncode == 0
    rest, said = trainer.communicate("\n", timeout=DEADLINE_S)
    assert trainer.returncode == 0, said
    assert [first.strip(), *rest.splitlines()] == trained()
    assert headrace("stop").returncode == 0


def test_in_the_foreground_it_prints_its_address_shows_its_page_and_ends_with_ctrl_c_in_good_order(
    start: Callable[..., subprocess.Popen[str]], place: Path
) -> None:
    server = start("serve", "--workers", "1", "--metrics", "127.0.0.1:0")
    assert server.stdout is not None
    assert server.stderr is not None
    assert server.stdout.readline() == f"ipc://{daemon_folder(place)}/server.sock\n"
    assert living(daemon_folder(place)) == server.pid
    errors = server.stderr
    page = until(lambda: re.match(r"headrace: metrics at (http://127\.0\.0\.1:\d+)/metrics\n", errors.readline()))[1]
    until(lambda: "headrace_workers 1.0\n" in fetch(f"{page}/metrics"))
    assert json.loads(fetch(f"{page}/healthz"))["healthy"] is True
    server.send_signal(signal.SIGINT)
    _, said = server.communicate(timeout=DEADLINE_S)
    assert server.returncode == 0
    assert said.endswith("headrace: the server has ended\n")
    assert "Traceback" not in said


def fetch(url: str) -> str:
    """What is there."""
    with urlopen(url, timeout=DEADLINE_S) as answer:
        return str(answer.read().decode())


def test_the_page_that_nobody_asked_for_stands_back_where_its_port_is_taken(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # somebody else has it: that will do
            taken.bind(("127.0.0.1", 7312))
            taken.listen()
        server = start("serve", "--workers", "0")
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ipc://")
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=DEADLINE_S)
    assert server.returncode == 0
    assert "headrace: no page of metrics: 127.0.0.1:7312 is taken; --metrics names another address" in said


def test_a_server_that_was_killed_is_not_in_the_way_of_the_next(headrace: Headrace, place: Path) -> None:
    serve = ("serve", "--detach", "--workers", "1", "--metrics", "none")
    assert headrace(*serve).returncode == 0
    pid = living(daemon_folder(place))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: living(daemon_folder(place)) is None)
    assert "no server is running in" in headrace("status").stderr
    started = headrace(*serve)
    assert started.returncode == 0, started.stderr
    assert living(daemon_folder(place)) not in (None, pid)
    assert headrace("stop").returncode == 0


def test_a_server_is_watched_until_ctrl_c(headrace: Headrace, start: Callable[..., subprocess.Popen[str]]) -> None:
    assert headrace("serve", "--detach", "--workers", "0", "--metrics", "none").returncode == 0
    watch = start("status", "--watch", "--json")
    assert watch.stdout is not None
    first, second = (json.loads(watch.stdout.readline()) for _ in range(2))
    assert second["uptime_s"] > first["uptime_s"]
    watch.send_signal(signal.SIGINT)
    _, said = watch.communicate(timeout=DEADLINE_S)
    assert (watch.returncode, said) == (130, "")
    assert headrace("stop").returncode == 0


def test_a_server_that_does_not_answer_is_ended_by_its_pid(
    headrace: Headrace, start: Callable[..., subprocess.Popen[str]], place: Path
) -> None:
    code = "import pathlib, signal, sys, headrace.pipeline.running as r\n"
    code += "with r.Hold(r.make_daemon_folder(), 'it', 'wait'): print(flush=True); signal.pause()"
    server = start("-c", code, module=False)
    assert server.stdout is not None
    server.stdout.readline()
    stopped = headrace("stop", "--grace", "1 s")
    assert (stopped.returncode, stopped.stdout) == (0, f"the server has ended (pid {server.pid})\n")
    assert server.wait(DEADLINE_S) == -signal.SIGTERM


def test_a_log_that_has_grown_long_is_set_aside_at_the_next_start(headrace: Headrace, place: Path) -> None:
    folder = daemon_folder(place)
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    with (folder / "log").open("wb") as file:
        file.truncate((16 << 20) + 1)
    assert headrace("serve", "--detach", "--workers", "0", "--metrics", "none").returncode == 0
    assert (folder / "log.1").stat().st_size == (16 << 20) + 1
    assert "the server starts" in (folder / "log").read_text()
    assert headrace("stop").returncode == 0


def test_over_tcp_under_keys_made_by_the_command(
    headrace: Headrace, environment: dict[str, str], place: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    made = [headrace("keys", "--dir", keys, "--add", name, "--role", role) for name, role in
            (("trainer", "submit"), ("chief", "admin"))]  # fmt: skip
    assert [each.returncode for each in made] == [0, 0]
    assert (
        headrace("serve", "--detach", "--listen", "tcp://127.0.0.1:0", "--keys", keys, "--metrics", "none").returncode
        == 0
    )
    ipc, tcp = json.loads(headrace("status", "--json").stdout)["listen"]
    assert ipc.startswith("ipc://")
    with hr.connect(tcp, key=keys / "trainer.key") as service:
        assert [int(x) for x in service.iterate(hr.Dataset.range(4).map(lambda x: x + 1))] == [1, 2, 3, 4]
    shown = headrace("status", "--server", tcp, "--key", keys / "trainer.key", "--json")
    assert json.loads(shown.stdout)["listen"] == [ipc, tcp]
    refused = headrace("stop", "--server", tcp, "--key", keys / "trainer.key")
    keyless = headrace("stop", "--server", tcp)
    assert (refused.returncode, keyless.returncode, keyless.stdout) == (2, 2, "")
    assert living(daemon_folder(place)) is not None
    unknown = headrace("status", "--server", tcp)
    assert unknown.returncode == 2
    assert len(unknown.stderr.splitlines()) == 1
    stopped = headrace("stop", "--server", tcp, "--key", keys / "chief.key")
    assert (stopped.returncode, stopped.stdout) == (0, "the server has ended\n"), stopped.stderr
    until(lambda: living(daemon_folder(place)) is None)
    nobody = headrace("stop", "--server", tcp, "--key", keys / "chief.key")
    assert (nobody.returncode, nobody.stdout) == (2, "")
    assert "unreachable: nobody listens" in nobody.stderr


def test_a_server_without_keys_keeps_saying_so(headrace: Headrace, place: Path) -> None:
    serve = ("serve", "--detach", "--workers", "0", "--metrics", "none", "--listen", "tcp://127.0.0.1:0", "--insecure")
    assert headrace(*serve).returncode == 0
    assert "insecure: whoever reaches a TCP port" in (daemon_folder(place) / "log").read_text()
    assert "insecure: whoever reaches a TCP port" in headrace("status").stdout
    assert json.loads(headrace("status", "--json").stdout)["insecure"] is True
    assert headrace("stop").returncode == 0


def test_a_file_of_the_environment_is_read_by_every_command(
    headrace: Headrace, environment: dict[str, str], place: Path, tmp_path: Path
) -> None:
    mine = place / "mine"
    (tmp_path / "my.toml").write_text(f'[server]\nrun_dir = "{mine}"\nworkers = 0\n[metrics]\nlisten = "none"\n')
    environment["HEADRACE_CONFIG"] = str(tmp_path / "my.toml")
    started = headrace("serve", "--detach")
    try:
        assert started.returncode == 0, started.stderr
        assert f"ipc://{daemon_folder(mine)}/server.sock" in started.stdout
        assert headrace("status").returncode == 0
    finally:
        stopped = headrace("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert living(daemon_folder(mine)) is None
