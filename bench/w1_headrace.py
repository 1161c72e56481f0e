"""W1 by headrace: the embedded service decodes, resizes, flips, shuffles and batches."""

from __future__ import annotations

import argparse

import numpy as np
from measure import Stopwatch
from numpy.typing import NDArray

import headrace as hr

FEATURES = {"image": hr.io.FixedLenFeature((), bytes), "label": hr.io.FixedLenFeature((), "int64")}


def pipeline(pattern: str, antialias: bool) -> hr.Dataset:
    """Batches of 64 pictures [224, 224, 3], uint8, from a shuffle of 1,024."""

    def prepare(record: bytes, rng: np.random.Generator) -> tuple[NDArray[np.uint8], np.int64]:
        example = hr.io.parse_single_example(record, FEATURES)
        image = hr.image.decode_and_resize(example["image"], (224, 224), antialias=antialias)
        return hr.image.random_flip_left_right(image, rng), example["label"]

    files = hr.Dataset.list_files(pattern, seed=7)
    return hr.TFRecordDataset(files).map(prepare).shuffle(1024, seed=7).batch(64)


def main() -> None:
    """Two epochs through one service; one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pattern", required=True, help="files to read")
    parser.add_argument("--variant", choices=("plain", "antialias"), default="plain")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    watch = Stopwatch()
    with hr.serve(workers=arguments.workers) as service:
        dataset = pipeline(arguments.pattern, arguments.variant == "antialias")
        with service.iterate(dataset) as batches:
            for _ in range(2):
                watch.epoch(batches)
        watch.report("headrace", arguments.variant, running=lambda: service.iterate(dataset))


if __name__ == "__main__":
    main()
