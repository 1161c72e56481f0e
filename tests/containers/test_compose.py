"""docker-compose.yml on a real engine: three workers, faults in the middle of an epoch, the same batches as in process.

Slow, and not part of `make test`: run it with `make test-compose`. docs/containers.md says what it needs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.containers.stack import ROOT, Stack, build, docker, until

pytestmark = pytest.mark.slow

EPOCHS = 2
#: What a step of training takes: so long that faults come and go within an epoch, and the workers wait for the trainer.
STEP_S = 0.4
#: So short a lease is for tests: a worker that is cut off is given up soon.
SERVER = """
[server]
listen = ["tcp://0.0.0.0:7311"]
workers = 0
state_dir = "/state"
grace = "20 s"
[limits]
lease = "8 s"
split = "256 KiB"
budget = "64 MiB"
[security]
keys = "/keys/server"
"""
OVERLAY = """
services:
  server:
    volumes: ["{folder}/server.toml:/etc/headrace/server.toml:ro"]
    healthcheck: {{ interval: 1s }}
  trainer:
    command: ["train", "{data}", "--epochs", "{epochs}", "--step-s", "{step_s}"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What was seen from the first container to the last."""

    expected: list[str]  #: Lines with the checksums of each epoch, from one process on this host.
    printed: list[str]  #: All that the trainer printed.
    restarts: list[int]  #: Of the three workers.
    repeated: int  #: Leases that were granted again.
    halfway: bool  #: Whether the trainer still ran when the last fault was over.
    inspected: dict[str, dict[str, Any]]  #: By service.
    users: dict[str, str]
    writes: dict[str, str]  #: What a try to write into the root came to.
    keys: dict[str, str]  #: Files of keys that each service can see.
    authorized: list[str]  #: Before and after keys were made a second time.
    exits: dict[str, set[int]]
    left: list[str]  #: Containers, volumes and networks after all was removed.


def example(*arguments: str) -> list[str]:
    """Lines that examples/train_compose.py prints on this host, without a server."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_SERVER")}
    command = [sys.executable, str(ROOT / "examples/train_compose.py"), *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=300
    ).stdout.splitlines()


def checksums(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if "checksum" in line]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TFRecords that every user can read, as containers run under a user of their own."""
    folder = tmp_path_factory.mktemp("data")
    example("write", str(folder), "--shards", "6", "--images", "500")
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    image = os.environ.get("HEADRACE_IMAGE") or build("headrace-test", tmp_path_factory.mktemp("context"))
    (folder / "server.toml").write_text(SERVER)
    (folder / "server.toml").chmod(0o644)
    (folder / "overlay.yml").write_text(OVERLAY.format(folder=folder, data=data, epochs=EPOCHS, step_s=STEP_S))
    stack = Stack(folder / "overlay.yml", {"HEADRACE_DATA": str(data), "HEADRACE_IMAGE": image})
    try:
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="module")
def story(stack: Stack, data: Path) -> Story:
    """Everything, once."""
    expected = checksums(example("train", str(data), "--epochs", str(EPOCHS)))
    try:
        return tell(stack, expected)
    except BaseException:
        print(stack.compose("logs", "--no-color", "--tail", "200"))
        raise


def tell(stack: Stack, expected: list[str]) -> Story:
    stack.compose("up", "--detach", "--no-build", "--scale", "worker=3")
    (server,), (trainer,), (keys,) = (stack.containers(each) for each in ("server", "trainer", "keys"))
    workers, output = stack.containers("worker"), stack.follow(trainer)
    until("three workers", lambda: len(stack.workers()) == 3, 180)
    printed: list[str] = []
    while not printed or "epoch 0, step 10:" not in printed[-1]:
        printed.append(next(output))
    harm(stack, *workers)
    halfway = stack.inspect(trainer)["State"]["Running"]
    printed += output
    long_lived = {"server": server, "worker": workers[0]}
    services = {**long_lived, "trainer": trainer, "keys": keys}
    authorized = [stack.inside(server, "cat", "/keys/server/authorized_keys")]
    docker("start", "--attach", keys)
    authorized.append(stack.inside(server, "cat", "/keys/server/authorized_keys"))
    return Story(
        expected=expected,
        printed=printed,
        restarts=[stack.inspect(worker)["RestartCount"] for worker in workers],
        repeated=stack.status()["totals"]["leases_repeated"],
        halfway=halfway,
        inspected={name: stack.inspect(one) for name, one in services.items()},
        users={name: stack.inside(one, "id", "-u").strip() for name, one in long_lived.items()},
        writes={name: write_into(stack, one) for name, one in long_lived.items()},
        keys={name: stack.inside(one, "find", "/keys", "-type", "f") for name, one in long_lived.items()},
        authorized=authorized,
        exits=stop(stack),
        left=stack.left(),
    )


def stop(stack: Stack) -> dict[str, set[int]]:
    """End and remove it; exit codes of the containers of each service."""
    stack.compose("stop")
    codes = {
        service: {stack.inspect(container)["State"]["ExitCode"] for container in stack.containers(service)}
        for service in ("keys", "server", "worker", "trainer")
    }
    stack.remove()
    return codes


def harm(stack: Stack, first: str, second: str, third: str) -> None:
    """A container's main process is killed, in another a worker; a third loses its network for longer than a lease."""
    stack.end(first, "child of 1")
    stack.end(second, "worker-process")
    network = f"{stack.name}_default"
    docker("network", "disconnect", network, third)
    until("the one that was cut off is given up", lambda: third[:12] not in stack.workers(), 180)
    docker("network", "connect", network, third)
    until("all three are back", lambda: {each[:12] for each in (first, second, third)} == stack.workers(), 180)


def write_into(stack: Stack, container: str) -> str:
    script = "touch /opt/headrace/x /x 2>&1; touch /tmp/x && echo but not into /tmp"
    return stack.inside(container, "sh", "-c", script)


def test_the_trainers_batches_are_those_of_one_process(story: Story) -> None:
    assert len(story.expected) == EPOCHS
    assert checksums(story.printed) == story.expected


def test_faults_came_in_the_middle(story: Story) -> None:
    assert story.halfway
    assert story.repeated > 0


def test_a_container_whose_process_was_killed_is_started_again(story: Story) -> None:
    assert story.restarts == [1, 0, 0]


def test_containers_run_as_a_user_without_privileges(story: Story) -> None:
    assert story.users == {"server": "10001", "worker": "10001"}
    for service, found in story.inspected.items():
        host = found["HostConfig"]
        assert found["Config"]["User"] == "10001:10001", service
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert not host["Privileged"], service


def test_roots_are_read_only(story: Story) -> None:
    assert all(found["HostConfig"]["ReadonlyRootfs"] for found in story.inspected.values())
    for said in story.writes.values():
        assert said.count("Read-only file system") == 2
        assert "but not into /tmp" in said


def test_data_is_mounted_read_only_at_the_same_path(story: Story, data: Path) -> None:
    for service in ("server", "worker", "trainer"):
        (mount,) = [each for each in story.inspected[service]["Mounts"] if each["Destination"] == str(data)]
        assert (mount["Source"], mount["RW"]) == (str(data), False), service


def test_a_container_sees_no_key_but_its_own(story: Story) -> None:
    assert set(story.keys["worker"].split()) == {"/keys/worker/worker.key"}
    assert set(story.keys["server"].split()) == {"/keys/server/server.key", "/keys/server/authorized_keys"}


def test_keys_are_made_once(story: Story) -> None:
    assert story.authorized[0].count("worker") >= 1
    assert story.authorized[0] == story.authorized[1]


def test_stopping_ends_every_container_in_good_order(story: Story) -> None:
    assert story.exits == {"keys": {0}, "server": {0}, "worker": {0}, "trainer": {0}}


def test_nothing_is_left(story: Story) -> None:
    assert story.left == []
