"""A detached server: started within a time, and its log set aside when it has grown long, while it is written to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.detached import start
from headrace.pipeline.errors import ServiceError
from headrace.pipeline.running import living, make_daemon_folder

WRITER = """
import os, sys
from pathlib import Path
from headrace.log import Log
log = Log(Path(sys.argv[1]), most=1000)
turns = []
for number in range(30):
    print(f"line {number:03} ".ljust(99), file=(sys.stdout, sys.stderr)[number % 2], flush=True)
    turns.append(log.turn())
os.write(int(sys.argv[2]), f"{turns.count(True)}".encode())
"""


def written(path: Path, folder_of_output: Path | None = None) -> int:
    """How often a process turned its log."""
    told, end = os.pipe()
    with (folder_of_output or path).open("ab") as output:
        subprocess.run(
            [sys.executable, "-c", WRITER, path, str(end)], stdout=output, stderr=output, pass_fds=[end], check=True
        )
    os.close(end)
    with os.fdopen(told) as file:
        return int(file.read())


def test_a_long_log_is_set_aside_and_no_line_of_the_last_two_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert written(path) == 3
    assert path.read_text() == ""
    lines = (tmp_path / "log.1").read_text().split()[1::2]
    assert lines == [f"{number:03}" for number in range(20, 30)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_file_than_the_one_written_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(5000))
    assert written(tmp_path / "log", tmp_path / "elsewhere") == 0
    assert (tmp_path / "log").stat().st_size == 5000


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_ends_no_server(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    tmp_path.chmod(0o500)
    try:
        assert written(path) == 0
    finally:
        tmp_path.chmod(0o700)


def test_a_server_that_does_not_get_ready_in_time_is_ended(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("d")
    folder = make_daemon_folder(place)
    arguments = [f"--run-dir={place}", f"--state-dir={place}/state", "--workers=0", "--metrics=none"]
    with pytest.raises(ServiceError, match=r"the server did not start: it was not ready within 0\.01 s"):
        start(arguments, folder, lambda line: None, within_s=0.01)
    assert living(folder) is None
