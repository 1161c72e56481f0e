"""`headrace doctor` against real servers, in good and broken states."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from headrace.pipeline.keys import AUTHORIZED, make_client_key, make_server_key
from headrace.pipeline.running import daemon_folder, living

from .conftest import Headrace

Doctor: TypeAlias = "Callable[..., tuple[int, dict[str, list[dict[str, str]]]]]"


@pytest.fixture
def doctor(headrace: Headrace) -> Doctor:
    """`doctor(...)`: exit code, and findings by topic."""

    def run(*options: str | Path) -> tuple[int, dict[str, list[dict[str, str]]]]:
        ended: subprocess.CompletedProcess[str] = headrace("doctor", "--json", *options)
        assert ended.stdout, ended.stderr
        found: dict[str, list[dict[str, str]]] = {}
        for each in json.loads(ended.stdout):
            found.setdefault(each["topic"], []).append(each)
        return ended.returncode, found

    return run


@pytest.fixture
def served(headrace: Headrace) -> Iterator[Callable[..., None]]:
    """`served("--workers", "1")`: a server that ends with the test."""

    def start(*options: str | Path) -> None:
        started = headrace("serve", "--detach", "--metrics", "none", *options)
        assert started.returncode == 0, started.stderr

    yield start
    headrace("stop", "--now")


def only(found: list[dict[str, str]]) -> dict[str, str]:
    (one,) = found
    return one


def test_a_server_that_is_well(doctor: Doctor, served: Callable[..., None], headrace: Headrace, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("the same everywhere")
    served("--workers", "1")
    until_there(headrace)
    code, found = doctor("--data", tmp_path / "data")
    assert code == 0, found
    assert only(found["files"])["text"] == f"{tmp_path}/data is the same on 1 workers and here"
    assert found["workers"][0]["text"].startswith("1 on ")
    assert found["versions"][0]["text"].endswith("everywhere")
    assert {"kernels", "shared memory", "descriptors", "run directory", "state directory", "server"} <= found.keys()
    table = headrace("doctor")
    assert table.returncode == 0
    assert "headrace" in table.stdout


def until_there(headrace: Headrace) -> None:
    """Until a worker is there."""
    for _ in range(100):
        if json.loads(headrace("status", "--json").stdout)["workers"]:
            return
    raise AssertionError("no worker")


def test_without_a_server_that_is_the_problem(doctor: Doctor, place: Path) -> None:
    code, found = doctor()
    assert code == 1
    problem = only(found["address"])
    assert problem["text"] == f"{daemon_folder(place)}/server.sock is not there"
    assert "headrace serve --detach" in problem["fix"]
    assert "server" not in found


def test_a_server_without_workers_and_a_file_that_is_not_there(
    doctor: Doctor, served: Callable[..., None], tmp_path: Path
) -> None:
    served("--workers", "0")
    code, found = doctor("--data", tmp_path / "absent")
    assert code == 1
    assert only(found["workers"])["fix"].startswith("start some: headrace worker")
    assert only(found["files"])["level"] == "warning", "nobody has looked"


def test_a_server_that_is_stopped_does_not_answer(doctor: Doctor, served: Callable[..., None], place: Path) -> None:
    served("--workers", "0")
    pid = living(daemon_folder(place))
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        code, found = doctor("--timeout", "1")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert code == 1
    assert "unreachable" in only(found["server"])["text"]
    assert only(found["server"])["fix"]


def test_folders_that_are_open_to_others_and_roots_that_are_not_there(
    doctor: Doctor, served: Callable[..., None], place: Path, tmp_path: Path
) -> None:
    served("--workers", "0")
    (place / "state" / "headrace").chmod(0o755)
    (tmp_path / "my.toml").write_text('[server]\nroots = ["absent"]\n')
    code, found = doctor("--config", tmp_path / "my.toml")
    assert code == 1
    assert only(found["state directory"])["fix"] == f"chmod 700 {place}/state/headrace"
    assert only(found["roots"])["text"] == f"{tmp_path}/absent: No such file or directory"


def test_the_way_to_a_server_over_tcp_under_keys(
    doctor: Doctor, served: Callable[..., None], headrace: Headrace, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    make_server_key(keys)
    node, stranger = make_client_key(keys, "node", ["worker"]), make_client_key(keys, "stranger", ["submit"])
    served("--workers", "1", "--listen", "tcp://127.0.0.1:0", "--keys", keys)
    address = json.loads(headrace("status", "--json").stdout)["listen"][1]
    until_there(headrace)

    def level(topic: str, found: dict[str, Any]) -> tuple[str, str]:
        one = only(found[topic])
        return one["level"], one["fix"]

    code, found = doctor("--server", address, "--key", node, "--data", keys / AUTHORIZED)
    assert (code, level("role", found)[0]) == (1, "warning"), "a worker asks for no files"
    assert "AskFiles needs client or submit or admin" in only(found["files"])["text"]
    code, found = doctor("--server", address, "--key", stranger, "--data", keys / AUTHORIZED)
    assert (code, level("role", found)[0], level("files", found)[0]) == (0, "ok", "ok")
    assert found["key"][0]["text"].endswith("is the key 'stranger', mode 0600")
    (keys / AUTHORIZED).write_text("")
    code, found = doctor("--server", address, "--key", stranger)
    assert (code, level("server", found)) == (1, ("problem", "beside the server: headrace keys --add NAME --role ROLE"))
    stranger.chmod(0o644)
    code, found = doctor("--server", address, "--key", stranger)
    assert (code, "chmod 600" in only(found["key"])["text"]) == (1, True)
    code, found = doctor("--server", address, "--key", tmp_path / "absent")
    assert (code, level("key", found)[0]) == (1, "problem")


def test_addresses_that_lead_nowhere(doctor: Doctor) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, found = doctor("--server", f"tcp://127.0.0.1:{port}", "--timeout", "2")
    assert (code, "nobody listens" in only(found["server"])["text"]) == (1, True)
    code, found = doctor("--server", "tcp://no-such-host.invalid:1")
    assert (code, "is not known here" in only(found["address"])["text"]) == (1, True)
