"""Random changes: how often, and from how many draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.pipeline.augment import random_flip_left_right


class Always(np.random.Generator):
    """Draws 0.0."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def random(self, *_: Any, **__: Any) -> Any:
        return 0.0


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 1), (3, 5, 3), (2, 4, 4), (7, 2, 2), (0, 4, 3), (4, 0, 3)])
def test_every_shape_is_mirrored(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    flipped = random_flip_left_right(image, Always())
    np.testing.assert_array_equal(flipped, image[:, ::-1])
    assert flipped.flags.c_contiguous
    assert flipped.flags.writeable


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64, bool, "S3", object])
def test_an_image_is_flipped_or_not(dtype: Any) -> None:
    image = np.arange(24).reshape(2, 4, 3).astype(dtype)
    seen = set()
    for seed in range(20):
        flipped = random_flip_left_right(image, np.random.default_rng(seed))
        turn = np.random.default_rng(seed).random() < 0.5
        np.testing.assert_array_equal(flipped, image[:, ::-1] if turn else image)
        np.testing.assert_array_equal(random_flip_left_right(image[:, 1:, ::2], Always()), image[:, :0:-1, ::2])
        assert flipped.flags.c_contiguous
        assert flipped.dtype == image.dtype
        seen.add(turn)
    assert seen == {False, True}


def test_exactly_one_number_is_drawn() -> None:
    for seed in range(10):
        used, reference = np.random.default_rng(seed), np.random.default_rng(seed)
        random_flip_left_right(np.zeros((2, 2, 1)), used)
        reference.random()
        assert used.bit_generator.state == reference.bit_generator.state


def test_half_of_the_images_are_flipped() -> None:
    image, rng = np.array([[[0], [1]]]), np.random.default_rng(1)
    flips = sum(int(random_flip_left_right(image, rng)[0, 0, 0]) for _ in range(4000))
    assert abs(flips - 2000) < 5 * np.sqrt(1000)  # five standard deviations


def test_a_flipped_image_is_a_copy_and_the_given_one_is_untouched() -> None:
    image = np.arange(6).reshape(1, 2, 3)
    for seed in range(10):
        flipped = random_flip_left_right(image, np.random.default_rng(seed))
        if (flipped != image).any():
            assert not np.shares_memory(flipped, image)
    np.testing.assert_array_equal(image, np.arange(6).reshape(1, 2, 3))
