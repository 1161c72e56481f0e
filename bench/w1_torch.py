"""W1 by PyTorch's DataLoader with Pillow: what most people would write. Runs in the peers' environment."""

from __future__ import annotations

import argparse
import glob
import io
import random
import struct
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import Stopwatch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

SCHEMA = Path(__file__).parent.parent / "pipeline" / "schema" / "example_pb2.py"


def _example_class() -> Any:
    """The tf.Example message, without importing headrace into the peer."""
    spec = spec_from_file_location("example_pb2", SCHEMA)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Example


Example = _example_class()


def records(path: str) -> Iterator[bytes]:
    """The records of a TFRecord file; its CRCs are not checked, which favours the peer."""
    with open(path, "rb", buffering=1 << 20) as file:
        while header := file.read(12):
            size = struct.unpack_from("<Q", header)[0]
            yield file.read(size + 4)[:size]


class Pictures(IterableDataset):  # type: ignore[type-arg]
    """Shards dealt out to the workers, each with its part of the shuffle buffer."""

    def __init__(self, files: list[str], antialias: bool, buffer: int) -> None:
        self.files, self.antialias, self.buffer = files, antialias, buffer

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        info = get_worker_info()
        mine, workers = (self.files, 1) if info is None else (self.files[info.id :: info.num_workers], info.num_workers)
        buffer: list[tuple[np.ndarray, int]] = []
        for path in random.sample(mine, len(mine)):
            for record in records(path):
                picture = self.prepare(record)
                if len(buffer) < self.buffer // workers:
                    buffer.append(picture)
                    continue
                place = random.randrange(len(buffer))
                buffer[place], picture = picture, buffer[place]
                yield picture
        random.shuffle(buffer)
        yield from buffer

    def prepare(self, record: bytes) -> tuple[np.ndarray, int]:
        """Parse, decode, resize to 224x224, flip at random."""
        feature = Example.FromString(record).features.feature
        image = Image.open(io.BytesIO(feature["image"].bytes_list.value[0])).convert("RGB")
        if self.antialias:
            image = image.resize((224, 224), Image.Resampling.BILINEAR)
        else:  # Pillow's `resize` always antialiases; its `transform` samples four neighbours only
            whole = (0, 0, *image.size)
            image = image.transform((224, 224), Image.Transform.EXTENT, whole, Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(image), feature["label"].int64_list.value[0]


def collate(pictures: list[tuple[np.ndarray, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stacked pictures and labels."""
    images, labels = zip(*pictures, strict=True)
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)


def main() -> None:
    """Two epochs with persistent workers; one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pattern", required=True, help="files to read")
    parser.add_argument("--variant", choices=("plain", "antialias"), default="plain")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    watch = Stopwatch()
    pictures = Pictures(sorted(glob.glob(arguments.pattern)), arguments.variant == "antialias", 1024)
    loader = DataLoader(
        pictures, 64, num_workers=arguments.workers, collate_fn=collate, persistent_workers=arguments.workers > 0
    )
    for _ in range(2):
        watch.epoch(loader)
    watch.report("torch", arguments.variant)


if __name__ == "__main__":
    main()
