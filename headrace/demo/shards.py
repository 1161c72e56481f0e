"""The demo's shards: crops of photographs as Examples in TFRecord files, kept between runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from ..pipeline.making import make_example
from ..pipeline.records import TFRecordWriter
from .crops import Part, crop_jpeg
from .photos import PHOTOGRAPHS, Photograph

__all__ = ["Shards", "prepare_shards"]

#: Raised by whoever changes what the shards hold, so that kept ones are made anew.
VERSION = 1

TRAIN_SHARDS, HELD_BACK_SHARDS = 16, 4

#: One crop is held back for so many to train on.
TRAIN_PER_HELD_BACK = 5


@dataclass(frozen=True, slots=True)
class Shards:
    """A finished folder of shards."""

    folder: Path
    crops: int  #: To train on.

    @property
    def held_back_crops(self) -> int:
        return max(1, self.crops // TRAIN_PER_HELD_BACK)

    @property
    def train(self) -> str:
        """Pattern of the files to train on."""
        return str(self.folder / "train-*.tfrecord")

    @property
    def held_back(self) -> str:
        """Pattern of the files to measure on."""
        return str(self.folder / "held-back-*.tfrecord")


def prepare_shards(
    data: Path,
    crops: int,
    photographs: Sequence[Photograph] = PHOTOGRAPHS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Shards:
    """The shards below the folder `data`: those of an earlier run, else made now; the same bytes for the same `crops`.

    `progress(done, total)` is told after each crop. A folder appears whole or not at all: an interrupted run
    leaves nothing that a later one would take for finished.

    Raises:
        NotFoundError: a package that brings photographs is not installed.
    """
    shards = Shards(data / f"crops-{crops}-v{VERSION}", crops)
    if not shards.folder.is_dir():
        data.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="unfinished-", dir=data) as scratch:
            made = Shards(Path(scratch) / "shards", crops)
            made.folder.mkdir()
            _make(made, photographs, progress)
            _publish(made.folder, shards.folder)
    return shards


def _publish(made: Path, final: Path) -> None:
    try:
        made.rename(final)
    except OSError:
        # Another run was faster; what it made is the same.
        if not final.is_dir():
            raise


def _make(shards: Shards, photographs: Sequence[Photograph], progress: Callable[[int, int], None]) -> None:
    images = [photograph.open() for photograph in photographs]
    total = shards.crops + shards.held_back_crops
    done = 0
    for part, crops, files, name in (
        (Part.TRAIN, shards.crops, TRAIN_SHARDS, "train"),
        (Part.HELD_BACK, shards.held_back_crops, HELD_BACK_SHARDS, "held-back"),
    ):
        paths = [shards.folder / f"{name}-{number:05d}-of-{files:05d}.tfrecord" for number in range(files)]
        with closing(_records([part.of(image) for image in images], part, crops)) as records:
            for _ in _write(paths, records):
                done += 1
                progress(done, total)


def _records(bands: Sequence[Sequence[Image.Image]], part: Part, crops: int) -> Generator[bytes]:
    """Serialised Examples, each with a random generator of its own, so that threads cannot change the outcome."""

    def record(number: int) -> bytes:
        rng = np.random.default_rng((VERSION, list(Part).index(part), number))
        label = int(rng.integers(len(bands)))
        return make_example({"image": crop_jpeg(bands[label], rng), "label": label})

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from threads.map(record, range(crops))


def _write(paths: Sequence[Path], records: Iterator[bytes]) -> Iterator[None]:
    """Deal the records out to the files, one after the other."""
    with ExitStack() as stack:
        writers = [stack.enter_context(TFRecordWriter(path)) for path in paths]
        for number, record in enumerate(records):
            writers[number % len(writers)].write(record)
            yield
