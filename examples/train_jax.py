"""Train a small network on handwritten digits with JAX, fed by headrace.

    pip install 'headrace[jax,demo]'
    python examples/train_jax.py                      # a service of its own, for as long as it runs
    python examples/train_jax.py --connect            # the server that `headrace serve` started here
    python examples/train_jax.py --connect tcp://server:7311 --data /shared/digits

Workers read the files themselves: with workers on other machines `--data` is a folder that they see, too.
Exits with 1 where the network has not learned.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from digits import SIDE, digits, write_digits

import headrace as hr
import headrace.jax

#: A layer's weights and biases, for each layer.
Layers = list[tuple[jax.Array, jax.Array]]

RATE, MOMENTUM = 0.05, 0.9


def layers(key: jax.Array, sizes: tuple[int, ...] = (SIDE * SIDE, 128, 10)) -> Layers:
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        (jax.random.normal(each, (n, m)) * jnp.sqrt(2 / n), jnp.zeros(m))
        for each, n, m in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def logits(network: Layers, images: jax.Array) -> jax.Array:
    found = images.reshape(len(images), -1)
    for weights, biases in network[:-1]:
        found = jax.nn.relu(found @ weights + biases)
    weights, biases = network[-1]
    return found @ weights + biases


def loss(network: Layers, batch: dict[str, jax.Array]) -> jax.Array:
    scores = jax.nn.log_softmax(logits(network, batch["image"]))
    return -jnp.take_along_axis(scores, batch["label"][:, None], axis=1).mean()


@jax.jit
def step(network: Layers, speed: Layers, batch: dict[str, jax.Array]) -> tuple[Layers, Layers, jax.Array]:
    """Stochastic gradient descent with momentum."""
    value, slope = jax.value_and_grad(loss)(network, batch)
    speed = jax.tree.map(lambda v, g: MOMENTUM * v - RATE * g, speed, slope)
    return jax.tree.map(jnp.add, network, speed), speed, value


def accuracy(network: Layers, batches: Any) -> float:
    right, total = 0, 0
    for batch in batches:
        right += int((logits(network, batch["image"]).argmax(1) == batch["label"]).sum())
        total += len(batch["label"])
    return right / total


def train(service: hr.Service, folder: Path, epochs: int) -> float:
    """The accuracy on digits that it has not seen, after so many epochs."""
    training = headrace.jax.prefetch_to_device(service.iterate(digits(folder, training=True)))
    testing = headrace.jax.prefetch_to_device(service.iterate(digits(folder, training=False)))
    network = layers(jax.random.key(0))
    speed = jax.tree.map(jnp.zeros_like, network)
    found = 0.0
    for epoch in range(epochs):
        began, losses = time.perf_counter(), []
        for batch in training:
            network, speed, value = step(network, speed, batch)
            losses.append(value)  # still being computed: the next batch is fetched meanwhile
        found = accuracy(network, testing)
        mean, seconds = float(jnp.stack(losses).mean()), time.perf_counter() - began
        print(f"epoch {epoch}: loss {mean:.3f}, accuracy {found:.1%}, {len(losses)} steps, {seconds:.2f} s", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connect", nargs="?", const="", metavar="ADDRESS", help="use a server that runs already")
    parser.add_argument("--data", type=Path, help="folder for the files; a temporary one unless given")
    parser.add_argument("--epochs", type=int, default=6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.data or Path(temporary)).resolve()
        write_digits(folder)
        with hr.serve(workers=2) if given.connect is None else hr.connect(given.connect or None) as service:
            found = train(service, folder, given.epochs)
    print("learned" if found >= 0.9 else "has not learned: accuracy is below 90 %")
    return 0 if found >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
