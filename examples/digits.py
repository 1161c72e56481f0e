"""Handwritten digits in TFRecord files, and the pipeline over them: what both training examples read.

The digits are scikit-learn's, 1,797 pictures of 8 x 8 pixels (from the UCI repository, CC BY 4.0).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import headrace as hr

__all__ = ["SIDE", "digits", "write_digits"]

#: Of the pictures that the model sees, in pixels.
SIDE = 18
#: Of those that they are cut out of.
BEFORE_CROP = 20
FEATURES = {"image": hr.io.FixedLenFeature((), bytes), "label": hr.io.FixedLenFeature((), "int64")}


def write_digits(folder: Path, train_files: int = 4) -> None:
    """Four fifths of the digits in `train-*.tfrecord`, the rest in `test-0.tfrecord`, as PNGs with labels."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    pictures = (pictures.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(train_files + 1):
        name = f"train-{part}" if part < train_files else "test-0"
        with hr.io.TFRecordWriter(str(folder / f"{name}.tfrecord")) as writer:
            for picture, label in zip(pictures[part :: train_files + 1], labels[part :: train_files + 1], strict=True):
                writer.write(hr.io.make_example({"image": png(picture), "label": int(label)}))


def png(picture: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def digits(folder: Path, training: bool, batch_size: int = 64, seed: int = 0) -> hr.Dataset:
    """Batches {"image": float32 [n, SIDE, SIDE, 1] from -1 to 1, "label": int64 [n]}."""
    files = hr.Dataset.list_files(str(folder / ("train-*" if training else "test-*")), shuffle=False)
    examples = hr.TFRecordDataset(files).map(hr.io.example_parser(FEATURES))
    pictures = examples.shuffle(2000).map(anywhere) if training else examples.map(in_the_middle)
    # Batches of one length, so that JAX compiles one step; the tests count every digit.
    return pictures.batch(batch_size, drop_remainder=training).with_options(hr.Options(seed=seed))


def enlarged(example: dict[str, Any]) -> Any:
    picture = hr.io.decode_image(example["image"], channels=1)
    return hr.image.resize(picture, (BEFORE_CROP, BEFORE_CROP)) / np.float32(127.5) - np.float32(1)


def anywhere(example: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """A training example: the digit a little off the middle, elsewhere in each epoch."""
    return {"image": hr.image.random_crop(enlarged(example), (SIDE, SIDE, 1), rng), "label": example["label"]}


def in_the_middle(example: dict[str, Any]) -> dict[str, Any]:
    margin = (BEFORE_CROP - SIDE) // 2
    return {"image": enlarged(example)[margin:-margin, margin:-margin], "label": example["label"]}
