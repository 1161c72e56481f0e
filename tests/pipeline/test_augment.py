"""Random changes: how often, and from how many draws."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest

from headrace.pipeline.cropping import random_crop
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.flipping import random_flip_left_right


class Always(np.random.Generator):
    """Draws 0.0."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def random(self, *_: Any, **__: Any) -> Any:
        return 0.0


@pytest.mark.parametrize(
    "shape",
    [(3, 15, 3), (3, 16, 3), (2, 33, 3), (1, 1, 1), (3, 5, 1), (3, 5, 3), (2, 4, 4), (7, 2, 2), (0, 4, 3), (4, 0, 3)],
)
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


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((5, 7, 3), (3, 7, 2)),
        ((4,), (2,)),
        ((2, 3, 4, 5), (1, 3, 2, 5)),
        ((3, 3), (0, 3)),
        ((), ()),
        ((6, 6, 3), (6, 6, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float64, object])
def test_a_crop_is_a_part_of_the_array(shape: tuple[int, ...], size: tuple[int, ...], dtype: Any) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    places = product(*(range(n - m + 1) for n, m in zip(shape, size, strict=True)))
    cuts: list[tuple[Any, ...]] = [
        tuple(slice(first, first + m) for first, m in zip(place, size, strict=True)) for place in places
    ]
    parts = [array[(*cut, ...)].tolist() for cut in cuts]
    for seed in range(20):
        crop = random_crop(array, size, np.random.default_rng(seed))
        assert crop.shape == size
        assert crop.dtype == array.dtype
        assert crop.flags.c_contiguous
        assert crop.tolist() in parts


def test_every_place_is_equally_likely() -> None:
    image, rng, draws = np.arange(12).reshape(3, 4), np.random.default_rng(3), 6000
    corners = Counter(int(random_crop(image, (2, 2), rng)[0, 0]) for _ in range(draws))
    assert sorted(corners) == [0, 1, 2, 4, 5, 6]
    expected = draws / 6
    assert all(abs(count - expected) < 5 * np.sqrt(expected * 5 / 6) for count in corners.values())


def test_a_crop_is_drawn_with_one_call_for_all_dimensions() -> None:
    used, reference = np.random.default_rng(4), np.random.default_rng(4)
    crop = random_crop(np.arange(100).reshape(10, 10), (3, 4), used)
    row, column = reference.integers(0, [7, 6], endpoint=True)
    assert crop[0, 0] == 10 * row + column
    assert used.bit_generator.state == reference.bit_generator.state


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((2, 2), r"has 2 lengths, an array of shape \(4, 5, 3\) has 3 dimensions"),
        ((2, 6, 3), "6 does not fit into dimension 1"),
        ((-1, 2, 3), "-1 does not fit into dimension 0"),
        ((2.5, 2, 3), "no sequence of whole numbers"),
        (2, "no sequence of whole numbers"),
    ],
)
def test_a_crop_that_does_not_fit_is_named(size: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        random_crop(np.zeros((4, 5, 3)), size, np.random.default_rng(0))
