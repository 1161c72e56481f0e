"""The soak's trainer: epoch after epoch of one pipeline; says what each came to. It is killed now and then.

`python soak_trainer.py ADDRESS KEY SHARDS EPOCHS STEP_S` prints a JSON line for each epoch: number, batches, digest.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

import headrace as hr
from headrace.digest import Digest

__all__ = ["RECORDS", "digest_of", "pipeline", "write_shards"]

SHARDS, RECORDS, SIZE = 4, 3000, 2000
BUFFER, BATCH = 1024, 32


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


def digest_of(batches: Iterable[Any], step_s: float = 0.0) -> tuple[int, str]:
    """How many there were, and a digest of all; each step takes so long."""
    count, chain = 0, ""
    for batch in batches:
        count, chain = count + 1, chained(chain, batch)
        if step_s:
            threading.Event().wait(step_s)
    return count, chain


def main(address: str, key: str, shards: str, epochs: str, step_s: str) -> None:
    """Until it is killed, or told to end."""
    while True:
        with hr.connect(address, key=key, timeout_s=120.0) as service, service.iterate(pipeline(shards)) as iterator:
            for epoch in range(int(epochs)):
                count, digest = digest_of(iterator, float(step_s))
                print(json.dumps({"epoch": epoch, "batches": count, "digest": digest}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
