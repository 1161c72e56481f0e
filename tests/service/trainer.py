"""A training script of one consumer, in a process of its own: says what it gets, line by line.

python trainer.py ADDRESS CONSUMERS INDEX EVEN EPOCHS
"""

from __future__ import annotations

import sys

import numpy as np

import headrace as hr


def squares() -> hr.Dataset:
    """What all consumers describe alike."""
    dataset = hr.Dataset.range(400).map(lambda x: x * x).shuffle(64, seed=3).batch(4).with_options(hr.Options(seed=7))
    return dataset.prefetch(2)  # few ahead of the loop: it says at each batch how far it is


def main(address: str, consumers: int, index: int, even: str, epochs: int) -> None:
    """Each batch is a line: epoch, whether it counts, its bytes."""
    with (
        hr.connect(address) as service,
        service.iterate(squares(), name="train", num_consumers=consumers, consumer_index=index, even=even) as batches,
    ):
        while batches.epoch < epochs:
            for batch in batches:
                print(batches.epoch, int(batches.mask), np.asarray(batch).tobytes().hex(), flush=True)
                sys.stdin.readline()  # a step of training
            print(batches.epoch, "end", batches.summary().ledger["delivered"], flush=True)
            if batches.epoch + 1 == epochs:
                break


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
