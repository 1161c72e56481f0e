"""The demo from start to end: shards, service, three epochs, held-back crops, a clean stop."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from rich.console import Console

import headrace as hr

from .classifier import Classifier
from .photos import PHOTOGRAPHS
from .shards import Shards, prepare_shards
from .show import Show
from .training import BATCH, end_signal, held_back_data, measure, train_epoch, training_data

__all__ = ["run"]

#: How many times better than chance the classifier has to be.
FAR_ABOVE = 4


def run(data: Path, *, epochs: int = 3, workers: int = 2, crops: int = 3200, console: Console | None = None) -> bool:
    """Run the demo with its shards below the folder `data`; whether held-back accuracy is far above chance.

    Raises:
        NotFoundError: the packages that bring the photographs are not installed.
    """
    show = Show(console or Console())
    show.photographs(PHOTOGRAPHS)
    with show.generation() as progress:
        shards = prepare_shards(data, crops, progress=progress)
    show.say(f"{shards.crops:,} crops to train on and {shards.held_back_crops:,} held back, in {shards.folder}")
    classifier = Classifier(len(PHOTOGRAPHS))
    train(classifier, shards, epochs, workers, show)
    accuracy = measure(held_back_data(shards.held_back), classifier)
    chance = 1 / len(PHOTOGRAPHS)
    show.verdict(accuracy, chance, FAR_ABOVE * chance, shards.held_back_crops)
    return accuracy >= FAR_ABOVE * chance


def train(classifier: Classifier, shards: Shards, epochs: int, workers: int, show: Show) -> None:
    """The epochs, over batches that the service delivers."""
    with hr.serve(workers=workers) as service:
        show.say(f"{workers} workers and {service!r}")
        batches = service.iterate(training_data(shards.train))
        for epoch in range(epochs):
            with show.epoch(epoch, epochs, shards.crops // BATCH * BATCH) as watch:
                train_epoch(batches, classifier, watch)
            show.epoch_ended(batches.summary())
        show.say(f"After the end, get_next() raises {end_signal(batches)}.")
        asked = perf_counter()
    folder = Path(service.address.removeprefix("ipc://")).parent
    show.stopped(perf_counter() - asked, left_behind=folder if folder.exists() else None)
