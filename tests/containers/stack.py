"""A stack: docker-compose.yml as a project of its own, on the engine that DOCKER_HOST names."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

__all__ = ["ROOT", "Stack", "build", "until"]

ROOT = Path(__file__).resolve().parents[2]
#: What the image is built of, as .dockerignore lists it.
SOURCES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "headrace",
    "pipeline",
    "coordinator",
    "workers",
    "broker",
    "client",
)
#: Ends all processes of a container whose parent or command line is the one given; images have no `kill` or `ps`.
END = """
import os, pathlib, signal, sys
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        parent = process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
        command = process.joinpath("cmdline").read_text().replace("\\0", " ").split()
    except OSError:
        continue
    if int(process.name) != os.getpid() and sys.argv[1] in (f"child of {parent}", *command):
        print("ended", process.name, flush=True)  # with its main process the container ends, and this one, too
        os.kill(int(process.name), signal.SIGKILL)
"""


def docker(*arguments: str, wait_s: float = 120) -> str:
    """What a docker command prints; its errors are in the exception."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=wait_s, check=False)
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(image: str, context: Path) -> str:
    """Make the image: from the wheels in the folder HEADRACE_WHEELS where that is set, else from PyPI."""
    shutil.copy(ROOT / "Dockerfile", context)
    for source in (ROOT / name for name in SOURCES):
        if source.is_dir():
            shutil.copytree(source, context / source.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, context)
    arguments = []
    if wheels := os.environ.get("HEADRACE_WHEELS"):
        shutil.copytree(wheels, context / "wheels")
        arguments = ["--build-arg", "OFFLINE=1"]
    docker("build", "--tag", image, *arguments, str(context), wait_s=1200)
    return image


def until(what: str, holds: Callable[[], Any], wait_s: float = 60) -> Any:
    """Ask again and again until the answer is not empty; asking a container takes its time."""
    end = monotonic() + wait_s
    while not (found := holds()):
        assert monotonic() < end, f"{what}: not within {wait_s} s"
    return found


@dataclass(slots=True)
class Stack:
    """One project: containers, a network, volumes."""

    overlay: Path  #: Compose file that is laid over the repository's.
    environment: dict[str, str]
    name: str = field(default_factory=lambda: f"headrace-test-{secrets.token_hex(3)}")

    def compose(self, *arguments: str, wait_s: float = 180) -> str:
        """What a docker compose command prints."""
        files = ["--file", str(ROOT / "docker-compose.yml"), "--file", str(self.overlay)]
        command = ["docker", "compose", "--project-name", self.name, *files, *arguments]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, capture_output=True, text=True, timeout=wait_s, check=False, env=environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def containers(self, service: str = "") -> list[str]:
        """Ids of a service's containers, or of all, whether they run or not."""
        return self.compose("ps", "--all", "--quiet", *([service] if service else [])).split()

    def inspect(self, container: str) -> dict[str, Any]:
        """All that the engine knows of it."""
        found: dict[str, Any] = json.loads(docker("inspect", container))[0]
        return found

    def inside(self, container: str, *command: str) -> str:
        """What a command prints in a container."""
        return docker("exec", container, *command)

    def end(self, container: str, which: str) -> None:
        """SIGKILL processes in a container: "child of 1", or what stands in their command line."""
        # The answer may get lost: with its main process, the container ends.
        done = subprocess.run(
            ["docker", "exec", container, "python", "-c", END, which], stdout=subprocess.PIPE, timeout=60, check=False
        )
        assert b"ended" in done.stdout, f"{container} has no process {which!r}"

    def status(self) -> dict[str, Any]:
        """What the server says of itself."""
        (server,) = self.containers("server")
        found: dict[str, Any] = json.loads(self.inside(server, "headrace", "status", "--json"))
        return found

    def workers(self) -> set[str]:
        """Hosts of the workers that the server counts on; a container's is the start of its id."""
        return {worker["host"] for worker in self.status()["workers"]}

    def follow(self, container: str) -> Iterator[str]:
        """Lines of a container's output, as they come, until it ends."""
        command = ["docker", "logs", "--follow", container]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            try:
                yield from process.stdout
            finally:
                process.kill()

    def remove(self) -> None:
        """All of it."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def left(self) -> list[str]:
        """What the engine still has of it."""
        label = f"label=com.docker.compose.project={self.name}"
        kinds = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
        return [line for kind in kinds for line in docker(*kind, "--quiet", "--filter", label).split()]
