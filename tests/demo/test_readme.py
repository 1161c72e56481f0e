"""What the README shows works as it is printed."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import headrace as hr

from ..daemons import Daemon

README = Path(__file__).parents[2] / "README.md"


def some_photographs(folder: Path) -> None:
    rng = np.random.default_rng(5)
    folder.mkdir()
    for shard in range(2):
        with hr.io.TFRecordWriter(folder / f"train-{shard}.tfrecord") as writer:
            for label in range(70):
                file = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).save(file, "JPEG")
                writer.write(hr.io.make_example({"image": file.getvalue(), "label": label}))


def blocks() -> list[str]:
    """The Python that the README shows."""
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def ran(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    some_photographs(folder / "photos")
    (folder / "train.py").write_text(script)
    return subprocess.run(
        [sys.executable, "train.py"],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_pipeline_in_the_readme_runs_as_it_is_printed(tmp_path: Path) -> None:
    run = ran(tmp_path, blocks()[0])
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == 3, "a summary for each epoch"


def test_the_trainer_in_the_readme_finds_the_server_that_runs(tmp_path: Path) -> None:
    pipeline, _, _ = blocks()[0].partition("for images, labels in dataset")
    with Daemon() as daemon:
        run = ran(tmp_path, pipeline + blocks()[1] + "    print(labels.shape)\n", HEADRACE_RUN_DIR=str(daemon.place))
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "(64,)\n"


def test_the_token_in_the_readme_goes_on_behind_the_batch_that_was_taken_last(tmp_path: Path) -> None:
    pipeline, _, _ = blocks()[0].partition("for images, labels in dataset")
    iterate, save, load = blocks()[2].splitlines()
    steps = [
        "service = hr.serve(workers=1)",
        iterate,
        "next(batches)",
        save,
        "images, labels = next(batches)",
        load,
        "again, _ = next(batches)",
        "print((images == again).all(), images.shape)",
        "service.close()",
    ]
    run = ran(tmp_path, pipeline + "\n".join(steps))
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "True (64, 224, 224, 3)\n"
