"""Pages of documentation: their blocks of code, run in order, and what they say is printed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import headrace as hr

__all__ = ["DOCS", "blocks_of", "some_files", "run_page"]

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of Python, the line of the page before it, and what stands in the block of text right behind it."""

    code: str
    line: int
    printed: str | None


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks that are run: those marked as `python`. `py` is Python that is only shown."""
    text = page.read_text()
    found = list(_FENCE.finditer(text))
    for block, behind in zip_longest(found, found[1:]):
        if block[1] == "python":
            near = behind is not None and behind[1] == "text" and not text[block.end() : behind.start()].strip()
            printed = behind[2] if near and behind is not None else None
            yield Block(block[2], text.count("\n", 0, block.start(2)), printed)


def run_page(page: Path) -> None:
    """Run a page in one namespace, and compare what it prints."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page):
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile("\n" * block.line + block.code, str(page), "exec"), names)
        if block.printed is not None:
            assert out.getvalue() == block.printed, f"{page.name}, the block behind line {block.line}"


def some_files(folder: Path) -> None:
    """Small files as the pages name them: photographs, records of them, verses, a table."""
    rng = np.random.default_rng(5)
    for split, kinds in (("flowers", ("daisy", "tulip")),):
        for label, kind in enumerate(kinds):
            (folder / split / kind).mkdir(parents=True)
            for number in range(3):
                light = np.linspace(0, 200, 48 * 64 * 3).reshape(48, 64, 3) + 20 * label + rng.integers(0, 20)
                Image.fromarray(light.astype(np.uint8)).save(folder / split / kind / f"{number}.jpg", quality=90)
    for shard in range(2):
        with hr.io.TFRecordWriter(str(folder / f"train-{shard}.tfrecord")) as writer:
            for label in range(6):
                photo = (folder / "flowers" / ("daisy", "tulip")[label % 2] / f"{label % 3}.jpg").read_bytes()
                writer.write(hr.io.make_example({"image": photo, "label": label, "tags": np.arange(label)}))
    (folder / "cowper.txt").write_text("Achilles sing, O Goddess!\nhis wrath pernicious\n\nwho ten thousand woes\n")
    (folder / "derby.txt").write_text("Of Peleus' son,\nAchilles, sing, O Muse\n")
    rows = ["age,fare,name", "22,7.25,Owen", "38,71.28,Florence", "26,7.92,Laina", "35,53.1,Lily"]
    (folder / "passengers.csv").write_text("\n".join(rows) + "\n")
    np.savez(folder / "digits.npz", images=rng.integers(0, 255, (30, 8, 8), np.uint8), labels=np.arange(30) % 10)
