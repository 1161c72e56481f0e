"""A small classifier of photographs: one hidden layer over colours, places and edges, trained by Adam."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Adam", "Classifier", "features"]

Floats: TypeAlias = NDArray[np.floating[Any]]

#: Cells along each side of the thumbnail.
CELLS = 4


def features(images: NDArray[np.uint8]) -> Floats:
    """What the classifier sees of images [n, side, side, 3]: float32 [n, 118], each about 1 in size.

    A histogram of colours (4 levels a channel), a thumbnail of 4x4 cells, and for each channel how much neighbouring
    pixels differ, across and down. The side is a multiple of 4.

    >>> features(np.zeros((2, 64, 64, 3), np.uint8)).shape
    (2, 118)
    """
    return np.concatenate([_histogram(images), _thumbnail(images), _edges(images)], axis=1)


def _histogram(images: NDArray[np.uint8]) -> Floats:
    """[n, 64]: the share of each colour; square roots, so that rare ones count."""
    count = len(images)
    red, green, blue = (images[..., channel] >> 6 for channel in range(3))
    colours = (red << 4 | green << 2 | blue).reshape(count, -1)
    places = colours + 64 * np.arange(count)[:, None]
    shares = np.bincount(places.ravel(), minlength=count * 64).reshape(count, 64) / colours.shape[1]
    return (4 * np.sqrt(shares)).astype(np.float32)


def _thumbnail(images: NDArray[np.uint8]) -> Floats:
    """[n, 48]: the mean of each cell, from -0.5 to 0.5."""
    count, side = len(images), images.shape[1] // CELLS
    cells: Floats = images.reshape(count, CELLS, side, CELLS, side, 3).mean(axis=(2, 4), dtype=np.float32)
    return cells.reshape(count, -1) / 255 - np.float32(0.5)


def _edges(images: NDArray[np.uint8]) -> Floats:
    """[n, 6]: the mean difference of neighbours, 1 where they differ by a twentieth of the range."""
    signed = images.astype(np.int16)
    across, down = (np.abs(np.diff(signed, axis=axis)).mean(axis=(1, 2), dtype=np.float32) for axis in (2, 1))
    return np.concatenate([across, down], axis=1) * np.float32(20 / 255)


@dataclass(slots=True)
class Adam:
    """Kingma and Ba, 2015: steps scaled by running moments of the gradient. https://arxiv.org/abs/1412.6980"""

    rate: float = 3e-3
    decay: tuple[float, float] = (0.9, 0.999)
    steps: int = 0
    moments: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)

    def step(self, parameters: dict[str, Floats], gradients: dict[str, Floats]) -> None:
        """Change the parameters in place."""
        self.steps += 1
        first, second = self.decay
        rate = self.rate * (1 - second**self.steps) ** 0.5 / (1 - first**self.steps)
        for name, gradient in gradients.items():
            mean, square = self.moments.get(name, (np.zeros_like(gradient), np.zeros_like(gradient)))
            mean = first * mean + (1 - first) * gradient
            square = second * square + (1 - second) * gradient**2
            self.moments[name] = mean, square
            parameters[name] -= rate * mean / (np.sqrt(square) + 1e-8)


class Classifier:
    """Features [n, width] to one of `classes`; the same `seed` starts from the same weights."""

    def __init__(self, classes: int, width: int = 118, hidden: int = 96, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.parameters: dict[str, Floats] = {
            "w1": rng.normal(0, (2 / width) ** 0.5, (width, hidden)).astype(np.float32),
            "b1": np.zeros(hidden, np.float32),
            "w2": rng.normal(0, (1 / hidden) ** 0.5, (hidden, classes)).astype(np.float32),
            "b2": np.zeros(classes, np.float32),
        }
        self.optimizer = Adam()

    def scores(self, inputs: Floats) -> Floats:
        """[n, classes]; the highest names the class."""
        return self._forward(inputs)[1]

    def loss_and_gradients(self, inputs: Floats, labels: NDArray[np.int64]) -> tuple[float, int, dict[str, Floats]]:
        """Mean cross-entropy in nats, how many are right, and the gradient of the loss for each parameter."""
        hidden, scores = self._forward(inputs)
        scores = scores - scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        rows = np.arange(len(labels))
        error = np.exp(logs)
        error[rows, labels] -= 1
        error /= len(labels)
        back = (error @ self.parameters["w2"].T) * (hidden > 0)
        gradients = {"w1": inputs.T @ back, "b1": back.sum(axis=0), "w2": hidden.T @ error, "b2": error.sum(axis=0)}
        return -float(logs[rows, labels].mean()), int((logs.argmax(axis=1) == labels).sum()), gradients

    def learn(self, inputs: Floats, labels: NDArray[np.int64]) -> tuple[float, int]:
        """One step on a batch: its loss, and how many were right before the step."""
        loss, right, gradients = self.loss_and_gradients(inputs, labels)
        self.optimizer.step(self.parameters, gradients)
        return loss, right

    def _forward(self, inputs: Floats) -> tuple[Floats, Floats]:
        hidden = np.maximum(inputs @ self.parameters["w1"] + self.parameters["b1"], 0)
        return hidden, hidden @ self.parameters["w2"] + self.parameters["b2"]
