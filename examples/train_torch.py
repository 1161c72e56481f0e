"""Train a small convolutional network on handwritten digits with PyTorch, fed by headrace.

    pip install 'headrace[torch,demo]'
    python examples/train_torch.py                      # a service of its own, for as long as it runs
    python examples/train_torch.py --connect            # the server that `headrace serve` started here
    python examples/train_torch.py --connect tcp://server:7311 --data /shared/digits

Workers read the files themselves: with workers on other machines `--data` is a folder that they see, too.
Exits with 1 where the network has not learned.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from digits import digits, write_digits
from torch import nn

import headrace as hr
import headrace.torch


def model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3),
        nn.Flatten(), nn.Linear(32 * 3 * 3, 10),
    )  # fmt: skip


def images(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Channels first, as PyTorch wants them."""
    return batch["image"].permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def accuracy(network: nn.Module, batches: hr.torch.Loader) -> float:
    right, total = 0, 0
    for batch in batches:
        right += int((network(images(batch)).argmax(1) == batch["label"]).sum())
        total += len(batch["label"])
    return right / total


def train(service: hr.Service, folder: Path, epochs: int) -> float:
    """The accuracy on digits that it has not seen, after so many epochs."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # for steps as small as these more would only wait for one another
    training = headrace.torch.loader(digits(folder, training=True), service)
    testing = headrace.torch.loader(digits(folder, training=False), service)
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    found = 0.0
    for epoch in range(epochs):
        began, losses = time.perf_counter(), []
        for batch in training:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(images(batch)), batch["label"])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found = accuracy(network, testing)
        mean, seconds = sum(losses) / len(losses), time.perf_counter() - began
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
