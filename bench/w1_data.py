"""W1's data: photographs, about 500x375 pixels and 104 kB as JPEG, in 16 TFRecord shards; always the same bytes."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance
from rich.progress import track

import headrace as hr
from headrace.demo.photos import PHOTOGRAPHS

__all__ = ["w1_shards"]

VERSION = 1
SHARDS = 16

#: Those in colour and of the everyday kind.
NAMES = ("astronaut", "chelsea", "china", "coffee", "flower", "grace_hopper", "rocket")


def w1_shards(home: Path, images: int) -> Path:
    """The folder of shards with so many images below `home`; made when it is not there yet, then kept."""
    folder = home / f"w1-{images}-v{VERSION}"
    if not folder.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=home) as scratch:
            made = Path(scratch) / "shards"
            made.mkdir()
            _write(made, images)
            made.rename(folder)
    return folder


def _write(folder: Path, images: int) -> None:
    with ExitStack() as stack:
        writers = [
            stack.enter_context(hr.io.TFRecordWriter(folder / f"train-{shard:05d}-of-{SHARDS:05d}.tfrecord"))
            for shard in range(SHARDS)
        ]
        for number, record in enumerate(track(_records(images), f"making {images:,} images", total=images)):
            writers[number % SHARDS].write(record)


def _records(images: int) -> Iterator[bytes]:
    photographs = [each.open() for each in PHOTOGRAPHS if each.name in NAMES]

    def record(number: int) -> bytes:
        rng = np.random.default_rng((2024, VERSION, number))
        photograph = photographs[int(rng.integers(len(photographs)))]
        return hr.io.make_example({"image": _jpeg(photograph, rng), "label": int(rng.integers(1000))})

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from threads.map(record, range(images))


def _jpeg(photograph: Image.Image, rng: np.random.Generator) -> bytes:
    """A window of a photograph as a camera would have given it: other light, a little noise, high quality."""
    wide = rng.random() < 0.75
    width, height = (int(side + rng.integers(-30, 31)) for side in ((500, 375) if wide else (375, 500)))
    image = photograph.resize(
        (width, height), Image.Resampling.LANCZOS, box=_window(photograph.size, width / height, rng)
    )
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change, spread in ((ImageEnhance.Color, 0.3), (ImageEnhance.Brightness, 0.2), (ImageEnhance.Contrast, 0.2)):
        image = change(image).enhance(rng.uniform(1 - spread, 1 + spread))
    noise = rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(0, 8))
    image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    # Most cameras halve the colours' resolution, some do not.
    image.save(file, "JPEG", quality=int(rng.integers(94, 98)), subsampling=2 if rng.random() < 0.8 else 0)
    return file.getvalue()


def _window(size: tuple[int, int], aspect: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    width = min(size[0], size[1] * aspect) * rng.uniform(0.7, 1.0)
    height = width / aspect
    left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
    return left, top, left + width, top + height
