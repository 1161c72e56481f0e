"""The run directory: one server at a time, whatever became of the last one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.pipeline.errors import ServiceError
from headrace.pipeline.running import Hold, daemon_folder, living, make_daemon_folder, state_folder


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a folder, until the end or until it is killed."""
    code = "import sys, pathlib, headrace.pipeline.running as r\n"
    code += "with r.Hold(pathlib.Path(sys.argv[1]), 'it', 'wait'): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_has_one_server_and_the_second_is_told_who_it_is(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert living(tmp_path) == process.pid
        with pytest.raises(ServiceError) as caught:
            Hold(tmp_path, "the run directory", "do something else")
    said = f"the run directory {tmp_path} is in use by the server with pid {process.pid}: do something else"
    assert str(caught.value) == said


def test_a_killed_server_is_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / "pid").read_text() == f"{process.pid}\n"
        assert living(tmp_path) is None
        with Hold(tmp_path, "it", "wait"):
            assert living(tmp_path) == os.getpid()
    assert living(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "pid").mkdir()  # what not even root can write
    with pytest.raises(ServiceError) as caught:
        Hold(tmp_path, "the state directory", "take another")
    said = f"the state directory {tmp_path} cannot be written: Is a directory; see to the disk and its modes, or "
    assert str(caught.value) == f"{said}name another"


def test_the_hold_is_not_passed_on_to_the_processes_that_the_server_starts(tmp_path: Path) -> None:
    with Hold(tmp_path, "it", "wait"):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    assert living(tmp_path) is None
    child.communicate()


def test_where_nothing_runs_nobody_lives(tmp_path: Path) -> None:
    assert living(tmp_path) is None
    assert living(tmp_path / "nowhere") is None
    assert not (tmp_path / "nowhere").exists()


def test_the_run_directory_is_private_and_stays_where_it_is(tmp_path: Path) -> None:
    folder = make_daemon_folder(tmp_path)
    assert folder == daemon_folder(tmp_path) == make_daemon_folder(tmp_path)
    assert [each.stat().st_mode & 0o777 for each in (folder, folder.parent)] == [0o700, 0o700]


def test_a_run_directory_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    make_daemon_folder(tmp_path).parent.chmod(0o755)
    with pytest.raises(ServiceError, match="is not a private folder of yours"):
        make_daemon_folder(tmp_path)


def test_a_path_too_long_for_a_socket_is_refused_before_anything_listens_there(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="is too long a path for a socket: set HEADRACE_RUN_DIR to a shorter one"):
        make_daemon_folder(tmp_path / ("x" * 100))


def test_the_state_directory_is_where_it_is_said_to_be_and_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_folder() == tmp_path / "xdg" / "headrace"
    assert state_folder(tmp_path / "mine") == tmp_path / "mine"
    assert state_folder().stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / ".local" / "state" / "headrace"
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match="cannot be made: File exists"):
        state_folder(tmp_path / "file")
