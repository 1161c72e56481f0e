"""Crops of photographs, drawn at random from the part that is meant."""

from __future__ import annotations

import io
from collections.abc import Sequence
from enum import Enum

import numpy as np
from PIL import Image, ImageEnhance

__all__ = ["Part", "crop_jpeg"]


class Part(Enum):
    """Bands of a photograph, as fractions of its height: what is held back shares no pixel with what is trained on."""

    TRAIN = ((0.0, 0.4), (0.7, 1.0))
    HELD_BACK = ((0.4, 0.7),)

    def of(self, image: Image.Image) -> list[Image.Image]:
        """These bands of a photograph.

        >>> photograph = Image.new("RGB", (100, 50))
        >>> [[band.size for band in part.of(photograph)] for part in Part]
        [[(100, 20), (100, 15)], [(100, 15)]]
        """
        rows = [[round(fraction * image.height) for fraction in band] for band in self.value]
        return [image.crop((0, top, image.width, bottom)) for top, bottom in rows]


def crop_jpeg(bands: Sequence[Image.Image], rng: np.random.Generator) -> bytes:
    """A JPEG of 160x160 to 300x225 pixels: a window of one of the bands, perhaps mirrored, brighter or darker."""
    image = bands[int(rng.integers(len(bands)))]
    width, height = int(rng.integers(160, 301)), int(rng.integers(160, 226))
    crop = image.resize((width, height), Image.Resampling.BILINEAR, box=_window(image.size, width / height, rng))
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    crop = ImageEnhance.Brightness(crop).enhance(rng.uniform(0.8, 1.2))
    file = io.BytesIO()
    crop.save(file, "JPEG", quality=int(rng.integers(85, 96)))
    return file.getvalue()


def _window(size: tuple[int, int], aspect: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Left, top, right, bottom: between half of what fits and all of it."""
    width = min(size[0], size[1] * aspect) * rng.uniform(0.5, 1.0)
    height = width / aspect
    left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
    return left, top, left + width, top + height
