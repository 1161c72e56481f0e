"""The soak's trainer: epoch after epoch of one pipeline; says what each came to. It is killed now and then.

`python soak_trainer.py ADDRESS KEY SHARDS EPOCHS STEP_S TOKEN` prints a JSON line for each epoch: number, batches,
digest. TOKEN is a file: what is saved there, every few batches, the next life goes on from.
"""

from __future__ import annotations

import json
import pickle
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

import headrace as hr
from headrace.digest import Digest

__all__ = ["RECORDS", "digest_of", "pipeline", "write_shards"]

SHARDS, RECORDS, SIZE = 4, 3000, 2000
BUFFER, BATCH = 1024, 32
#: A token is saved after so many batches.
EACH = 20


def write_shards(folder: Path) -> None:
    """Records of noise."""
    for shard in range(SHARDS):
        noise = np.random.default_rng(shard)
        with hr.io.TFRecordWriter(folder / f"{shard}.tfrecord") as writer:
            for _ in range(RECORDS):
                writer.write(noise.bytes(SIZE))


def augment(record: Any, rng: np.random.Generator) -> Any:
    pixels = np.frombuffer(record, np.uint8).astype(np.float32)
    return np.roll(pixels, rng.integers(SIZE)) * np.float32(rng.random())


def pipeline(shards: str) -> hr.Dataset:
    """Read, noise, shuffle, batch."""
    files = [str(Path(shards) / f"{shard}.tfrecord") for shard in range(SHARDS)]
    dataset = hr.TFRecordDataset(files).with_options(hr.Options(seed=11))
    return dataset.map(augment).shuffle(BUFFER, seed=5).batch(BATCH).prefetch(4)


def chained(before: str, element: Any) -> str:
    """A digest of all so far and one more."""
    digest = Digest()
    digest.add(element)
    return blake2b((before + digest.hexdigest()).encode(), digest_size=16).hexdigest()


@dataclass(slots=True)
class Place:
    """How far a trainer has come: with this saved, it is as if it had never been killed."""

    epoch: int = 0
    count: int = 0  #: Batches of the epoch,
    chain: str = ""  #: and their digest.
    state: dict[str, Any] | None = None  #: The iterator's.

    def add(self, batch: Any) -> None:
        """One more batch."""
        self.count, self.chain = self.count + 1, chained(self.chain, batch)

    def save(self, path: Path, iterator: Any) -> None:
        """At once or not at all."""
        self.state = iterator.state_dict()
        fresh = path.with_suffix(".new")
        fresh.write_bytes(pickle.dumps(self))
        fresh.rename(path)


def digest_of(batches: Iterable[Any]) -> tuple[int, str]:
    """How many there are, and a digest of all."""
    place = Place()
    for batch in batches:
        place.add(batch)
    return place.count, place.chain


def train(iterator: Any, place: Place, epochs: int, step_s: float, path: Path) -> None:
    """From this place to the end of the last epoch."""
    if place.state is not None:
        iterator.load_state_dict(place.state)
    while place.epoch < epochs:
        for batch in iterator:
            place.add(batch)
            if place.count % EACH == 0:
                place.save(path, iterator)
            threading.Event().wait(step_s)
        print(json.dumps({"epoch": place.epoch, "batches": place.count, "digest": place.chain}), flush=True)
        place = Place(place.epoch + 1)
        place.save(path, iterator)


def main(address: str, key: str, shards: str, epochs: str, step_s: str, token: str) -> None:
    """Until it is killed, or told to end."""
    path = Path(token)
    while True:
        place = pickle.loads(path.read_bytes()) if path.exists() else Place()
        with hr.connect(address, key=key, timeout_s=120.0) as service, service.iterate(pipeline(shards)) as iterator:
            train(iterator, place, int(epochs), float(step_s), path)
        path.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
