"""Images through a pipeline: files of every format, and operations at random, the same wherever they run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

import headrace as hr

Run: TypeAlias = Callable[..., list[list[Any]]]

IMAGES = Path(__file__).parents[1] / "data" / "images"
NAMES = ("baseline_420.jpg", "progressive.jpg", "rgb.png", "animated.gif", "rgb.bmp", "lossy.webp")


def augmented(path: bytes, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    image = hr.io.decode_image(hr.io.read_file(path), channels=3, expand_animations=False)
    image = hr.image.random_resized_crop(image, (32, 40), rng)
    image = hr.image.random_flip_left_right(image, rng)
    image = hr.image.random_flip_up_down(image, rng)
    image = hr.image.random_brightness(image, 0.1, rng)
    image = hr.image.random_contrast(image, 0.8, 1.2, rng)
    image = hr.image.random_saturation(image, 0.8, 1.2, rng)
    image = hr.image.random_hue(image, 0.05, rng)
    image = hr.image.random_rotation(image, 20, rng)
    image = hr.image.random_cutout(image, 8, rng)
    return hr.image.normalize(image, 127.5, 127.5), image


def pipeline() -> hr.Dataset:
    files = hr.Dataset.from_tensor_slices([str(IMAGES / name) for name in NAMES])
    return files.map(augmented).with_options(hr.Options(seed=11)).batch(4)


def test_random_operations_give_the_same_bytes_wherever_they_run_and_others_each_epoch(run: Run, same: Any) -> None:
    here = [list(pipeline().iterate(epoch=epoch)) for epoch in range(2)]
    same(run(pipeline(), epochs=2), here)
    assert [[batch[1].shape for batch in epoch] for epoch in here] == [[(4, 32, 40, 3), (2, 32, 40, 3)]] * 2
    (first, _), (again, _) = here
    assert not np.array_equal(first[1], again[1])
    np.testing.assert_allclose(first[0], first[1] / np.float32(127.5) - 1, atol=1e-6)


def test_an_image_that_cannot_be_decoded_is_an_error_in_its_place(run: Run) -> None:
    files = [str(IMAGES / name) for name in ("rgb.png", "cut_short.jpg", "still.gif")]
    shapes = hr.Dataset.from_tensor_slices(files).map(
        lambda path: np.array(hr.io.decode_image(hr.io.read_file(path), expand_animations=False).shape)
    )
    assert [each.tolist() for each in run(shapes.ignore_errors())[0]] == [[108, 135, 3], [48, 64, 3]]
    with pytest.raises(hr.InvalidArgumentError, match="truncated, the bytes end before the image"):
        run(shapes)
