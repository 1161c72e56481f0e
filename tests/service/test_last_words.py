"""Who ends, or waits for whom, says so: a server whose disk is full, a worker without a server, a second Ctrl-C."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import headrace as hr
from headrace.pipeline.errors import ServiceError

from ..daemons import Daemon as Served
from .serving import Daemon

linux = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of another process is set")


@linux
def test_a_server_whose_disk_is_full_tells_its_trainers_why_it_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    dataset = hr.Dataset.range(1_000_000).map(lambda x: x).batch(10)
    daemon = Daemon(tmp_path_factory.mktemp("d"))
    daemon.start("--workers=1")
    try:
        assert daemon.process is not None
        with hr.connect(daemon.address, patience_s=10.0) as service, service.iterate(dataset) as batches:
            next(batches)
            resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (4096, 4096))
            with pytest.raises(ServiceError, match=r"it said that it ends: .*journal\.sqlite"):
                for _ in batches:
                    pass
        assert daemon.process.wait(60) != 0
    finally:
        daemon.stop()


def test_a_worker_without_a_server_soon_says_that_it_waits(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headrace", "worker", "--server=ipc:///tmp/no-such-headrace.sock", "--workers=1"]
    agent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": "/tmp"})
    try:
        assert agent.stderr is not None
        first = agent.stderr.readline()
        silent = re.match(r"headrace: ipc:///tmp/no-such-headrace\.sock has not answered for (\d+) s \(unreach", first)
        assert silent, first
        assert int(silent[1]) < 10
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=60)


def test_a_second_ctrl_c_ends_a_run_at_once_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import headrace as hr, os, signal\n"
        "def stuck(x):\n    print('begun', flush=True)\n    return x\n"
        "dataset = hr.Dataset.range(10**9).map(stuck).batch(10**6)\n"
    )
    command = [sys.executable, "-m", "headrace", "run", "mine.py:dataset", "--serve", "1"]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.stdout is not None
    for line in run.stdout:
        if "begun" in line:
            break
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGINT)
    rest, _ = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in rest


def test_where_there_is_no_worker_the_trainer_says_so_and_goes_on_when_one_comes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    got: list[int] = []
    with Served(("--workers=0",)) as daemon, daemon.connect() as service:

        def train() -> None:
            got.extend(int(each) for each in service.iterate(hr.Dataset.range(5).map(lambda x: x * x)))

        loop = threading.Thread(target=train)
        loop.start()
        said = ""
        while "there is no worker" not in said:
            loop.join(0.1)
            assert loop.is_alive()
            said += capfd.readouterr().err
        assert re.search(r"waiting for [3-9] s: there is no worker: .* Start some with `headrace worker`", said)
        daemon.join(workers=1)
        loop.join(60)
    assert got == [0, 1, 4, 9, 16]
