"""The demo's training job, written as a user of headrace would write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import headrace as hr

from .classifier import Classifier, features

__all__ = ["Score", "end_signal", "held_back_data", "measure", "train_epoch", "training_data"]

BATCH = 64

EXAMPLE = {"image": hr.io.FixedLenFeature((), bytes), "label": hr.io.FixedLenFeature((), "int64")}


def prepare(record: bytes, rng: np.random.Generator) -> tuple[NDArray[np.uint8], np.int64]:
    """A record to a picture [64, 64, 3], perhaps mirrored, and its label. Runs on the workers."""
    example = hr.io.parse_single_example(record, EXAMPLE)
    image = hr.image.decode_and_resize(example["image"], (64, 64), antialias=True)
    return hr.image.random_flip_left_right(image, rng), example["label"]


def training_data(pattern: str) -> hr.Dataset:
    """Shuffled batches of the shards that match."""
    return (
        hr.TFRecordDataset(hr.Dataset.list_files(pattern, seed=7))
        .map(prepare)
        .shuffle(1024, seed=7)
        .batch(BATCH, drop_remainder=True)
        .with_options(hr.Options(seed=7))
    )


def held_back_data(pattern: str) -> hr.Dataset:
    """The same pictures in every run, in order, each once."""
    files = hr.Dataset.list_files(pattern, shuffle=False)
    return hr.TFRecordDataset(files).map(prepare).batch(BATCH).with_options(hr.Options(seed=7))


@dataclass(slots=True)
class Score:
    """What came of the batches so far."""

    images: int = 0
    batches: int = 0
    right: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0

    @property
    def loss(self) -> float:
        """Mean cross-entropy of an image, in nats."""
        return self.loss_sum / max(self.images, 1)

    @property
    def accuracy(self) -> float:
        """Share of the images that were right."""
        return self.right / max(self.images, 1)

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / max(self.seconds, 1e-9)


def train_epoch(batches: Iterable[Any], classifier: Classifier, watch: Callable[[Score], None]) -> Score:
    """Learn from every batch until the epoch ends; `watch` is shown the score after each."""
    score, start = Score(), perf_counter()
    for images, labels in batches:
        loss, right = classifier.learn(features(images), labels)
        score.images += len(labels)
        score.batches += 1
        score.right += right
        score.loss_sum += loss * len(labels)
        score.seconds = perf_counter() - start
        watch(score)
    return score


def end_signal(batches: Any) -> str:
    """What `get_next()` says once an epoch has ended."""
    try:
        batches.get_next()
    except hr.OutOfRangeError as error:
        return f"OutOfRangeError: {error}"
    return "nothing, although the epoch has ended"


def measure(batches: Iterable[Any], classifier: Classifier) -> float:
    """The share of pictures that the classifier names rightly."""
    right = [classifier.scores(features(images)).argmax(axis=1) == labels for images, labels in batches]
    return float(np.concatenate(right).mean())
