"""What the README shows works as it is printed."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import headrace as hr

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


def test_the_pipeline_in_the_readme_runs_as_it_is_printed(tmp_path: Path) -> None:
    some_photographs(tmp_path / "photos")
    [script] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "train.py").write_text(script)
    run = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == 3, "a summary for each epoch"
