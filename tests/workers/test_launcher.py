"""A launcher whose workers cannot be started goes on, says why, and holds nothing of them."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from headrace.workers.launcher import Launcher


def test_a_worker_that_cannot_be_started_is_tried_again_and_is_a_trouble_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    launcher = Launcher(count=2, folder=tmp_path, server="ipc:///nowhere")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for tries in (1, 2, 3):
        assert launcher.trouble is None
        launcher.not_before = 0.0
        assert launcher.poll() == []
        assert launcher.early == tries, "others wait until it may go better"
    assert launcher.trouble is not None
    assert "/nowhere/python" in launcher.trouble
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert list(tmp_path.iterdir()) == []


def test_where_descriptors_are_short_none_is_lost(tmp_path: Path) -> None:
    launcher = Launcher(count=1, folder=tmp_path, server="ipc:///nowhere")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    free = sorted(set(range(max(before) + 20)) - before)
    try:
        for room in range(8):  # enough for this, but not for that
            launcher.not_before = 0.0
            resource.setrlimit(resource.RLIMIT_NOFILE, (free[room], limits[1]))
            assert launcher.poll() == []
            assert launcher.children == {}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)
    assert list(tmp_path.iterdir()) == []


def test_what_a_launcher_that_was_killed_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "worker-3-a1b2c3.box").write_bytes(bytes(64))
    (tmp_path / "server.sock").touch()
    Launcher(count=0, folder=tmp_path, server="ipc:///nowhere")
    assert [each.name for each in tmp_path.iterdir()] == ["server.sock"]
