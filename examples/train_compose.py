"""A training loop in a container: images out of TFRecords, epoch after epoch, and a checksum of all batches.

    python examples/train_compose.py write /data    a little data to try it with
    python examples/train_compose.py train /data    on the server that HEADRACE_SERVER names, else in this process

docker-compose.yml runs it as its service `trainer`. The checksums are the same in process and on a server,
with any number of workers, also when some of them die on the way.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import headrace as hr

FEATURES = {"image": hr.io.FixedLenFeature((), bytes), "label": hr.io.FixedLenFeature((), "int64")}


def prepare(record: bytes, rng: np.random.Generator) -> tuple[Any, Any]:
    """One Example as what a model wants: runs on the workers, with whatever they can import."""
    example = hr.io.parse_single_example(record, FEATURES)
    image = hr.image.decode_and_resize(example["image"], (224, 224), antialias=True)
    return hr.image.random_flip_left_right(image, rng), example["label"]


def pipeline(folder: Path) -> hr.Dataset:
    """The description of the data; neither a server nor a number of workers is in it."""
    files = hr.Dataset.list_files(str(folder / "*.tfrecord"), seed=1)
    images = hr.TFRecordDataset(files).map(prepare).shuffle(256, seed=1)
    return images.batch(16).with_options(hr.Options(seed=1))


def epochs(dataset: hr.Dataset, count: int) -> Iterator[Iterable[Any]]:
    """The batches of each epoch."""
    if not os.environ.get("HEADRACE_SERVER"):
        yield from (dataset.iterate(epoch) for epoch in range(count))
        return
    with hr.connect() as service:  # HEADRACE_SERVER says where, HEADRACE_KEY who we are
        batches = service.iterate(dataset)
        for _ in range(count):
            yield batches


def train(folder: Path, count: int, step_s: float) -> None:
    """Where a step of training would be, the bytes of a batch are hashed, and time passes."""
    for epoch, batches in enumerate(epochs(pipeline(folder), count)):
        checksum, step = hashlib.sha256(), 0
        for step, (images, labels) in enumerate(batches, 1):
            checksum.update(images.tobytes() + labels.tobytes())
            time.sleep(step_s)
            if step % 10 == 0:
                print(f"epoch {epoch}, step {step}: mean {images.mean():.1f}", flush=True)
        print(f"epoch {epoch} has {step} batches, checksum {checksum.hexdigest()}", flush=True)


def write(folder: Path, shards: int, images: int) -> None:
    """Files of JPEGs of random gradients."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for shard in range(shards):
        with hr.io.TFRecordWriter(str(folder / f"images-{shard:03}.tfrecord")) as writer:
            for label in range(images):
                corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
                image, file = Image.fromarray(corners).resize((320, 240), Image.Resampling.BILINEAR), io.BytesIO()
                image.save(file, "JPEG")
                writer.write(hr.io.make_example({"image": file.getvalue(), "label": label}))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A training loop in a container.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "write"):
        commands.add_parser(name).add_argument("folder", type=Path)
    commands.choices["train"].add_argument("--epochs", type=int, default=3)
    commands.choices["train"].add_argument("--step-s", type=float, default=0.0, help="seconds that a step would take")
    commands.choices["write"].add_argument("--shards", type=int, default=8)
    commands.choices["write"].add_argument("--images", type=int, default=100, help="in each")
    given = parser.parse_args()
    if given.command == "write":
        write(given.folder, given.shards, given.images)
    else:
        train(given.folder, given.epochs, given.step_s)


if __name__ == "__main__":
    main()
